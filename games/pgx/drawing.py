"""Positions of Pgx games as text."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from games.pgx.facts import Facts

_EMPTY = "."


def drawn(
    facts: Facts,
    observation: Float[np.ndarray, "..."],
    legal: Bool[np.ndarray, " A"],
    fields: Mapping[str, np.ndarray],
) -> str:
    """The board, seen by the player to move, then fields of the state by name.

    Args:
      fields: those that matter, by their path in Pgx's state.
    """
    shown = facts.shown or (() if facts.planes else tuple(fields))
    lines = [_line(path, fields[path]) for path in shown]
    return "\n".join([*_board(facts.planes, observation, legal), *lines])


def _board(
    planes: tuple[str, ...], observation: Float[np.ndarray, "..."], legal: Bool[np.ndarray, " A"]
) -> list[str]:
    """A line for each row of cells; an empty cell shows its action where actions are cells."""
    if not planes:
        return []
    rows, columns = observation.shape[:2]
    cells = [[_EMPTY] * columns for _ in range(rows)]
    if len(legal) in (rows * columns, rows * columns + 1):
        for action in np.flatnonzero(legal[: rows * columns]):
            cells[action // columns][action % columns] = str(action)
    for row, column, plane in np.argwhere(observation[..., : len(planes)] > 0):
        cells[row][column] = planes[plane]
    width = max(len(cell) for line in cells for cell in line)
    return [" ".join(cell.rjust(width) for cell in line) for line in cells]


def _line(path: str, values: np.ndarray) -> str:
    name = path.rsplit(".", 1)[-1].strip("_").replace("_", " ")
    return f"{name}: {' '.join(map(str, np.ravel(values).astype(int)))}"
