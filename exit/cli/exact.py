"""Exact values of a game, for the commands that need them."""

import contextlib
import time
from collections.abc import Callable, Iterator

from exit.cli import console
from exit.errors import UsageError
from exit.game import Game, num_states_of
from exit.solve import (
    Exact,
    Forecast,
    LabelProgressFn,
    Table,
    TooLarge,
    exact_of,
    fits_in_memory,
    load_or_solve,
)

_OWN_BYTES = 400 * 10**6
"""What a process takes beside the states: Python, JAX, compiled programs, and what is worked on at a time."""

_PHASES = {
    "enumerate": "finding positions, ply {layer}: {states:,}",
    "solve": "solving positions, ply {layer}: {states:,} of {total:,}",
    "approach": "positions repeat; bounds of values, sweep {layer}: {states:,} positions known",
    "settle": "positions repeat; values of endless play, sweep {layer}",
    "prove": "positions repeat; proving values, sweep {layer}",
}


def load_exact(game: Game, *, max_bytes: int | None = None) -> Exact:
    """Exact values of the game: a table, or a library's where the table is known not to fit in memory.

    Args:
      max_bytes: as in `load_table`.

    Raises:
      TooLarge: the table does not fit, and no library solves the game.
      UserError: positions repeat, or the library is not installed.
    """
    return exact_of(
        game,
        table_fn=lambda game: load_table(game, max_bytes=max_bytes),
        watch_fn=lambda: _watched("exact values"),
        warn_fn=console.warn,
    )


def load_table(game: Game, *, max_bytes: int | None = None) -> Table:
    """Every position of the game with its value, from disk or solved now.

    Args:
      max_bytes: what solving may fill; by default most of what the machine has left.

    Raises:
      TooLarge: they do not fit in memory.
      UserError: two states have one key, or values cannot be bounded.
    """
    with console.Progress(f"solving {game.name}") as progress:
        try:
            return load_or_solve(
                game,
                max_bytes=max_bytes,
                progress_fn=_reporter(game, progress),
                warn_fn=console.warn,
            )
        except TooLarge as error:
            limited = max_bytes is not None and fits_in_memory(game)
            may = "may take all there is" if limited else "may go through the disk"
            raise TooLarge(f"{error}: `xit solve {game.name}` {may}") from error


def solve_at_any_size(game: Game, *, force: bool, use_symmetries: bool, max_memory: int | None) -> Table:
    """`load_table` for games that may need the disk beside the memory, and hours.

    Args:
      max_memory: bytes of this process; by default most of what the machine has left.

    Raises:
      UsageError: `max_memory` leaves no room for states.
      TooLarge: states do not fit on the disk.
    """
    if max_memory is not None and max_memory <= _OWN_BYTES:
        raise UsageError(
            f"--max-memory is {max_memory / 1e6:,.0f} MB, of which the program itself takes about "
            f"{_OWN_BYTES / 1e6:,.0f}; give at least 500MB"
        )
    with console.Progress(f"solving {game.name}") as progress:
        return load_or_solve(
            game,
            force=force,
            use_symmetries=use_symmetries,
            max_bytes=None if max_memory is None else max_memory - _OWN_BYTES,
            on_disk=True,
            progress_fn=_reporter(game, progress),
            warn_fn=console.warn,
        )


def _reporter(game: Game, progress: console.Progress) -> Callable[[str, int, int], None]:
    """Shows what a solver says, and how long it will still take."""
    known = num_states_of(game)
    forecast = Forecast(known)

    def report(phase: str, layer: int, states: int) -> None:
        done = forecast.update(phase, layer, states)
        text = _PHASES[phase].format(layer=layer, states=states, total=forecast.num_found)
        if phase == "enumerate" and known is None:
            # What the layers grow to can only be guessed, and a guess of hours may stand for years.
            progress.update(text)
            return
        if phase == "enumerate":
            text += f" of {known:,}"
        if done is not None and (left := forecast.seconds_left(done)) is not None:
            text += f", about {console.duration(left)} left"
        progress.update(text, done)

    return report


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
