"""Elo ratings of agents at budgets, from games between them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from exit.agent import Agent
from exit.errors import UsageError
from exit.evaluate import (
    ActFn,
    Strength,
    chooser,
    elo_ratings,
    has_opponent,
    pairs_in_order,
    play_pair,
    random_positions,
    table_of,
)
from exit.game import Game

_OPENING_PLIES = 4
"""Random moves before a game, at most."""

_NUM_RESAMPLES = 200

ProgressFn = Callable[[str, int, int], None]
"""Told what is done, how much of it, and how much there is."""


class Rated(NamedTuple):
    """Elo ratings and what they rest on.

    Attributes:
      strength: the ratings, and those in each of 200 resamples of the openings.
      num_openings: from which everybody played.
      num_games: in all.
    """

    strength: Strength
    num_openings: int
    num_games: int


def rate(
    agents: Sequence[Agent],
    act_fns: Sequence[ActFn],
    budgets: Sequence[int],
    regret: Float[np.ndarray, "M S"],
    *,
    num_openings: int,
    seed: int = 0,
    progress_fn: ProgressFn | None = None,
) -> Rated:
    """Ratings of M agents of one game at S budgets, 0 in the mean of all.

    Each plays those that are 1, 2, 4 and 8 places stronger in exact regret: two games, either side first,
    from each of some openings of up to four random moves, the same for all. Resamples draw openings anew.

    Args:
      agents: of a game that has an opponent (`require_opponent`).
      act_fns: who acts for each agent.
      regret: mean of each agent at each budget, by which opponents are chosen.
      num_openings: fewer where there are not so many.

    Raises:
      UsageError: there is one agent with one budget, which cannot meet anybody.
    """
    if regret.size < 2:
        raise UsageError("one agent at one budget has nobody to play against; give several budgets or agents")
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
    strength = Strength(
        ratings(np.ones(len(openings))), np.stack([ratings(weights) for weights in drawn], axis=-1)
    )
    return Rated(strength, len(openings), 2 * len(openings) * len(pairs))


def require_opponent(game: Game) -> None:
    """Raise UsageError where the turn never passes: nobody could be played against."""
    if not has_opponent(game):
        raise UsageError(
            f"there is no opponent in {game.name} to be rated against; leave Elo ratings (--elo) out"
        )
