"""A waiting line: so many at a time, first come, first served."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from exit.errors import UserError


class Busy(UserError):
    """The line is full."""


class Line:
    """Places to work in, and an ordered line before them."""

    def __init__(self, num_places: int, max_waiting: int) -> None:
        self._num_places = num_places
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._working: set[object] = set()
        self._waiting: deque[object] = deque()

    def enter(self) -> object:
        """A ticket, at the end of the line; raises Busy where the line is full."""
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                raise Busy(f"{len(self._waiting)} searches wait already; try again in a moment")
            ticket = object()
            self._waiting.append(ticket)
            self._move_up()
            return ticket

    def ahead(self, ticket: object, timeout: float) -> int:
        """How many are served before this one, after waiting at most so many seconds; 0: it is its turn."""
        with self._changed:
            self._changed.wait_for(lambda: ticket in self._working, timeout)
            return 0 if ticket in self._working else self._waiting.index(ticket) + 1

    def leave(self, ticket: object) -> None:
        """Gives a place back, or leaves the line early."""
        with self._changed:
            self._working.discard(ticket)
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            self._move_up()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Waits for a place and keeps it for a while."""
        ticket = self.enter()
        try:
            while self.ahead(ticket, timeout=60.0):
                pass
            yield
        finally:
            self.leave(ticket)

    def _move_up(self) -> None:
        while self._waiting and len(self._working) < self._num_places:
            self._working.add(self._waiting.popleft())
        self._changed.notify_all()
