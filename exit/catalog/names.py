"""Games and configs found by name.

Nothing is registered: a module of the package `games` that has `make(*sizes)` is a game, a module of the
package `configs` that has `config(*sizes)` is a config. Both packages are looked up by name when asked, so
that the engine depends on neither. The module of a name that begins with a digit, which no module's name may,
has `game_` before it; one whose name begins with `_` is neither.

A module whose `make` or `config` takes one text instead of sizes is a shelf of games from elsewhere:
`SHELF:NAME` is the one that it knows as NAME. Its `names()` lists them.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from exit.errors import UsageError, UserError
from exit.game import Game

Made = TypeVar("Made")


def game_names() -> list[str]:
    """Typical instances of every game, sorted; any other size a game accepts loads as well."""
    return sorted(name for stem in _stems("games") for name in _examples(stem))


def shelf_names() -> list[str]:
    """Names of the games that shelves hold, sorted; none of a shelf whose library is not installed."""
    return sorted(f"{stem}:{name}" for stem in _stems("games") for name in _shelved(stem))


def config_names() -> list[str]:
    """Names of the configs that come with the product, sorted."""
    return _stems("configs")


def trained_agent(name: str) -> Path | None:
    """The file of the agent that comes with the product under this name; None if none does."""
    folders = map(Path, importlib.import_module("configs").__path__)
    return next((path for folder in folders if (path := folder / f"{name}.npz").is_file()), None)


def trained_names() -> list[str]:
    """Names of the agents that come with the product, sorted."""
    folders = map(Path, importlib.import_module("configs").__path__)
    return sorted(path.stem for folder in folders for path in folder.glob("*.npz"))


def load_game(name: str) -> Game:
    """The game of a name such as `connect_four_4x5`: a module of `games`, then sizes joined by `_` or `x`.

    `pgx:go_9x9` is the game that the module `pgx` knows as `go_9x9`.

    Raises:
      UsageError: no such game, or sizes that the game does not accept.
      UserError: the library that the game comes from is not installed.
    """
    shelf, colon, word = name.partition(":")
    for stem in sorted(_stems("games"), key=len, reverse=True):
        if name == stem or name.startswith(stem + "_") or (colon and shelf == stem):
            make = getattr(_module("games", stem), "make", None)
            if make is not None and _takes_text(make) == bool(colon):
                return _called(make, [word], f"game {name!r}") if colon else _made(make, stem, name)
    names = game_names()
    if not difflib.get_close_matches(name, names):
        names = shelf_names()
    raise UsageError(f"unknown game {name!r}{did_you_mean(name, names, '`xit games` lists them')}")


def load_config(name_or_path: str) -> Any:
    """The run config of a name such as `connect_four_5x6`, or of a `.py` file that has `config()`.

    A name is a module of `configs`, where it takes sizes with them joined by `_` or `x`; a module of exactly
    that name comes first. `pgx:go_9x9` is what the module `pgx` makes of `go_9x9`.

    Raises:
      UsageError: no such config or file, sizes that it refuses, or a file without `config()`.
      UserError: the file failed while it ran, or the library that the game comes from is not installed.
    """
    shelf, colon, word = name_or_path.partition(":")
    if colon and shelf in config_names():
        make = _module("configs", shelf).config
        if _takes_text(make):
            return _called(make, [word], f"config {name_or_path!r}")
    for stem in sorted(config_names(), key=len, reverse=True):
        if name_or_path == stem or name_or_path.startswith(stem + "_"):
            make = _module("configs", stem).config
            sizes = _sizes(stem, name_or_path)
            if sizes is not None and _accepts(make, sizes):
                return _called(make, sizes, f"config {name_or_path!r}")
    path = Path(name_or_path)
    if path.suffix != ".py" and len(path.parts) <= 1:
        names = config_names()
        advice = f"there are {', '.join(names)}, or give the path of a .py file"
        raise UsageError(f"unknown config {name_or_path!r}{did_you_mean(name_or_path, names, advice)}")
    return _config_of_file(path)


def did_you_mean(word: str, names: Iterable[str], advice: str) -> str:
    """The end of a message about an unknown word: the names most like it, if any is, then the advice."""
    names = list(names)
    # The beginning of a name, though it may be much shorter, is meant for it.
    matches = [name for name in names if word and name.startswith(word)][:2]
    matches = matches or difflib.get_close_matches(word, names, n=2)
    return f"; did you mean {' or '.join(map(repr, matches))}? {advice}" if matches else f"; {advice}"


def _stems(package: str) -> list[str]:
    """What the names in a package begin with, sorted: its modules, as users call them."""
    modules = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    return sorted(re.sub(r"^game_(?=\d)", "", name) for name in modules if not name.startswith("_"))


def _module(package: str, stem: str) -> ModuleType:
    """The module that users call so."""
    return importlib.import_module(f"{package}.{'game_' if stem[0].isdigit() else ''}{stem}")


def _examples(stem: str) -> tuple[str, ...]:
    """Names by which `xit games` shows a game module; none for a shelf, or a module that is no game."""
    module = _module("games", stem)
    make = getattr(module, "make", None)
    return () if make is None or _takes_text(make) else getattr(module, "EXAMPLES", (stem,))


def _shelved(stem: str) -> tuple[str, ...]:
    """What a module calls the games that it holds; none for a module that is no shelf."""
    module = _module("games", stem)
    return module.names() if _takes_text(getattr(module, "make", None)) else ()


def _takes_text(make: Callable[..., Any] | None) -> bool:
    """Whether a function takes a name, not sizes."""
    parameters = inspect.signature(make).parameters.values() if make is not None else ()
    return [parameter.annotation for parameter in parameters] == [str]


def _made(make: Callable[..., Game], stem: str, name: str) -> Game:
    """The game of a module, its sizes read from the rest of the name."""
    sizes = _sizes(stem, name)
    if sizes is None:
        example = _examples(stem)[-1]
        raise UsageError(
            f"bad sizes {name[len(stem) + 1 :]!r} in game {name!r}; "
            f"they are whole numbers joined by _ or x, as in {example!r}"
        )
    if not _accepts(make, sizes):
        accepted = ", ".join(map(str, inspect.signature(make).parameters.values())) or "none"
        raise UsageError(f"game {name!r} gives {len(sizes)} sizes; {stem} takes {accepted}")
    return _called(make, sizes, f"game {name!r}")


def _sizes(stem: str, name: str) -> list[int] | None:
    """The sizes that follow the stem in a name; None if something else does."""
    words = re.split("[_x]", name[len(stem) + 1 :]) if name != stem else []
    return [int(word) for word in words] if all(re.fullmatch("[0-9]+", word) for word in words) else None


def _accepts(make: Callable[..., Any], sizes: list[int]) -> bool:
    """Whether the function takes so many sizes."""
    if sizes and _takes_text(make):
        return False
    try:
        inspect.signature(make).bind(*sizes)
    except TypeError:
        return False
    return True


def _called(make: Callable[..., Made], arguments: Sequence[int | str], what: str) -> Made:
    """What the function makes of sizes or a name; raises UsageError where it refuses them."""
    try:
        return make(*arguments)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error
    except ImportError as error:
        raise UserError(f"{what}: {error}") from error


def _config_of_file(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(
            f"no config file {str(path)!r}; give a .py file or one of {', '.join(config_names())}"
        )
    module_name = f"config_of_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"config file {str(path)!r} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses defined in the file look their module up by name.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "config"):
            raise UsageError(
                f"config file {str(path)!r} has no function config(); define one that returns a RunConfig"
            )
        config = module.config()
        if not dataclasses.is_dataclass(config):
            raise UsageError(
                f"config() in {str(path)!r} returned a {type(config).__name__}; it must return a RunConfig"
            )
        return config
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"config file {str(path)!r} failed: {type(error).__name__}: {error}") from error
