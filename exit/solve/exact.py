"""Where exact values come from: a table of the whole game, or a library that solves single positions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import UInt32

from exit.errors import UserError
from exit.game import Game
from exit.solve.lookup import ExactMoves, exact_moves_of_keys
from exit.solve.table import Table

MovesFn = Callable[[UInt32[np.ndarray, "n K"]], ExactMoves]
"""Exact values of the states with these keys, as of `Game.encode`, and of all their moves."""


@dataclass(frozen=True, eq=False)
class Exact:
    """Exact values of a game.

    Attributes:
      solver: what computes them: `rules` for a table made from the game's own rules, or a library's name.
      moves_fn: values of any positions that can be reached.
      table: every state that can be reached, where all of them are known.
      statistic: exact values of the game of its sufficient statistics, where the values come from these.
    """

    game: Game
    solver: str
    moves_fn: MovesFn
    table: Table | None = None
    statistic: "Exact | None" = None


def exact_of_table(table: Table) -> Exact:
    """The values of a solved game."""
    return Exact(table.game, "rules", partial(exact_moves_of_keys, table), table)


def table_of(exact: Exact) -> Table:
    """The table behind the values.

    Raises:
      UserError: there is none.
    """
    if exact.statistic is not None:
        raise UserError(
            f"values of {exact.game.name} are those of {exact.statistic.game.name}, and its own states are "
            "not listed; name some, or take a sample"
        )
    if exact.table is None:
        raise UserError(
            f"{exact.solver} knows the positions of {exact.game.name} one at a time, not all of them; "
            "name some, or take a sample"
        )
    return exact.table
