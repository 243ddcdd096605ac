"""Exact values and optimal moves of every reachable state of a game."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from exit.game import Game
from exit.solve.action_sets import ActionSets, is_empty
from exit.solve.coding import initial_key
from exit.solve.keys import Keys, positions
from exit.solve.space import Space
from exit.solve.values import Values


class Figures(NamedTuple):
    """What is said of a table as a whole.

    Attributes:
      states_by_ply: states whose shortest line of play has that many moves, images included.
      terminal_states: those in which no action is legal, images included.
      error_bound: no value is further than this from the true one, up to rounding.
      seconds: wall time of the solution.
      peak_mb: greatest memory of the process that solved it, 1e6 bytes.
    """

    states_by_ply: tuple[int, ...]
    terminal_states: int
    error_bound: float
    seconds: float
    peak_mb: float


@dataclass(frozen=True, eq=False)
class Table:
    """Every reachable state of a game, terminal ones included; of states that are images of each other, one.

    The rows are an inside matter: `exit.solve`'s functions answer for every state, kept or not.

    Attributes:
      space: the game, and which states count as images of each other.
      keys: packed as in `exit.solve.keys`, sorted.
      stored: values to the player to move; 0 in terminal states.
      optimal: sets of optimal moves, empty where the game is over.
      directory: where the table is stored, if it is.
    """

    space: Space
    keys: Keys
    stored: Values
    optimal: ActionSets
    figures: Figures
    directory: Path | None = None

    @property
    def game(self) -> Game:
        """The game that was solved."""
        return self.space.game

    @property
    def states_by_ply(self) -> tuple[int, ...]:
        """States whose shortest line of play has that many moves, images included."""
        return self.figures.states_by_ply

    @property
    def num_states(self) -> int:
        """Distinct reachable states, terminal ones and images included."""
        return sum(self.figures.states_by_ply)

    @property
    def values(self) -> Float[np.ndarray, " rows"]:
        """Value of each row to the player to move."""
        return self.stored.at(slice(None))

    @property
    def terminal(self) -> Bool[np.ndarray, " rows"]:
        """Whether no action is legal in the state of each row."""
        return is_empty(self.optimal)


def initial_value(table: Table) -> float:
    """Value of the initial state for the player to move there."""
    # In a reduced space the initial state has no image but itself.
    return float(table.stored.at(positions(table.keys, initial_key(table.game)))[0])


def summary(table: Table) -> dict[str, Any]:
    """The figures that `xit solve --json` reports."""
    figures = table.figures
    return {
        "game": table.game.name,
        "states": table.num_states,
        "states_by_ply": list(figures.states_by_ply),
        "terminal_states": figures.terminal_states,
        "value": initial_value(table),
        "error_bound": figures.error_bound,
        "symmetries": table.space.num_images,
        "rows": len(table.keys),
        "seconds": figures.seconds,
        "peak_mb": figures.peak_mb,
        "table": None if table.directory is None else str(table.directory),
    }
