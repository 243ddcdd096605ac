"""Which positions an agent is measured on."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt32

from exit.evaluate.sample import MAX_PLIES, random_positions
from exit.solve import Exact, sample_unfinished, unfinished_keys

NUM_SAMPLED = 2000
"""Positions that are drawn where there is no list of them all."""


class Positions(NamedTuple):
    """Unfinished positions.

    Attributes:
      kind: `all` that can be reached, a random `sample`, or those of a `file`. Only `all` has no intervals.
      keys: as `Game.encode` makes them.
      ply: how many moves led to each; None where that is not known.
    """

    kind: str
    keys: UInt32[np.ndarray, "n K"]
    ply: Int[np.ndarray, " n"] | None = None


def positions_of(exact: Exact, max_positions: int | None = None, *, seed: int = 0) -> Positions:
    """All positions where a table knows them, or a sample.

    Args:
      max_positions: the most that are wanted; drawn uniformly from the table, or where there is none by
        playing 0 to 34 uniformly random moves, and 2,000 if left out.
    """
    if exact.table is None:
        found = random_positions(exact.game, max_positions or NUM_SAMPLED, MAX_PLIES, seed)
        return Positions("sample", found.keys, found.ply)
    figures = exact.table.figures
    num_unfinished = exact.table.num_states - figures.terminal_states
    if max_positions is None or num_unfinished <= max_positions:
        return Positions("all", unfinished_keys(exact.table))
    return Positions("sample", sample_unfinished(exact.table, max_positions, seed=seed))
