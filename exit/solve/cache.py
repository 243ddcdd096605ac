"""Tables that are solved once and kept."""

import warnings
from collections.abc import Callable
from pathlib import Path

from exit.caches import cache_directory
from exit.errors import UserError
from exit.game import Game
from exit.solve.progress import ProgressFn
from exit.solve.solver import solve, tidy_up
from exit.solve.store import has_table, load_table, save_table
from exit.solve.table import Table


def table_directory(game: Game) -> Path:
    """Where the table of a game is kept."""
    return cache_directory() / "tables" / game.name


def load_or_solve(
    game: Game,
    *,
    directory: Path | None = None,
    force: bool = False,
    use_symmetries: bool = True,
    max_bytes: int | None = None,
    on_disk: bool = False,
    progress_fn: ProgressFn | None = None,
    warn_fn: Callable[[str], None] = warnings.warn,
) -> Table:
    """The stored table of a game, or a new one, which is stored.

    A table that cannot be used is solved again, and a new one that cannot be stored is returned all the
    same, with no `directory`; `warn_fn` is told in one line.

    Args:
      directory: where the table is kept; `table_directory(game)` by default.
      force: solve even if there is a table.
      on_disk: layers that do not fit in memory, or take long, go to the directory too, and a process that
        was killed is continued. Otherwise a game that does not fit in memory is `TooLarge`.
      use_symmetries, max_bytes, progress_fn: as in `solve`.
    """
    directory = directory or table_directory(game)
    if not force and has_table(directory):
        try:
            table = load_table(game, directory)
            if on_disk:
                tidy_up(table, directory)
            return table
        except UserError as error:
            warn_fn(f"{error}; solving it again")
    table = solve(
        game,
        use_symmetries=use_symmetries,
        max_bytes=max_bytes,
        directory=directory if on_disk else None,
        progress_fn=progress_fn,
    )
    if table.directory is not None:
        return table
    try:
        return save_table(table, directory)
    except OSError as error:
        reason = error.strerror or error
        warn_fn(f"the table of {game.name} could not be kept in {directory}: {reason}; set XIT_CACHE_DIR")
        return table
