"""The endpoints of the page: what they answer, what they refuse, and who waits."""

import gc
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPResponse
from importlib import resources
from typing import Any
from urllib.request import Request, urlopen

import jax
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from exit.figures import keep_figures
from exit.solve import exact_moves_of_keys, table_of
from exit.web import Desk, Limits, Server, bind, in_background, make_app
from exit.web.position import Book, chances, described, stride_of
from exit.web.queue import Busy, Line
from exit.web.thinking import Limit, Lines, answers
from games.bandit import Bandit
from games.game_2048 import Game2048
from games.hex import Hex
from games.kelly_beta import KellyBeta
from games.pig import Pig
from games.tic_tac_toe import TicTacToe
from tests.desks import CAPACITY, desk_of
from tests.measured import frontier

GAME = TicTacToe()
WINNING = [4, 0, 3, 1]  # the first player has two cells in a row, and it is his turn


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return desk_of(GAME, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    limits = Limits(searches=2, simulations=64)
    with TestClient(
        make_app([desk], limits, frozenset({"testserver"})), raise_server_exceptions=False
    ) as found:
        yield found


def ask(client: TestClient, name: str, **body: Any) -> dict[str, Any]:
    response = client.post(f"/api/{name}", json={"agent": "small", **body})
    assert response.status_code == 200, response.text
    return response.json()


def refused(client: TestClient, name: str, **body: Any) -> tuple[int, str]:
    response = client.post(f"/api/{name}", json={"agent": "small", **body})
    return response.status_code, response.json()["error"]


def thought(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    response = client.post("/api/think", json={"agent": "small", **body})
    assert response.headers["content-type"].startswith("text/event-stream")
    return [json.loads(part.removeprefix("data: ")) for part in response.text.split("\n\n") if part]


def random_games(book: Book, num_positions: int) -> list[tuple[int, ...]]:
    """Moves to so many unfinished positions, all different."""
    rng, found = np.random.default_rng(0), {}
    while len(found) < num_positions:
        position = book.at(())
        while position.legal.any():
            found[position.moves] = None
            action = int(rng.choice(np.flatnonzero(position.legal)))
            position = book.at((*position.moves, action))
    return list(found)[:num_positions]


def test_position_tells_whose_move_it_is_and_what_is_legal(client: TestClient) -> None:
    found = ask(client, "position", moves=[4, 0])
    assert found["player"] == 0
    assert [move["action"] for move in found["legal"]] == [1, 2, 3, 5, 6, 7, 8]
    assert found["observation"][1][1] == [1, 0]
    assert found["observation"][0][0] == [0, 1]
    assert [move["action"] for move in found["played"]] == [4, 0]
    won = ask(client, "play", moves=WINNING, action=5)
    assert won["over"]
    assert won["verdict"] == "The game is over: player 1 wins."


@pytest.mark.parametrize(
    ("moves", "says"),
    [
        ([4, 4], "action 4 (move 2) is illegal; legal are 0, 1, 2, 3, 5, 6, 7, 8"),
        ([9], "action 9 (move 1) is illegal; legal are 0, 1, 2, 3, 4, 5, 6, 7, 8"),
        ([*WINNING, 5, 2], "move 6 comes after the end of the game; take moves back"),
    ],
)
def test_moves_that_cannot_be_made_are_named(client: TestClient, moves: list[int], says: str) -> None:
    assert refused(client, "position", moves=moves) == (400, says)


def test_act_answers_what_the_agent_does(client: TestClient, desk: Desk) -> None:
    state = desk.book.at((4, 0)).state
    for budget in (0, 16):
        found = ask(client, "act", moves=[4, 0], budget=budget)
        result = jax.device_get(desk.agent.act(state, budget))
        assert found["action"] == result.action
        assert found["simulations"] == result.num_simulations
        weights = [move["weight"] for move in found["moves"]]
        np.testing.assert_allclose(weights, result.action_weights[np.flatnonzero(result.prior)], rtol=1e-6)
    code, says = refused(client, "act", budget=CAPACITY + 1)
    assert code == 400
    assert str(CAPACITY) in says
    assert refused(client, "act", moves=[])[0] == 400


def test_thinking_streams_and_goes_on_with_the_same_tree(client: TestClient, desk: Desk) -> None:
    events = thought(client, moves=[8], total=24)
    spent = [event["answer"]["simulations"] for event in events if "answer" in event]
    assert spent == sorted(spent)
    assert len(spent) > 2
    assert spent[-1] == 24
    assert events[-1]["done"]
    longer = thought(client, moves=[8], more=16)
    assert longer[0]["answer"]["simulations"] == 24
    assert longer[-1]["answer"]["simulations"] == 40
    at_once = jax.device_get(desk.agent.think(desk.book.at((8,)).state, 40, room=4096).result)
    visits = [move["visits"] for move in longer[-1]["answer"]["moves"]]
    assert visits == at_once.visit_counts[np.flatnonzero(at_once.prior)].tolist()
    # What is asked for less is answered with less, and the larger tree is still there.
    assert thought(client, moves=[8], total=0)[-1]["answer"]["simulations"] == 0
    assert thought(client, moves=[8], more=0)[-1]["answer"]["simulations"] == 40
    below = max(longer[-1]["answer"]["moves"], key=lambda move: move["visits"])
    kept = thought(client, moves=[8, below["action"]], more=0)[-1]["answer"]["simulations"]
    assert kept == below["visits"] - 1


def test_thinking_ends_with_time_worth_proof_and_the_limit(client: TestClient) -> None:
    assert thought(client, moves=[2], seconds=0.0)[-1]["answer"]["simulations"] == 0
    auto = thought(client, moves=[2, 4], auto=True)[-1]
    assert auto["done"]
    assert 0 < auto["answer"]["simulations"] <= 64
    proven = thought(client, moves=WINNING, more=64)[-1]["answer"]
    assert proven["proven"]
    assert proven["action"] == 5
    assert [move["action"] for move in proven["moves"] if move["proven"]] == [5]
    assert thought(client, moves=[6], total=10**6)[-1]["answer"]["simulations"] == 64
    assert refused(client, "think", total=1, more=1) == (
        400,
        "give exactly one of total, more, seconds and auto",
    )


def test_exact_overlay_is_the_solver_on_200_positions(client: TestClient, desk: Desk) -> None:
    assert desk.exact is not None
    lines = random_games(desk.book, 200)
    states = [desk.book.at(line).state for line in lines]
    keys = np.stack([np.asarray(GAME.encode(jax.tree.map(jax.numpy.asarray, state))) for state in states])
    truth = exact_moves_of_keys(table_of(desk.exact), keys)
    for row, line in enumerate(lines):
        found = ask(client, "exact", moves=list(line))
        assert found["value"] == truth.values[row]
        shown = {move["action"]: (move["value"], move["optimal"]) for move in found["moves"]}
        legal = np.flatnonzero(truth.legal[row])
        assert shown == {int(a): (truth.qvalues[row, a], bool(truth.optimal[row, a])) for a in legal}


def test_why_shows_what_a_mistake_gives_away(client: TestClient) -> None:
    found = ask(client, "why", moves=WINNING, action=8)
    assert found["best"] in (2, 5)  # wins at once, or blocks and threatens twice
    assert found["value"] == 1
    assert found["regret"] == 1 - found["move_value"] > 0
    assert found["best_line"][-1]["player"] == 0
    assert [move["player"] for move in found["line"][:2]] == [0, 1]
    assert ask(client, "why", moves=WINNING, action=5)["regret"] == 0


def test_coherence_is_the_network_against_its_look_ahead(client: TestClient) -> None:
    found = ask(client, "coherence", moves=WINNING)
    by_move = {move["action"]: move["backups"] for move in found["moves"]}
    assert by_move[5][0] == 1.0
    assert found["residuals"][0] == pytest.approx(found["value"] - 1.0)


def test_nothing_but_the_page_and_its_agents_can_be_reached(client: TestClient) -> None:
    for path in ("/page/..%2f..%2fapp.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/etc/passwd", "/x"):
        response = client.get(path)
        assert response.status_code == 404, path
        assert response.json()["error"]
    for name in ("../small", "/etc/passwd", "small/../small", ""):
        response = client.post("/api/position", json={"agent": name})
        assert response.status_code == 404, name
        assert "there are small" in response.json()["error"]
    assert client.get("/api/agents/..%2fsmall/bench").status_code == 404


def test_requests_have_limits(client: TestClient) -> None:
    large = client.post("/api/position", content=b" " * 70_000, headers={"content-type": "application/json"})
    assert (large.status_code, large.json()["error"]) == (413, "the request is over 65,536 bytes; send less")
    assert refused(client, "position", moves=[0] * 4001)[0] == 422
    assert refused(client, "think", seconds=61.0)[0] == 422
    assert client.get("/", headers={"host": "elsewhere.example"}).status_code == 421
    assert client.get("/").headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"budget": -1}, "budget is -1; it must be at least 0, or 'auto'"),
        ({"budget": "soon"}, "budget is \"soon\"; it must be a whole number, or 'auto'"),
        ({"deadline_ms": 1e9}, "deadline_ms is 1000000000.0; it must be at most 60,000"),
        ({"moves": [1, "a"]}, 'moves[1] is "a"; it must be a whole number'),
        ({"moves": "4, 0"}, 'moves is "4, 0"; it must be a list'),
        ({"moves": [0] * 4001}, "moves has 4,001 entries; at most 4,000 are taken"),
        ({"agent": "x" * 101}, "agent is too long; at most 100 characters are taken"),
        ({"colour": 1}, "colour is not known here"),
        ({"agent": None}, "agent is null; it must be a text"),
    ],
)
def test_a_request_of_a_wrong_form_is_told_what_is_allowed(
    client: TestClient, asked: dict[str, Any], said: str
) -> None:
    assert refused(client, "act", **asked) == (422, said)


