"""The games of Pgx (Koyamada et al. 2023), an optional library of rules in JAX, as games of this project.

`pgx:NAME` is the game that Pgx calls NAME, as in `pgx:go_9x9`; the rules are Pgx's own. It must be a game of
one player, or of two whose rewards sum to zero, with nothing hidden from either, and what it draws by chance
must be described in `games.pgx.chance`. Others are refused.

A state holds the fields of Pgx's state that can still matter and no others: those that what is legal,
rewarded or observed can come to depend on, found by following the data through Pgx's programs. Where nothing
looks back, positions reached in different ways are one state, and the solver counts what others count. Where
repetition is forbidden or scored, the game ends after so many moves, or the network sees the last moves (Go,
chess, shogi and their like), a state holds that history, so that such a game is too large to solve.
"""

import importlib.util

from games.pgx.facts import FACTS
from games.pgx.game import PgxGame, PgxState

__all__ = ["PgxGame", "PgxState", "make", "names"]


def make(name: str) -> PgxGame:
    """The game that Pgx calls `name`.

    Raises:
      ModuleNotFoundError: Pgx is not installed.
      ValueError: Pgx has no such game, or one that cannot be a game here.
    """
    return PgxGame(name)


def names() -> tuple[str, ...]:
    """Names that `make` is known to take; none where Pgx is not installed."""
    return tuple(sorted(FACTS)) if importlib.util.find_spec("pgx") else ()
