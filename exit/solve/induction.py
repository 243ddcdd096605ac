"""Backward induction: values and optimal moves of states whose successors are known."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from exit.errors import UserError
from exit.game import Game
from exit.solve.action_sets import ActionSets, pack_sets
from exit.solve.coding import chunk_rows
from exit.solve.columns import Column, abandoned_on_failure
from exit.solve.expand import Successors, next_keys, successors
from exit.solve.journal import Layer
from exit.solve.keys import Keys, distinct, looked_up, sorted_positions, union
from exit.solve.progress import Report
from exit.solve.shelf import Shelf, column_name
from exit.solve.space import Space
from exit.solve.threads import map_rows, row_slices
from exit.solve.values import TooManyLevels, Values

_TOLERANCE = 1e-9
_PART = 8
"""Of the memory allowed: what one part of the work may fill."""

_Result = TypeVar("_Result")


class Known(NamedTuple):
    """States of which values are known.

    Attributes:
      keys: sorted.
      values: to the player to move.
    """

    keys: Keys
    values: Values


class Solved(NamedTuple):
    """What is found out of n states.

    Attributes:
      values: to the player to move; 0 where no action is legal.
      optimal: sets of optimal moves.
    """

    values: Float[np.ndarray, " n"]
    optimal: ActionSets


def tolerance_of(game: Game, error_bound: float = 0.0) -> float:
    """By how much the values of two moves may differ that count as equally good."""
    return _TOLERANCE * max(map(abs, game.value_bounds)) + 2 * error_bound


def action_values(moves: Successors, known: Known) -> Float[np.ndarray, "A n"]:
    """Expected reward and discounted value of each action, -inf where illegal.

    Args:
      known: every successor after which the game goes on, and any others.

    Raises:
      KeyError: a successor is not known.
    """
    # Values after a discount of 0 do not matter, which spares looking up finished games.
    possible = moves.probs > 0
    goes_on = possible & (moves.discounts != 0)
    returns = moves.rewards.copy()
    queries = moves.keys[goes_on]
    if len(queries):
        found = looked_up(known.keys, known.values.data, queries)
        returns[goes_on] += moves.discounts[goes_on] * known.values.meant(found)
    # An impossible outcome may carry any reward, infinite ones included.
    returns[~possible] = 0.0
    expected = returns[:, 0] if returns.shape[1] == 1 else (moves.probs * returns).sum(axis=1)
    return np.where(moves.legal, expected, -np.inf)


def best_values(qvalues: Float[np.ndarray, "A n"]) -> Float[np.ndarray, " n"]:
    """Value of the best legal action, 0 where there is none."""
    best = qvalues.max(axis=0)
    return np.where(best == -np.inf, 0.0, best)


def solve_states(space: Space, keys: Keys, known: Known, tolerance: float, chunk: int) -> Solved:
    """At most `chunk` states from their successors."""
    moves = successors(space, keys, chunk)
    try:
        qvalues = action_values(moves, known)
    except KeyError as error:
        raise UserError(
            f"a state of {space.game.name} led to another one than before: rules must be functions of the "
            "state and the action alone"
        ) from error
    best = best_values(qvalues)
    if not np.isfinite(best).all():
        raise UserError(f"a value of {space.game.name} is not finite: rewards and discounts must be numbers")
    return Solved(best, pack_sets(moves.legal & (qvalues >= best - tolerance)))


def solve_layers(shelf: Shelf, report: Report) -> None:
    """Values of all layers from the last to the first; those that are known are left as they are."""
    num_solved = 0
    for ply, layer in reversed(list(enumerate(shelf.layers))):
        if layer.optimal is None:
            try:
                _solve_layer(shelf, ply, num_solved, report)
            except TooManyLevels:
                shelf.numbered = False
                _solve_layer(shelf, ply, num_solved, report)
            shelf.record()
        num_solved += layer.num_states
        report.done("solve", ply, num_solved)


def _solve_layer(shelf: Shelf, ply: int, num_before: int, report: Report) -> None:
    space, layer, numbered = shelf.space, shelf.layers[ply], shelf.numbered
    tolerance, chunk = tolerance_of(space.game), chunk_rows(space.game, shelf.num_rows)

    def solve(keys: Keys, known: Known) -> tuple[np.ndarray, np.ndarray]:
        solved = solve_states(space, keys, known, tolerance, chunk)
        return shelf.levels.numbers_of(solved.values) if numbered else solved.values, solved.optimal

    num_done = 0
    with shelf.writing():
        names = ("values", "optimal")
        writers = [shelf.writer(column_name(ply, name), shelf.dtype_of(name)) for name in names]
        with abandoned_on_failure(*writers):
            for part, known in _with_known(shelf, ply):
                for columns in _in_chunks(layer.keys, part, chunk, partial(solve, known=known)):
                    for writer, column in zip(writers, columns, strict=True):
                        writer.append(column)
                    num_done += len(columns[0]) * space.num_images
                    report.on_the_way("solve", ply, num_before + min(num_done, layer.num_states))
            layer.values, layer.optimal = (writer.finish() for writer in writers)


def _in_chunks(
    keys: Column, part: slice, chunk: int, work_fn: Callable[[Keys], _Result]
) -> Iterator[_Result]:
    """Results of `work_fn` on the keys of part of a column, chunk by chunk."""

    def work(rows: slice) -> _Result:
        return work_fn(keys[part.start + rows.start : part.start + rows.stop])

    return map_rows(work, part.stop - part.start, chunk)


def _with_known(shelf: Shelf, ply: int) -> Iterator[tuple[slice, Known]]:
    """Parts of a layer, each with what is known of all that may follow the states in it."""
    keys, max_bytes = shelf.layers[ply].keys, shelf.limit.max_bytes
    if ply + 1 == len(shelf.layers):
        yield slice(0, len(keys)), Known(keys[:0], Values(np.zeros(0), None))
        return
    after = shelf.layers[ply + 1]
    if not shelf.on_disk or sum(column.nbytes for column in after.columns.values()) <= max_bytes // _PART:
        yield slice(0, len(keys)), Known(after.keys[:], shelf.values_of(after, slice(0, len(after.keys))))
        return
    game = shelf.space.game
    row_bytes = keys.dtype.itemsize * game.num_actions * game.num_outcomes
    for part in row_slices(len(keys), max(max_bytes // _PART // row_bytes, chunk_rows(game, len(keys)))):
        yield part, _known_after(shelf, keys, part, after)


def _known_after(shelf: Shelf, keys: Column, part: slice, after: Layer) -> Known:
    """What is known of the states that may follow some, picked out of a layer that is not held in memory."""

    chunk = chunk_rows(shelf.space.game, len(keys))

    def children(rows: Keys) -> Keys:
        return distinct(next_keys(shelf.space, rows, chunk).keys)

    needed = union([keys[:0], *_in_chunks(keys, part, chunk, children)])
    found = []
    for rows in row_slices(len(after.keys), max(shelf.limit.max_bytes // _PART // keys.dtype.itemsize, 1)):
        block = after.keys[rows]
        start, stop = np.searchsorted(needed, block[0]), np.searchsorted(needed, block[-1], side="right")
        found.append(shelf.values_of(after, rows).data[sorted_positions(block, needed[start:stop])])
    return Known(needed, Values(np.concatenate(found), shelf.values_of(after, slice(0, 0)).levels))
