"""Games that OpenSpiel knows too: what it calls them and their actions."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
from jaxtyping import Array, Int

from exit.errors import UserError
from exit.game import Game, State, openspiel_actions_of, openspiel_name_of


class Translation(NamedTuple):
    """A game and its twin in OpenSpiel.

    Attributes:
      spiel_game: the twin.
      spiel_actions: what the twin calls each action.
      actions: by the twin's action, the game's own; -1 where it has none.
    """

    game: Game
    spiel_game: pyspiel.Game
    spiel_actions: Int[np.ndarray, " A"]
    actions: Int[np.ndarray, " _"]


def translation_of(game: Game) -> Translation:
    """How to translate between the game and its twin.

    Raises:
      UserError: OpenSpiel has no such game.
    """
    name = openspiel_name_of(game)
    if name is None:
        raise UserError(
            f"OpenSpiel has no twin of {game.name}; games that have one name it in `openspiel_name`, "
            "such as tic_tac_toe, connect_four, nim_3_4_5, hex_11 and othello_8"
        )
    spiel_game = pyspiel.load_game(name)
    spiel_actions = openspiel_actions_of(game)
    actions = np.full(spiel_game.num_distinct_actions(), -1)
    actions[spiel_actions] = np.arange(game.num_actions)
    return Translation(game, spiel_game, spiel_actions, actions)


class Position:
    """The game's own state of a position in OpenSpiel, brought up to date move by move."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._name = str(translation.spiel_game)
        self._played: list[int] = []
        self._state = translation.game.init()

    def of(self, spiel_state: pyspiel.State) -> State:
        """The state that the moves of the other one lead to.

        Raises:
          UserError: it is of another game.
        """
        name = str(spiel_state.get_game())
        if name != self._name:
            raise UserError(f"a position of {name} came where {self._name} is played; load the same game")
        history = spiel_state.history()
        if history[: len(self._played)] != self._played:
            self._played, self._state = [], self._translation.game.init()
        for spiel_action in history[len(self._played) :]:
            action = self._translation.actions[spiel_action]
            self._state = _after(self._translation.game, self._state, jnp.int32(action))
        self._played = history
        return self._state


@partial(jax.jit, static_argnames="game")
def _after(game: Game, state: State, action: Int[Array, ""]) -> State:
    return game.apply(state, action, jnp.int32(0))[0]
