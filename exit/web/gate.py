"""What every request passes: its host, the size of its body, and headers that keep the page to itself."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio.to_thread

MAX_BODY = 64 << 10
"""Bytes of a request's body."""

_THREADS = 200
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'self'; "
        "base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Gate:
    """ASGI application around another one.

    Requests for other hosts are refused: a page from elsewhere whose name was made to point here is one.
    """

    def __init__(self, app: Any, hosts: frozenset[str] | None) -> None:
        """`hosts` are the names it answers to; None answers to any."""
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Requests wait for their turn in threads; the page itself must not wait behind them.
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._hosts is not None and _host(headers) not in self._hosts:
            await _refuse(send, 421, f"this server answers to {', '.join(sorted(self._hosts))} alone")
            return
        first = await _whole(receive)
        if first is None:
            await _refuse(send, 413, f"the request is over {MAX_BODY:,} bytes; send less")
            return
        pending = [first]

        async def replayed() -> Message:
            return pending.pop() if pending else await receive()

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in extra if pair[0] not in own)]
            await send(message)

        await self._app(scope, replayed, guarded)


async def _whole(receive: Receive) -> Message | None:
    """A request's body as one message; None where it is over the limit."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return {"type": "http.request", "body": body, "more_body": False}


def _host(headers: dict[bytes, bytes]) -> str:
    """The name that a request was sent to, without its port."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
