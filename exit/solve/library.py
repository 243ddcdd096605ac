"""Exact values of single positions from a library that solves a game, kept on disk once they are known."""

import hashlib
import importlib.metadata
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt32

from exit.errors import UserError
from exit.game import Game, library_qvalues_of, solver_library_of, statistic_game_of
from exit.solve.cache import load_or_solve, table_directory
from exit.solve.exact import Exact, exact_of_table
from exit.solve.lookup import ExactMoves
from exit.solve.memory import TooLarge
from exit.solve.qvalue_cache import QValueCache
from exit.solve.solver import fits_in_memory
from exit.solve.states import states_of
from exit.solve.statistic import exact_of_statistic
from exit.solve.table import Table

LabelProgressFn = Callable[[float, int], None]
"""Told what share is done of the positions whose values were not known yet, and how many those are."""

# Positions whose values are kept together: what a process that is killed loses at most.
_AT_ONCE = 4096
_TOLERANCE = 1e-9


def library_version(game: Game) -> str | None:
    """Version of the installed library that solves the game's positions; None if there is none here."""
    name = solver_library_of(game)
    if name is None:
        return None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def exact_of(
    game: Game,
    *,
    table_fn: Callable[[Game], Table] | None = None,
    watch_fn: Callable[[], AbstractContextManager[LabelProgressFn]] = lambda: nullcontext(_unseen),
    warn_fn: Callable[[str], None] = warnings.warn,
) -> Exact:
    """Exact values of the game: a table, or a library's where the table is known not to fit in memory.

    Where the game names a sufficient statistic, they are those of the game of its statistics.

    Args:
      table_fn: loads or makes the table; `load_or_solve` by default.
      watch_fn: as of `exact_of_library`.
      warn_fn: told in one line what went wrong and was got over.

    Raises:
      TooLarge: the table does not fit, and no library solves the game.
      UserError: positions repeat, or the library is not installed.
    """
    statistic_game = statistic_game_of(game)
    if statistic_game is not None:
        found = exact_of(statistic_game, table_fn=table_fn, watch_fn=watch_fn, warn_fn=warn_fn)
        return exact_of_statistic(game, found)
    try:
        return exact_of_table(table_fn(game) if table_fn else load_or_solve(game, warn_fn=warn_fn))
    except TooLarge:
        if solver_library_of(game) is None or fits_in_memory(game):
            raise
    return exact_of_library(game, watch_fn=watch_fn, warn_fn=warn_fn)


def exact_of_library(
    game: Game,
    *,
    directory: Path | None = None,
    watch_fn: Callable[[], AbstractContextManager[LabelProgressFn]] = lambda: nullcontext(_unseen),
    warn_fn: Callable[[str], None] = warnings.warn,
) -> Exact:
    """Exact values of any positions of a game that a library solves.

    Values are kept on disk, in a file for each version of game and library.

    Args:
      directory: where; beside the tables of solved games by default.
      watch_fn: opens what follows the work of one request.
      warn_fn: told in one line of values on disk that cannot be used, or not be kept.

    Raises:
      UserError: no library solves the game, or it is not installed.
    """
    name, version = solver_library_of(game), library_version(game)
    if name is None:
        raise UserError(f"no library solves positions of {game.name}")
    if version is None:
        raise _missing(game, "is not installed")
    identity = {
        "game": game.name,
        "version": game.version,
        "rules": repr(game),
        "library": name,
        "library_version": version,
    }
    directory = directory or table_directory(game).parent.parent / "positions" / game.name
    path = directory / f"{name}-{_digest_of(identity)}.sqlite3"
    cache = QValueCache(path, identity, game.num_actions, warn_fn)

    def moves_fn(keys: UInt32[np.ndarray, "n K"]) -> ExactMoves:
        qvalues = cache.look_up(keys)
        unknown = np.flatnonzero(np.isnan(qvalues[:, 0]))
        if len(unknown):
            with watch_fn() as progress_fn:
                qvalues[unknown] = _labelled(game, keys[unknown], cache, progress_fn)
        return _moves(game, qvalues)

    return Exact(game, name, moves_fn)


def _labelled(
    game: Game, keys: UInt32[np.ndarray, "n K"], cache: QValueCache, progress_fn: LabelProgressFn
) -> Float[np.ndarray, "n A"]:
    """Values that the library computes now, kept part by part."""
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    qvalues = np.empty((len(distinct), game.num_actions))
    num_parts = -(-len(distinct) // _AT_ONCE)
    # In random order every part takes about as long, and the share that is done tells the time.
    order = np.random.default_rng(0).permutation(len(distinct))
    for index, part in enumerate(np.array_split(order, num_parts)):

        def report(share: float, index: int = index) -> None:
            progress_fn((index + share) / num_parts, len(distinct))

        report(0.0)
        qvalues[part] = _asked(game, distinct[part], report)
        cache.add(distinct[part], qvalues[part])
    return qvalues[inverse.reshape(-1)]


def _asked(
    game: Game, keys: UInt32[np.ndarray, "n K"], progress_fn: Callable[[float], None]
) -> Float[np.ndarray, "n A"]:
    """The library's answer; what went wrong as a UserError."""
    try:
        return library_qvalues_of(game, states_of(game, keys), progress_fn)
    except ImportError as error:
        raise _missing(game, f"cannot be imported ({error})") from error
    except ValueError as error:
        raise UserError(f"{game.name}: {error}; ask only for positions that can be reached") from error
    except RuntimeError as error:
        raise UserError(f"{solver_library_of(game)} failed: {error}") from error


def _moves(game: Game, qvalues: Float[np.ndarray, "n A"]) -> ExactMoves:
    legal = qvalues != -np.inf
    values = np.where(legal.any(axis=1), qvalues.max(axis=1), 0.0)
    tolerance = _TOLERANCE * max(map(abs, game.value_bounds))
    return ExactMoves(values, qvalues, legal & (qvalues >= values[:, None] - tolerance), legal)


def _missing(game: Game, what: str) -> UserError:
    name = solver_library_of(game)
    return UserError(
        f"exact values of {game.name} come from the library {name}, which {what}; "
        f"install the extra of that name: pip install 'xit[{name}]'"
    )


def _unseen(share: float, num_positions: int) -> None:
    """Follows nothing."""


def _digest_of(identity: dict[str, Any]) -> str:
    return hashlib.blake2b(repr(sorted(identity.items())).encode(), digest_size=8).hexdigest()
