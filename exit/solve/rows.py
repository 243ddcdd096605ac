"""The rows of a table, in the order of their keys, from the layers of a solution."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from exit.solve.action_sets import ActionSets, is_empty
from exit.solve.coding import chunk_rows
from exit.solve.expand import images
from exit.solve.keys import Keys, is_first, with_order
from exit.solve.merge import ranges_of
from exit.solve.shelf import Shelf
from exit.solve.space import Space
from exit.solve.threads import map_in_order, row_slices


class Repeats:
    """States that are in several layers, images included, and are counted once.

    Attributes:
      by_ply: those left out because fewer moves reach them too.
      finished: those among them in which no action is legal.
    """

    def __init__(self, num_plies: int) -> None:
        self.by_ply, self.finished = np.zeros(num_plies, np.int64), 0

    def add(self, plies: Int[np.ndarray, " n"], sizes: Int[np.ndarray, " n"], over: np.ndarray) -> None:
        """Leaves out some kept states that stand for so many each."""
        np.add.at(self.by_ply, plies, sizes)
        self.finished += int(sizes[over].sum())


class Rows(NamedTuple):
    """Some rows of a table.

    Attributes:
      keys: sorted.
      values: as in `Values.data`, by `levels_of` the shelf.
      optimal: sets of optimal moves.
    """

    keys: Keys
    values: Shaped[np.ndarray, " n"]
    optimal: ActionSets


def levels_of(shelf: Shelf) -> Float[np.ndarray, " L"] | None:
    """The values that occur, sorted; None if they are not numbered."""
    return np.sort(shelf.levels.values) if shelf.numbered else None


def rows_of(shelf: Shelf, repeats: Repeats) -> Iterator[Rows]:
    """All solved states, every one once, range by range of their keys; `repeats` takes what is left out."""
    layers = shelf.layers
    ranges = ranges_of([layer.keys for layer in layers], 8 * shelf.limit.key_bytes + 32, shelf.limit)
    for rows, plies in map_in_order(partial(_sorted_rows, shelf), ranges):
        first = is_first(rows.keys)
        if not first.all():
            again = Rows(*(column[~first] for column in rows))
            repeats.add(plies[~first], _orbit_sizes(shelf.space, again.keys), is_empty(again.optimal))
            rows = Rows(*(column[first] for column in rows))
        yield rows


def _sorted_rows(shelf: Shelf, slices: list[slice]) -> tuple[Rows, Int[np.ndarray, " n"]]:
    """Rows of one range by key, earlier layers first, and the layer of each."""
    # Numbers in the order of the values, however threads came upon them.
    numbers = np.argsort(np.argsort(shelf.levels.values)).astype(np.uint8)
    keys, values, optimal, plies = [], [], [], []
    for ply, (layer, rows) in enumerate(zip(shelf.layers, slices, strict=True)):
        assert layer.optimal is not None, "a table is made of solved layers"
        known = shelf.values_of(layer, rows)
        keys.append(layer.keys[rows])
        values.append(numbers[known.data] if shelf.numbered else known.at(slice(None)))
        optimal.append(layer.optimal[rows])
        plies.append(np.full(len(keys[-1]), ply))
    ordered, order = with_order(np.concatenate(keys))
    rest = (np.concatenate(column)[order] for column in (values, optimal, plies))
    return Rows(ordered, next(rest), next(rest)), next(rest)


def _orbit_sizes(space: Space, keys: Keys) -> Int[np.ndarray, " n"]:
    """How many states each kept state stands for."""
    if not space.reduced:
        return np.ones(len(keys), np.int64)
    chunk = chunk_rows(space.game, len(keys))
    parts = [images(space, keys[rows], chunk).first.sum(axis=0) for rows in row_slices(len(keys), chunk)]
    return np.concatenate(parts)