def test_a_request_must_be_an_object(client: TestClient) -> None:
    said = "the request is no JSON object; send one as application/json"
    for body in (b"{nope", b"[1]", b""):
        answer = client.post("/api/act", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (422, said)
    assert client.post("/api/act", json={}).json()["error"] == "agent is missing"


def test_views_of_a_run(client: TestClient, desk: Desk) -> None:
    base = "/api/agents/small"
    assert client.get(f"{base}/metrics").json() == []
    missing = client.get(f"{base}/bench")
    assert missing.status_code == 400
    assert f"`xit bench {desk.agent.source}` makes it" in missing.json()["error"]
    rows = [{"iteration": k, "policy_loss": 1 / k} for k in range(1, 4001)]
    (desk.agent.source / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (desk.agent.source / "bench.json").write_text('{"game": "tic_tac_toe"}')
    (desk.agent.source / "bench.html").write_text("<h1>card</h1>")
    shown = client.get(f"{base}/metrics").json()
    assert len(shown) <= 2001
    assert shown[-1]["iteration"] == 4000
    assert client.get(f"{base}/bench").json() == {"game": "tic_tac_toe"}
    card = client.get(f"{base}/card")
    assert card.text == "<h1>card</h1>"
    assert card.headers["content-security-policy"].startswith("sandbox")


def test_a_measured_frontier_advises_a_budget(client: TestClient, desk: Desk) -> None:
    path, folder = "/api/agents/small/advice", desk.agent.source
    assert f"`xit frontier {folder}` makes it" in client.get(path).json()["error"]
    keep_figures(folder, "frontier", frontier(folder.name))
    found = client.get(path).json()
    assert found["recommended"]["budget"] == 4
    assert [row["mean_regret"] for row in found["budgets"]] == [1.0, 0.75, 0.02, 0.0]
    within = client.get(path, params={"max_regret": 0.9}).json()["recommended"]
    assert (within["budget"], within["latency_ms"]) == (1, 2.0)
    assert client.get(path, params={"deadline_ms": 1.0}).json()["error"].startswith("no budget from 0 to 16")
    for wrong in (-1.0, float("nan"), float("inf"), "x"):
        assert client.get(path, params={"deadline_ms": wrong}).status_code == 422
    (folder / "frontier.json").write_text('{"agents": [{"run": 3}]}')
    assert "damaged" in client.get(path).json()["error"]


def test_a_line_serves_in_order_and_says_who_is_ahead() -> None:
    line = Line(num_places=1, max_waiting=2)
    tickets = [line.enter() for _ in range(3)]
    assert [line.ahead(ticket, 0.0) for ticket in tickets] == [0, 1, 2]
    with pytest.raises(Busy, match="2 searches wait already"):
        line.enter()
    line.leave(tickets[1])
    line.leave(tickets[0])
    assert line.ahead(tickets[2], 0.0) == 0


def test_searches_beyond_the_places_wait_and_are_told_so(desk: Desk) -> None:
    lines = Lines(Line(1, 4), Line(1, 4), threading.Event())
    taken = lines.searches.enter()
    stream = answers(desk, desk.book.at((0,)), Limit(total=4), lines, 64)
    assert next(stream) == {"ahead": 1}
    lines.searches.leave(taken)
    assert list(stream)[-1]["answer"]["simulations"] == 4


def test_a_stream_that_is_closed_stops_thinking_and_keeps_its_tree(desk: Desk) -> None:
    lines, position = Lines(Line(1, 4), Line(1, 4), threading.Event()), desk.book.at((5,))
    stream = answers(desk, position, Limit(total=100_000), lines, 100_000)
    seen = [next(stream) for _ in range(3)][-1]["answer"]["simulations"]
    stream.close()
    assert lines.searches.ahead(lines.searches.enter(), 0.0) == 0
    assert desk.thought(position).result.num_simulations == seen > 0


@pytest.fixture
def served(desk: Desk) -> Iterator[str]:
    """The address of a server with places for two; nothing is freed there by chance."""
    with bind("127.0.0.1", 0) as where:
        server = Server([desk], where, Limits(searches=2))
        thread = in_background(server.run)
        gc.disable()
        yield f"http://127.0.0.1:{where.getsockname()[1]}"
        gc.enable()
        server.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_readers_who_go_away_make_room_for_others_at_once(served: str) -> None:
    def stream(moves: list[int], **limit: Any) -> HTTPResponse:
        body = json.dumps({"agent": "small", "moves": moves, **limit}).encode()
        return urlopen(Request(f"{served}/api/think", body, {"content-type": "application/json"}), timeout=20)

    for first in range(8):
        with stream([first], more=100_000) as answer:
            assert answer.readline().startswith(b"data: ")
    with stream([8], total=2) as answer:
        assert b'"done": true' in answer.read()


def test_many_clients_at_once_all_get_their_own_answer(client: TestClient, desk: Desk) -> None:
    lines, found = random_games(desk.book, 50), {}

    def one(moves: tuple[int, ...]) -> None:
        found[moves] = ask(client, "act", moves=list(moves), budget=8)

    threads = [threading.Thread(target=one, args=(moves,)) for moves in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 50
    for moves, answer in found.items():
        result = desk.agent.act(desk.book.at(moves).state, 8)
        assert (answer["action"], answer["simulations"]) == (int(result.action), int(result.num_simulations))


@pytest.mark.parametrize(
    "game", [Bandit(2, 4), Hex(3), KellyBeta(rounds=4), Pig(10), Game2048(2, 2)], ids=lambda game: game.name
)
def test_games_of_every_kind_are_described_for_drawing(game: Any) -> None:
    book, rng = Book(game), np.random.default_rng(1)
    position = book.at(())
    for _ in range(3):
        action = int(rng.choice(np.flatnonzero(position.legal)))
        outcome = int(np.flatnonzero(chances(game, position, action))[0])
        position = book.at((*position.moves, action, outcome)[: len(position.moves) + stride_of(game)])
    told = json.loads(json.dumps(described(game, position)))
    assert len(told["played"]) == 3
    assert told["fields"] is not None or told["observation"] is not None
    assert told["text"]
    assert len(told["history"]) in (0, 4)
    assert Book(game).at(position.moves).earned == position.earned


def _strategy(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of the description allows, and now and then others."""
    junk = st.one_of(st.none(), st.text(max_size=5), st.integers(), st.lists(st.integers(), max_size=2))
    if "$ref" in schema:
        return _strategy(parts[schema["$ref"].rsplit("/", 1)[-1]], parts)
    if "anyOf" in schema:
        return st.one_of(*(_strategy(each, parts) for each in schema["anyOf"]))
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "object": _object(schema, parts),
        "array": st.lists(_strategy(schema["items"], parts), max_size=4) if "items" in schema else junk,
        "integer": st.one_of(st.integers(0, 2), st.integers(0, 9), st.integers(-1, 2**40)),
        "number": st.one_of(st.floats(0, 20), st.floats(-1, 1e5)),
        "boolean": st.booleans(),
        # What no agent is called is refused before anything else is looked at.
        "string": st.integers(0, 9).flatmap(lambda draw: st.just("small") if draw else st.text(max_size=8)),
        "null": st.none(),
    }
    allowed = st.just(schema["const"]) if "const" in schema else kinds[schema.get("type", "null")]
    return st.integers(0, 29).flatmap(lambda draw: junk if draw == 0 else allowed)


_ANSWERED = {"agent": "small", "moves": [4], "action": 0, "budget": 2, "total": 2}
"""What every endpoint answers, of that which it takes."""


def _near(
    answered: dict[str, Any], schema: dict[str, Any], parts: dict[str, Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """What is answered, or with some of it drawn anew."""
    fields = parts[schema["$ref"].rsplit("/", 1)[-1]]["properties"]
    base = {name: value for name, value in answered.items() if name in fields}
    drawn = {name: _strategy(each, parts) for name, each in fields.items()}
    near = st.fixed_dictionaries({}, optional=drawn).map(lambda some: {**base, **some})
    return st.one_of(st.just(base), near)


def _object(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    required = set(schema.get("required", ()))
    fields = {name: _strategy(each, parts) for name, each in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name in required},
        optional={name: each for name, each in fields.items() if name not in required},
    )


@pytest.fixture(scope="module")
def described_api(desk: Desk) -> Iterator[tuple[TestClient, dict[str, Any]]]:
    """Endpoints that soon have thought enough, and what they say of themselves."""
    with TestClient(make_app([desk], Limits(simulations=2)), raise_server_exceptions=False) as found:
        yield found, found.get("/openapi.json").json()


@pytest.fixture(scope="module")
def requests(described_api: tuple[TestClient, dict[str, Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    """A path and a body for it."""
    _, api = described_api
    parts = api["components"]["schemas"]
    bodies = {}
    for path, ways in api["paths"].items():
        if "post" in ways:
            schema = ways["post"]["requestBody"]["content"]["application/json"]["schema"]
            bodies[path] = st.one_of(_strategy(schema, parts), _near(_ANSWERED, schema, parts))
    return st.sampled_from(sorted(bodies)).flatmap(lambda path: st.tuples(st.just(path), bodies[path]))


def test_whatever_the_description_allows_is_answered_or_refused_in_a_sentence(
    described_api: tuple[TestClient, dict[str, Any]], requests: st.SearchStrategy[tuple[str, Any]]
) -> None:
    client, api = described_api
    answered: Counter[str] = Counter()

    @settings(max_examples=200)
    @given(request=requests)
    def ask_anything(request: tuple[str, Any]) -> None:
        path, body = request
        response = client.post(path, json=body)
        assert response.status_code < 500 or response.status_code == 503, (path, body, response.text)
        if response.status_code == 200:
            answered[path] += 1
        else:
            assert response.json()["error"]

    ask_anything()
    # What is refused at the door tells nothing of what is behind it.
    assert all(answered[path] >= 2 for path, ways in api["paths"].items() if "post" in ways), answered


@settings(max_examples=30)
@given(data=st.data())
def test_names_in_addresses_lead_nowhere_else(
    described_api: tuple[TestClient, dict[str, Any]], data: st.DataObject
) -> None:
    client, api = described_api
    path = data.draw(st.sampled_from([path for path, ways in api["paths"].items() if "get" in ways]))
    name = data.draw(
        st.one_of(st.just("small"), st.sampled_from(["..", "%2e%2e%2fetc"]), st.text("ab/.%", max_size=6))
    )
    response = client.get(path.replace("{name}", name))
    assert response.status_code in (200, 400, 404), (path, name)


def test_the_page_is_light_and_needs_nothing_from_elsewhere(client: TestClient) -> None:
    files = list((resources.files("exit.web") / "page").iterdir())
    assert sum(len(file.read_bytes()) for file in files) < 300_000
    for file in files:
        text = file.read_text(encoding="utf-8")
        elsewhere = set(re.findall(r"https?://[^\s\"')]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not elsewhere, file.name
    assert client.get("/").text.startswith("<!doctype html>")
    assert client.get("/page/main.js").headers["content-type"].startswith("text/javascript")


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_what_they_stand_on(scheme: int) -> None:
    style = (resources.files("exit.web") / "page" / "style.css").read_text(encoding="utf-8")
    colours = dict(
        re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style.split(":root {")[1 + scheme].split("}")[0])
    )
    pairs = [
        (word, ground) for word in ("ink", "soft", "main", "good", "bad") for ground in ("card", "paper")
    ]
    for word, ground in [*pairs, ("on-main", "main"), ("ink", "board")]:
        high, low = sorted((_luminance(colours[word]), _luminance(colours[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (word, ground)
