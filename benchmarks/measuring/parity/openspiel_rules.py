"""Games replayed by the rules of OpenSpiel."""

import numpy as np
import pyspiel
from jaxtyping import Int

from .games import Games


def replay(games: Games, *, name: str, actions: Int[np.ndarray, " A"] | None = None) -> Games:
    """The games by the rules of an OpenSpiel game.

    Args:
      name: as `pyspiel.load_game` takes it.
      actions: OpenSpiel's number for each of our actions; None where they are numbered alike.
    """
    spiel_game = pyspiel.load_game(name)
    num_actions = games.legal.shape[-1]
    actions = np.arange(num_actions) if actions is None else actions
    ours = np.full(spiel_game.num_distinct_actions(), -1)
    ours[actions] = np.arange(num_actions)
    player, legal = np.zeros_like(games.player), np.zeros_like(games.legal)
    rewards, over = np.zeros_like(games.rewards), np.zeros_like(games.over)
    chosen = actions[games.action].tolist()
    lengths = games.running.sum(axis=0).tolist()
    for index, length in enumerate(lengths):
        state = spiel_game.new_initial_state()
        for ply in range(length):
            # A game that ended earlier than ours shows by `over`; it has no move to replay.
            if state.is_terminal():
                break
            player[ply, index] = state.current_player()
            legal[ply, index, ours[state.legal_actions()]] = True
            state.apply_action(chosen[ply][index])
            rewards[ply, index] = state.rewards()
            over[ply, index] = state.is_terminal()
    return Games(games.running, player, legal, games.action, rewards, over)
