"""What the commands say: lines and tables on stdout, progress and warnings on stderr, figures as JSON."""

import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from exit.figures import keep_figures as keep

_PATIENCE_SECONDS = 2.0
_PLAIN_INTERVAL_SECONDS = 5.0
_PLAIN_WIDTH = 1000
_LOOK_SECONDS = 0.25


# One for all, so that what is followed within what is followed gets a line below its own.
_PROGRESS_CONSOLE = Console(stderr=True, highlight=False)


def say(line: str = "") -> None:
    """A line of the result."""
    click.echo(line)


def warn(line: str) -> None:
    """A line about something that went wrong but did not stop the command."""
    click.echo(f"xit: {line}", err=True)


def leave() -> NoReturn:
    """Ends the process well and at once, whatever its threads are doing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; the first column is text, the others are figures."""
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    # A pipe has no width of its own, and lines broken there would be hard to read back.
    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    out = Console(highlight=False, width=width)
    # As a title of the table's it would be broken to its width.
    out.print(Text(title, style="bold"), table)


def prepare_json(path: Path | None) -> None:
    """Make sure that figures can be written there, before the work that yields them.

    Raises:
      OSError: they cannot.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("a").close()
        # A command that fails is not to leave an empty file behind.
        if is_new:
            path.unlink()


def write_json(path: Path | None, figures: Mapping[str, Any] | Sequence[Any]) -> None:
    """Writes figures, if there is a path."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        say(f"figures: {path}")


def folder_of(source: Path) -> Path:
    """Where what is made of an agent goes: its run's directory; below `runs`, of an agent that is a file.

    That may lie where nobody may write. A run of its name, there or to come, is another agent.
    """
    if source.is_dir():
        return source
    # Snapshots of all runs are called alike.
    inside = source.absolute().parent
    name = f"{inside.parent.name}-{source.stem}" if inside.name == "snapshots" else f"{source.stem}-agent"
    return Path("runs") / name


def keep_figures(folder: Path, command: str, figures: Mapping[str, Any], json_path: Path | None) -> None:
    """Writes figures where they were asked for and, for the report and the page, into a run's directory.

    A directory that nobody may write in is a warning.
    """
    write_json(json_path, figures)
    try:
        kept = keep(folder, command, figures)
    except OSError as error:
        warn(f"the figures are not kept in {folder} ({error.strerror})")
        return
    if json_path is None or not json_path.samefile(kept):
        say(f"figures: {kept}")


def show_picture(draw_fn: Callable[[], Path], *, name: str = "picture") -> Path | None:
    """Says where a picture was drawn; one that fails is a warning, since the figures are what counts."""
    try:
        picture = draw_fn()
    except Exception as error:
        warn(f"there is no {name} ({type(error).__name__}: {error})")
        return None
    say(f"{name}: {picture}")
    return picture


def command_line() -> str:
    """The command that runs, as one would type it."""
    return shlex.join(["xit", *sys.argv[1:]])


def duration(seconds: float) -> str:
    """Seconds as `4:05` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 position`, `4,520 positions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(rate: float | None) -> str:
    """A rate in percent; `-` where there is none."""
    return "-" if rate is None else f"{100 * rate:.2f}%"


def rounded(number: Any) -> float:
    """A single-precision number without the digits that it does not have."""
    return float(f"{float(number):.7g}")


class Progress:
    """Says on stderr how far a command is, once it takes longer than two seconds.

    On a terminal one line is kept up to date, with a bar where the whole is known; elsewhere a plain line
    appears every five seconds. While nothing new is told, as in compiling, it comes again with the time that
    has passed, each time after twice as long.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._text = ""
        self._fraction: float | None = None
        self._console = _PROGRESS_CONSOLE
        self._live = Live(self, console=self._console, transient=True, refresh_per_second=4)
        self._started = time.monotonic()
        self._last_line = self._started + _PATIENCE_SECONDS - _PLAIN_INTERVAL_SECONDS
        self._said, self._times_said = "", 0
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live.start()
        else:
            threading.Thread(target=self._go_on_saying, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        with self._lock:
            self._ended.set()

    def __rich__(self) -> Text:
        """The line on a terminal, at the moment it is drawn."""
        seconds = time.monotonic() - self._started
        if seconds < _PATIENCE_SECONDS:
            return Text()
        line = f"{self._label} {_bar(self._fraction)}{self._text} ({duration(seconds)})"
        return Text(line, overflow="fold")

    def update(self, text: str, fraction: float | None = None) -> None:
        """Says where the work stands; `fraction` of it is done, if that is known."""
        self._text, self._fraction = text, fraction
        self._say_if_due()

    def _go_on_saying(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self._say_if_due()

    def _say_if_due(self) -> None:
        """A plain line, if there is no terminal and the last one is old enough."""
        with self._lock:
            now = time.monotonic()
            share = "" if self._fraction is None else f"{100 * self._fraction:.0f}%  "
            line = f"{self._label}  {share}{self._text}".rstrip()
            repeated = self._times_said if line == self._said else 0
            due = self._last_line + _PLAIN_INTERVAL_SECONDS * (2 ** (repeated - 1) if repeated else 1)
            if self._console.is_terminal or now < due or self._ended.is_set():
                return
            self._said, self._times_said, self._last_line = line, repeated + 1, now
            click.echo(f"{line} ({duration(now - self._started)})" if repeated else line, err=True)


def _bar(fraction: float | None) -> str:
    if fraction is None:
        return ""
    done = round(24 * min(max(fraction, 0.0), 1.0))
    return "\u2501" * done + "\u2500" * (24 - done) + f" {100 * fraction:.0f}%  "
