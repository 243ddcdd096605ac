"""Options that several commands share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

_PICTURES = (".png", ".svg", ".pdf")
"""What the name of a picture may end in."""


@dataclass
class Invocation:
    """The command that runs, as what surrounds it sees it.

    Attributes:
      ready_fn: makes the process ready, before the command begins to work.
      debug: show tracebacks.
      interrupted: number of the signal that asked the command to stop; 0 if none did.
      ending_fn: called when first interrupted, by a command that then ends by itself; None ends it at once.
      when_interrupted: says what that means for the work done so far.
    """

    ready_fn: Callable[[], None] = lambda: None
    debug: bool = False
    interrupted: int = 0
    ending_fn: Callable[[], None] | None = None
    when_interrupted: Callable[[], str] = lambda: "interrupted"


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Invocation).debug = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the traceback of a failure.",
)

json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the figures to FILE as JSON. Default: nowhere.",
)


def set_option(example: str) -> Callable[[Any], Any]:
    """`--set`, repeatable; the example stands in its help."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        help=f"Change a setting, for example {example}. May be repeated.",
    )


def manual(*examples: str, reads: str, writes: str) -> str:
    """The end of a command's help: what it reads and writes, and examples that can be typed."""
    lines = "\n".join(f"  {example}" for example in examples)
    return f"Reads: {reads}.\n\nWrites: {writes}.\n\n\b\nExamples:\n{lines}"


capacity_option = click.option(
    "--max-simulations",
    type=click.IntRange(min=0),
    metavar="N",
    help="Capacity of the search, in simulations. Default: the one the run was trained with.",
)


class NonNegativeList(click.ParamType):
    """Whole numbers from 0, with commas between."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isascii() and word.isdigit() for word in words):
            self.fail(f"{value!r}; give whole numbers from 0 with commas between, as in 0,16,64", param, ctx)
        return tuple(dict.fromkeys(map(int, words)))


class BudgetOrAuto(click.ParamType):
    """Simulations, or the word `auto`."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        word = str(value)
        if word == "auto":
            return word
        if not (word.isascii() and word.isdigit()):
            self.fail(f"{value!r}; give a whole number from 0, or auto", param, ctx)
        return int(word)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem("auto")] if "auto".startswith(incomplete) else []


class Size(click.ParamType):
    """An amount of memory, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", str(value), re.ASCII | re.IGNORECASE)
        if found is None or not float(found[1]):
            self.fail(f"{value!r}; give a number with a unit, as in 4GB or 500MB", param, ctx)
        power = " KMGT".index(found[2].upper() or " ")
        return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


class PicturePath(click.Path):
    """A file for a picture, of a kind that can be drawn.

    Args:
      others: endings taken besides those of pictures.
    """

    def __init__(self, *others: str) -> None:
        super().__init__(dir_okay=False, path_type=Path)
        self._endings = (*_PICTURES, *others)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(str(super().convert(value, param, ctx)))
        if path.suffix.lower() not in self._endings:
            self.fail(f"{str(path)!r} must end in one of {', '.join(self._endings)}", param, ctx)
        return path


class _Name(click.ParamType):
    """A text that completes to the names of a catalogue."""

    def __init__(self, name: str, names_fn: Callable[[], list[str]]) -> None:
        self.name = name
        self._names_fn = names_fn

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self._names_fn() if name.startswith(incomplete)]


class AgentPath(click.Path):
    """A run directory, an agent's file, or the name of an agent that comes with the product.

    It completes to paths, to the runs in `runs/`, and to the agents' names.
    """

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from exit.catalog import trained_names

        names = [CompletionItem(name) for name in (*_runs(), *trained_names()) if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, param, incomplete), *names]


def _runs() -> list[str]:
    """Runs where `xit train` puts them; all that a directory must show for it is its settings."""
    return sorted(str(path.parent) for path in Path("runs").glob("*/config.json"))


def _game_names() -> list[str]:
    from exit.catalog import game_names, shelf_names

    return [*game_names(), *shelf_names()]


def _config_names() -> list[str]:
    from exit.catalog import config_names, shelf_names

    return [*config_names(), *shelf_names()]


game_argument = click.argument("game_name", metavar="GAME", type=_Name("game", _game_names))
config_argument = click.argument("config_name", metavar="CONFIG", type=_Name("config", _config_names))
agent_argument = click.argument("source", metavar="AGENT", type=AgentPath())
