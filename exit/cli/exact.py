"""Exact values of a game, for the commands that need them."""

import contextlib
import time
from collections.abc import Iterator

from exit.cli import console
from exit.game import Game, solver_library_of
from exit.solve import (
    Exact,
    LabelProgressFn,
    Table,
    TooLarge,
    exact_of_library,
    exact_of_table,
    fits_in_memory,
    load_or_solve,
)


def load_exact(game: Game, *, max_bytes: int | None = None) -> Exact:
    """Exact values of the game: a table, or a library's where the table is known not to fit in memory.

    Args:
      max_bytes: as in `load_table`.

    Raises:
      TooLarge: the table does not fit, and no library solves the game.
      UserError: positions repeat, or the library is not installed.
    """
    try:
        return exact_of_table(load_table(game, max_bytes=max_bytes))
    except TooLarge:
        if solver_library_of(game) is None or fits_in_memory(game):
            raise
    return exact_of_library(game, watch_fn=lambda: _watched("exact values"), warn_fn=console.warn)


def load_table(game: Game, *, force: bool = False, max_bytes: int | None = None) -> Table:
    """Every position of the game with its value, from disk or solved now.

    Args:
      force: solve even if there is a table on disk.
      max_bytes: what solving may fill; by default most of what the machine has left.

    Raises:
      TooLarge: they do not fit in memory.
      UserError: positions repeat.
    """
    with console.Progress(f"solving {game.name}") as progress:

        def report(phase: str, layer: int, states: int) -> None:
            progress.update(f"{phase}: layer {layer}, {states:,} positions")

        try:
            return load_or_solve(
                game, force=force, max_bytes=max_bytes, progress_fn=report, warn_fn=console.warn
            )
        except TooLarge as error:
            if max_bytes is None or not fits_in_memory(game):
                raise
            raise TooLarge(f"{error}: `xit solve {game.name}` may take all there is") from error


@contextlib.contextmanager
def _watched(label: str) -> Iterator[LabelProgressFn]:
    """Shows how far a library is, and how long it may still take."""
    started = time.monotonic()
    with console.Progress(label) as progress:

        def report(share: float, num_positions: int) -> None:
            rest = (time.monotonic() - started) * (1 - share) / share if share else None
            left = "" if rest is None else f", {console.duration(rest)} left"
            progress.update(f"{num_positions:,} positions{left}", share)

        yield report
