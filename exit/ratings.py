"""Elo ratings of agents at budgets, from games between them."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from exit.agent import Agent
from exit.errors import UsageError
from exit.evaluate import (
    ActFn,
    ChooseFn,
    Strength,
    chooser,
    elo_ratings,
    pairs_in_order,
    play_pair,
    random_positions,
    table_of,
)
from exit.game import Game, State

_OPENING_PLIES = 4
"""Random moves before a game, at most."""

_NUM_RESAMPLES = 200

ProgressFn = Callable[[str, int, int], None]
"""Told what is done, how much of it, and how much there is."""


def rate(
    agents: Sequence[Agent],
    act_fns: Sequence[ActFn],
    budgets: Sequence[int],
    regret: Float[np.ndarray, "M S"],
    *,
    num_openings: int,
    seed: int = 0,
    progress_fn: ProgressFn | None = None,
) -> Strength:
    """Ratings of M agents of one game at S budgets, 0 in the mean of all.

    Each plays those that are 1, 2, 4 and 8 places stronger in exact regret: two games, either side first,
    from each of some openings of up to four random moves, the same for all. Resamples draw openings anew.

    Args:
      act_fns: who acts for each agent.
      regret: mean of each agent at each budget, by which opponents are chosen.
      num_openings: fewer where there are not so many.

    Raises:
      ValueError: the turn never passes: there is no opponent.
    """
    game = agents[0].game
    openings = random_positions(game, num_openings, _OPENING_PLIES, seed).keys
    players = [chooser(act_fn, budget) for act_fn in act_fns for budget in budgets]
    pairs = pairs_in_order(-regret.reshape(-1))
    points = np.zeros((len(pairs), len(openings)))
    for number, (first, second) in enumerate(pairs):
        points[number] = play_pair(players[first], players[second], game=game, openings=openings, seed=seed)
        if progress_fn is not None:
            progress_fn("games of pairs", number + 1, len(pairs))

    def ratings(weights: np.ndarray) -> np.ndarray:
        table = table_of(pairs, points @ weights / weights.sum(), 2.0 * len(openings), len(players))
        return elo_ratings(table).reshape(regret.shape)

    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(openings), np.full(len(openings), 1 / len(openings)), _NUM_RESAMPLES)
    return Strength(
        ratings(np.ones(len(openings))), np.stack([ratings(weights) for weights in drawn], axis=-1)
    )


def require_opponent(game: Game) -> None:
    """Raise UsageError where the turn never passes in random games."""
    openings = random_positions(game, 16, 0).keys
    try:
        play_pair(_anything(game), _anything(game), game=game, openings=openings)
    except ValueError as error:
        raise UsageError(f"{error}; leave --elo out") from error


def _anything(game: Game) -> ChooseFn:
    """Plays any legal move."""
    rng, legal_actions = np.random.default_rng(0), jax.jit(jax.vmap(game.legal_actions))

    def choose(states: State, own: Bool[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        legal = np.asarray(legal_actions(states))
        return np.where(legal, rng.random(legal.shape), -1).argmax(axis=-1)

    return choose
