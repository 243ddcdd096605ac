"""The server: agents at their desks, what is compiled ahead, and the loop that answers."""

import logging
import socket
import threading
from collections.abc import Callable, Sequence

import numpy as np
import uvicorn

from exit.agent import Agent
from exit.errors import UserError
from exit.solve import Exact
from exit.web.app import Limits, make_app
from exit.web.desk import Desk
from exit.web.position import chances, first

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_GRACE_SECONDS = 1


def desks_of(agents: Sequence[Agent]) -> list[Desk]:
    """A desk for each agent, named after where it comes from; equal names are numbered."""
    desks: list[Desk] = []
    for agent in agents:
        stem = agent.source.stem if agent.source.is_file() else agent.source.name
        taken, name, number = {desk.name for desk in desks}, stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        desks.append(Desk(name, agent))
    return desks


def find_exact(desk: Desk, exact_fn: Callable[[Agent], Exact]) -> None:
    """Gives a desk its exact values, or the reason why there are none."""
    try:
        desk.exact = exact_fn(desk.agent)
        desk.exact_moves(first(desk.agent.game))
        desk.no_exact = None
    except UserError as error:
        desk.exact, desk.no_exact = None, str(error)


def warm_up(desk: Desk) -> None:
    """Compiles what the first move of a game needs."""
    start = desk.book.at(())
    desk.more(desk.thought(start), 1)


def warm_up_rest(desk: Desk) -> None:
    """Compiles what later questions need."""
    start = desk.book.at(())
    tree = desk.more(desk.thought(start), 8)
    action = int(np.asarray(tree.result.visit_counts).argmax())
    outcome = int(chances(desk.agent.game, start, action).argmax())
    desk.more(desk.agent.advance(tree, action, outcome), 1)
    for budget in (0, 1):
        desk.agent.act(start.state, budget)
    desk.coherence(start)


def bind(host: str, port: int) -> socket.socket:
    """A socket to serve on.

    Raises:
      UserError: the address is taken or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        # From now on who connects waits, so that an address can be asked as soon as it is known.
        taken.listen()
    except OSError as error:
        taken.close()
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot serve on {host}:{port} ({reason}); give another --port") from error
    return taken


class _Server(uvicorn.Server):
    """Ends streams when it is told to end, and says nothing of requests that it cuts off."""

    def __init__(self, config: uvicorn.Config, closing: threading.Event) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


class Server:
    """A server of some desks on a socket that is bound already."""

    def __init__(self, desks: Sequence[Desk], where: socket.socket, limits: Limits | None = None) -> None:
        host = where.getsockname()[0]
        own = _LOOPBACK if host in ("127.0.0.1", "::1") else None
        closing = threading.Event()
        config = uvicorn.Config(
            make_app(desks, limits, own, closing),
            log_level="warning",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            limit_concurrency=512,
            h11_max_incomplete_event_size=1 << 16,
        )
        self._socket = where
        self._server = _Server(config, closing)

    def run(self) -> None:
        """Serves until it is interrupted or told to stop."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Makes `run` return soon."""
        self._server.should_exit = True

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self._server.started


def in_background(function: Callable[[], None]) -> threading.Thread:
    """Starts work that ends with the process."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread
