"""Exact solution of a game by enumeration and backward induction."""

from pathlib import Path

import numpy as np

from exit.game import Game, num_states_of
from exit.memory import peak_megabytes
from exit.solve.coding import initial_key
from exit.solve.columns import abandoned_on_failure
from exit.solve.induction import solve_layers
from exit.solve.layers import Repeated, find_layers
from exit.solve.memory import TooLarge, memory_limit, require_disk
from exit.solve.progress import ProgressFn, Report
from exit.solve.rows import Repeats, levels_of, rows_of
from exit.solve.shelf import Shelf
from exit.solve.space import space_of
from exit.solve.store import TableWriter
from exit.solve.table import Figures, Table
from exit.solve.unordered import solve_unordered
from exit.solve.values import Values

_UNFINISHED = "unfinished"


def solve(
    game: Game,
    *,
    use_symmetries: bool = True,
    max_bytes: int | None = None,
    directory: Path | None = None,
    progress_fn: ProgressFn | None = None,
) -> Table:
    """Exact values and optimal moves of every reachable state of a game.

    The value of a state is the best, over legal actions, of the expectation over chance outcomes of
    reward + discount * value(next state), in double precision. Where positions repeat, values are
    approached from both sides, see `exit.solve.cycles`.

    Args:
      use_symmetries: keep one of the states that are images of each other; answers are the same.
      max_bytes: memory the states may take; by default most of what the machine has left.
      directory: where layers go that do not fit in memory, or that took long to find, and then the table.
        A process that was killed there is continued by the next. None: memory alone.
      progress_fn: called once a layer, and on the way through long ones.

    Raises:
      TooLarge: the states do not fit in memory, or on disk if there is a directory.
      UserError: two states have one key, or values cannot be bounded.
    """
    space = space_of(game, use_symmetries=use_symmetries)
    limit = memory_limit(space, initial_key(game).itemsize, max_bytes)
    report = Report(progress_fn)
    work = None if directory is None else directory / _UNFINISHED
    shelf = Shelf(space, limit, work)
    try:
        shelf.resume()
        _check_known(shelf)
        try:
            find_layers(shelf, report)
        except Repeated:
            try:
                return solve_unordered(Shelf(space, limit, None), report)
            except TooLarge:
                if directory is None:
                    raise
            shelf.clear()
            shelf.move_to_disk()
            find_layers(shelf, report)
        solve_layers(shelf, report)
        return _streamed_table(shelf, directory) if shelf.on_disk and directory else _table(shelf)
    finally:
        shelf.close()


def tidy_up(table: Table, directory: Path) -> None:
    """Removes what a process left in the directory that was killed right after it had stored the table."""
    limit = memory_limit(table.space, table.keys.dtype.itemsize, None)
    Shelf(table.space, limit, directory / _UNFINISHED).clear_if_solved()


def fits_in_memory(game: Game) -> bool:
    """False where the game is known to have more states than `solve` could hold on this machine."""
    num_states = num_states_of(game)
    if num_states is None:
        return True
    try:
        memory_limit(space_of(game), initial_key(game).itemsize, None).check_known(num_states)
    except TooLarge:
        return False
    return True


def _check_known(shelf: Shelf) -> None:
    """Prepares for the number of states, where it is known before they are found.

    Raises:
      TooLarge: there is no room for them.
    """
    num_states = num_states_of(shelf.space.game)
    if num_states is None or shelf.on_disk:
        return
    try:
        shelf.limit.check_known(num_states)
    except TooLarge:
        if shelf.directory is None:
            raise
        needed = num_states // shelf.space.num_images * shelf.limit.file_bytes
        require_disk(shelf.space, shelf.directory, needed, f"its {num_states:,} states")
        shelf.move_to_disk()


def _table(shelf: Shelf) -> Table:
    """The table of solved layers, in memory."""
    repeats = Repeats(len(shelf.layers))
    columns = zip(*rows_of(shelf, repeats), strict=True)
    keys, values, optimal = (np.concatenate(column) for column in columns)
    return Table(shelf.space, keys, Values(values, levels_of(shelf)), optimal, _figures(shelf, repeats))


def _streamed_table(shelf: Shelf, directory: Path) -> Table:
    """The table of solved layers, on disk; the layers are removed."""
    repeats = Repeats(len(shelf.layers))
    dtypes = [shelf.layers[0].keys.dtype, shelf.dtype_of("values"), shelf.dtype_of("optimal")]
    with shelf.writing():
        writer = TableWriter(shelf.space, directory, dtypes)
        with abandoned_on_failure(writer):
            for rows in rows_of(shelf, repeats):
                writer.append(*rows)
            table = writer.finish(_figures(shelf, repeats), levels_of(shelf))
    shelf.clear()
    return table


def _figures(shelf: Shelf, repeats: Repeats) -> Figures:
    by_ply = np.array([layer.num_states for layer in shelf.layers]) - repeats.by_ply
    return Figures(
        # Beyond the last states there may be plies that only reach earlier ones again.
        states_by_ply=tuple(by_ply[by_ply > 0].tolist()),
        terminal_states=sum(layer.num_finished for layer in shelf.layers) - repeats.finished,
        error_bound=0.0,
        seconds=shelf.elapsed,
        peak_mb=peak_megabytes(),
    )
