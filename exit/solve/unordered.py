"""Solution, in memory, of games in which a state may be reached by different numbers of moves, or again."""

import numpy as np

from exit.memory import peak_megabytes
from exit.solve.coding import chunk_rows
from exit.solve.cycles import solve_cycles
from exit.solve.induction import Known, Solved, solve_states, tolerance_of
from exit.solve.keys import Keys, with_order
from exit.solve.layers import find_distinct_layers
from exit.solve.order import solving_order
from exit.solve.progress import Report
from exit.solve.shelf import Shelf
from exit.solve.space import Space
from exit.solve.table import Figures, Table
from exit.solve.threads import map_rows
from exit.solve.values import Levels, TooManyLevels, Values


def solve_unordered(shelf: Shelf, report: Report) -> Table:
    """The table of a game.

    Args:
      shelf: empty, in memory.

    Raises:
      TooLarge: the states, or the moves between them, do not fit in memory.
      UserError: values cannot be bounded; see `solve_cycles`.
    """
    find_distinct_layers(shelf, report)
    space = shelf.space
    plies = np.repeat(np.arange(len(shelf.layers)), [len(layer.keys) for layer in shelf.layers])
    keys, order = with_order(np.concatenate([layer.keys[:] for layer in shelf.layers]))
    plies = plies[order]
    values, optimal = np.zeros(len(keys)), np.zeros(len(keys), shelf.dtype_of("optimal"))
    known, num_solved, error_bound = Known(keys, Values(values, None)), 0, 0.0
    groups, rest = solving_order(space, keys, shelf.limit)
    for index, group in enumerate(groups):
        values[group], optimal[group] = _solved(space, keys[group], known, tolerance_of(space.game))
        num_solved += len(group) * space.num_images
        report.done("solve", index, num_solved)
    if len(rest):
        # Late positions first: what is known of them helps the earlier ones.
        rest = rest[np.argsort(-plies[rest], kind="stable")]
        values[rest], error_bound = solve_cycles(space, known, rest, shelf.limit, report)
        tolerance = tolerance_of(space.game, error_bound)
        optimal[rest] = _solved(space, keys[rest], known, tolerance).optimal
    figures = Figures(
        states_by_ply=tuple(layer.num_states for layer in shelf.layers),
        terminal_states=sum(layer.num_finished for layer in shelf.layers),
        error_bound=error_bound,
        seconds=shelf.elapsed,
        peak_mb=peak_megabytes(),
    )
    return Table(space, keys, _numbered(values), optimal, figures)


def _solved(space: Space, keys: Keys, known: Known, tolerance: float) -> Solved:
    """Any number of states from their successors."""
    chunk = chunk_rows(space.game, len(keys))
    parts = map_rows(lambda rows: solve_states(space, keys[rows], known, tolerance, chunk), len(keys), chunk)
    return Solved(*map(np.concatenate, zip(*parts, strict=True)))


def _numbered(values: np.ndarray) -> Values:
    levels = Levels()
    try:
        levels.numbers_of(np.unique(values))
        return Values(levels.numbers_of(values), levels.values)
    except TooManyLevels:
        return Values(values, None)
