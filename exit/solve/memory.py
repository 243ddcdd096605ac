"""How much memory the solver may fill."""

from typing import NamedTuple

from exit.errors import UserError
from exit.game import Game
from exit.memory import available_bytes

_SHARE_OF_AVAILABLE = 0.8
_UNREADABLE = 10**15


class TooLarge(UserError):
    """The states of a game do not fit in the memory allowed."""


class MemoryLimit(NamedTuple):
    """A bound on the solver's arrays over states; its working set for one chunk, about 100 MB, comes on top.

    Attributes:
      max_bytes: what those arrays may fill.
      state_bytes: what one state costs when the arrays are fullest.
    """

    game: Game
    max_bytes: int
    state_bytes: int

    def check_known(self, num_states: int) -> None:
        """Raises `TooLarge` if the game, known to have so many states, does not fit."""
        if num_states * self.state_bytes > self.max_bytes:
            count = f"{num_states:,}" if num_states < _UNREADABLE else f"about {num_states:.0e}"
            raise TooLarge(
                f"{self.game.name} does not fit in memory: it has {count} states, about "
                f"{self.max_bytes // self.state_bytes:,} fit in the {self.max_bytes / 1e6:,.1f} MB allowed; "
                "choose a smaller game or allow more memory"
            )

    def check(self, num_states: int, ply: int, extra_bytes: int = 0) -> None:
        """Raises `TooLarge` if the states found so far, and `extra_bytes` beside them, do not fit."""
        needed = num_states * self.state_bytes + extra_bytes
        if needed > self.max_bytes:
            raise TooLarge(
                f"{self.game.name} does not fit in memory: about {self.max_bytes // self.state_bytes:,} "
                f"states fit in the {self.max_bytes / 1e6:,.1f} MB allowed, {num_states:,} were found by "
                f"ply {ply} (at least {needed / 1e6:,.1f} MB); choose a smaller game or allow more memory"
            )


def memory_limit(game: Game, key_bytes: int, max_bytes: int | None) -> MemoryLimit:
    """The limit given, or most of what is available."""
    if max_bytes is None:
        max_bytes = int(available_bytes() * _SHARE_OF_AVAILABLE)
    # Keys exist four times while sorted runs are merged. At the end they exist twice, beside values, their
    # order, sorted values and the sort's scratch space.
    return MemoryLimit(game, max_bytes, max(4 * key_bytes, 2 * key_bytes + 32))
