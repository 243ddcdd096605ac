"""The page and the endpoints behind it, described at /openapi.json."""

import json
import secrets
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jax
import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from exit import __version__
from exit.errors import UserError
from exit.web import runs, thinking, truth
from exit.web.desk import Desk
from exit.web.gate import Gate, Receive, Scope, Send
from exit.web.position import Position, after, chances, check_action, described
from exit.web.problems import sentence
from exit.web.queue import Busy, Line
from exit.web.schema import Act, Bound, Move, Problem, Think, Where

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_CARD_HEADERS = {
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {code: {"model": Problem} for code in (400, 404, 413, 422, 503)}


@dataclass(frozen=True)
class Limits:
    """What one server does at most.

    Attributes:
      searches: that take turns; the others wait in line.
      waiting: in line; more are turned away.
      simulations: that one position may have.
    """

    searches: int = 4
    waiting: int = 128
    simulations: int = 100_000


class Unknown(UserError):
    """There is no agent of that name."""


def make_app(
    desks: Sequence[Desk],
    limits: Limits | None = None,
    hosts: frozenset[str] | None = None,
    closing: threading.Event | None = None,
) -> Gate:
    """The application that serves these agents and nothing else.

    Args:
      hosts: names that it answers to; None answers to any.
      closing: set by others when streams are to end.
    """
    limits = limits or Limits()
    app = FastAPI(
        title="xit",
        version=__version__,
        description="Agents that search, beside exact values; in reward units, to the player to move.",
        docs_url=None,
        redoc_url=None,
        responses=_PROBLEMS,
    )
    table = {desk.name: desk for desk in desks}
    searches, turn = Line(limits.searches, limits.waiting), Line(1, 1 << 20)
    lines = thinking.Lines(searches, turn, closing or threading.Event())
    _tell_problems(app)
    _serve_page(app)
    _serve_positions(app, table)
    _serve_search(app, table, lines, limits)
    _serve_truth(app, table, lines)
    _serve_runs(app, table)
    return Gate(app, hosts)


def _serve_page(app: FastAPI) -> None:
    # Read once: no request names a file.
    folder = resources.files("exit.web") / "page"
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    def sent(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such file")
        return Response(files[name], media_type=_TYPES[name.rsplit(".", 1)[-1]])

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return sent("index.html")

    @app.get("/page/{name}", include_in_schema=False)
    def part(name: str) -> Response:
        return sent(name)


def _serve_positions(app: FastAPI, table: Mapping[str, Desk]) -> None:
    @app.get("/api/agents", summary="Agents that were loaded, and their games")
    def agents() -> list[dict[str, Any]]:
        return [desk.described() for desk in table.values()]

    @app.post("/api/position", summary="The position that moves lead to")
    def position(where: Where) -> dict[str, Any]:
        desk, found = _found(table, where)
        return described(desk.agent.game, found)

    @app.post("/api/play", summary="The position after one more move, chance drawn")
    def play(move: Move) -> dict[str, Any]:
        desk, found = _found(table, move)
        game = desk.agent.game
        check_action(game, found, move.action)
        probs = chances(game, found, move.action)
        drawn = secrets.randbits(53) / 2**53
        outcome = int(np.searchsorted(np.cumsum(probs / probs.sum()), drawn, side="right"))
        then = after(game, found, move.action, min(outcome, int(np.flatnonzero(probs)[-1])))
        return described(game, desk.book.at(then.moves))


def _serve_search(app: FastAPI, table: Mapping[str, Desk], lines: thinking.Lines, limits: Limits) -> None:
    @app.post("/api/act", summary="One answer after so much thinking, as `xit act` gives it")
    def act(asked: Act) -> dict[str, Any]:
        desk, found = _unfinished(table, asked)
        capacity = desk.agent.search.max_simulations
        if isinstance(asked.budget, int) and asked.budget > capacity:
            raise UserError(
                f"budget {asked.budget} is over the {capacity} simulations that one answer may take here; "
                "ask for less, stream with /api/think, or start `xit serve` with --max-simulations"
            )
        with lines.searches.place(), lines.turn.place():
            result = desk.agent.act(found.state, asked.budget, deadline_ms=asked.deadline_ms)
            return thinking.result_of(found, jax.device_get(result))

    @app.post(
        "/api/think",
        summary="Answers as a stream of server-sent events while a tree grows; it ends with `done`",
        response_class=StreamingResponse,
    )
    def think(asked: Think) -> StreamingResponse:
        desk, found = _unfinished(table, asked)
        given = [asked.total is not None, asked.more is not None, asked.seconds is not None, asked.auto]
        if sum(given) != 1:
            raise UserError("give exactly one of total, more, seconds and auto")
        limit = thinking.Limit(asked.total, asked.more, asked.seconds, asked.auto)
        stream = thinking.answers(desk, found, limit, lines, limits.simulations)
        return _Events(stream)


def _serve_truth(app: FastAPI, table: Mapping[str, Desk], lines: thinking.Lines) -> None:
    @app.post("/api/exact", summary="Exact values of the legal moves")
    def exact(where: Where) -> dict[str, Any]:
        desk, found = _unfinished(table, where)
        return truth.exact_of_position(desk, found)

    @app.post("/api/why", summary="What a move gives away, and the lines of perfect play that show it")
    def why(move: Move) -> dict[str, Any]:
        desk, found = _unfinished(table, move)
        return truth.why(desk, found, move.action)

    @app.post("/api/coherence", summary="Where the network disagrees with its own look ahead")
    def coherence(where: Where) -> dict[str, Any]:
        desk, found = _unfinished(table, where)
        with lines.turn.place():
            return truth.coherence_of_position(desk, found)


def _serve_runs(app: FastAPI, table: Mapping[str, Desk]) -> None:
    @app.get("/api/agents/{name}/metrics", summary="Reports of the agent's run so far")
    def metrics(name: str) -> list[dict[str, float | int | None]]:
        return runs.learning_curves(_desk(table, name).agent)

    @app.get("/api/agents/{name}/bench", summary="What `xit bench` measured")
    def bench(name: str) -> Any:
        return runs.figures(_desk(table, name).agent, "bench")

    @app.get("/api/agents/{name}/frontier", summary="What `xit frontier` measured")
    def frontier(name: str) -> Any:
        return runs.figures(_desk(table, name).agent, "frontier")

    @app.get("/api/agents/{name}/advice", summary="Regret at each budget, and the budget it speaks for")
    def advice(name: str, max_regret: Bound = None, deadline_ms: Bound = None) -> dict[str, Any]:
        return runs.advice(_desk(table, name).agent, max_regret, deadline_ms)

    @app.get("/api/agents/{name}/card", summary="The bench card", response_class=HTMLResponse)
    def card(name: str) -> HTMLResponse:
        return HTMLResponse(runs.card(_desk(table, name).agent), headers=_CARD_HEADERS)


_OF_HTTP = {
    404: "there is nothing under this address",
    405: "this address takes another method; /openapi.json says which",
}


def _tell_problems(app: FastAPI) -> None:
    """Every failure as one sentence."""

    @app.exception_handler(UserError)
    def refused(request: Request, error: UserError) -> JSONResponse:
        code = {Busy: 503, Unknown: 404}.get(type(error), 400)
        return JSONResponse({"error": str(error)}, code)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": sentence(error.errors())}, 422)

    @app.exception_handler(HTTPException)
    def elsewhere(request: Request, error: HTTPException) -> JSONResponse:
        said = _OF_HTTP.get(error.status_code, str(error.detail))
        return JSONResponse({"error": said}, error.status_code)


def _desk(table: Mapping[str, Desk], name: str) -> Desk:
    if name not in table:
        raise Unknown(f"there is no agent of that name; there are {', '.join(table)}")
    return table[name]


def _found(table: Mapping[str, Desk], where: Where) -> tuple[Desk, Position]:
    desk = _desk(table, where.agent)
    return desk, desk.book.at(where.moves)


def _unfinished(table: Mapping[str, Desk], where: Where) -> tuple[Desk, Position]:
    desk, position = _found(table, where)
    if not position.legal.any():
        raise UserError("the game is over; there is nothing to decide")
    return desk, position


class _Events(StreamingResponse):
    """Server-sent events; a reader who goes away ends the thinking at once, and makes room for others."""

    def __init__(self, stream: Generator[dict[str, Any], None, None]) -> None:
        super().__init__(
            (f"data: {json.dumps(event)}\n\n" for event in stream), media_type="text/event-stream"
        )
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # No thread is at work on it: those that are begun are waited for.
            self._stream.close()
