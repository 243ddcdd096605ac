"""The exact solver against closed forms, published counts and plain-Python solutions."""

import errno
import json
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.errors import UserError
from exit.game import Game, Step
from exit.solve import (
    Table,
    exact_moves,
    exact_moves_of_keys,
    initial_value,
    load_or_solve,
    load_table,
    save_table,
    solve,
    states_of,
    summary,
    table_directory,
    unfinished_keys,
)
from exit.solve.keys import SeenKeys, distinct, pack, positions, union, unpack
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe, TicTacToeState
from tests.planted import BonusHeap, Chain, Dice, LeakyHeap


class NumberState(NamedTuple):
    number: Int32[Array, ""]


@dataclass(frozen=True)
class Numbers:
    """Base of games whose states are numbers; with nothing else said, one counts up and never ends."""

    name: str = "numbers"
    num_actions: int = 1
    num_outcomes: int = 1
    version: int = 1
    observation_shape: tuple[int, ...] = ()
    value_bounds: tuple[float, float] = (-1.0, 1.0)

    def init(self) -> NumberState:
        return NumberState(jnp.int32(0))

    def legal_actions(self, state: NumberState) -> Bool[Array, " A"]:
        return jnp.ones(self.num_actions, bool)

    def outcome_probs(self, state: NumberState, action: Int[Array, ""]) -> Float[Array, " C"]:
        return jnp.ones(self.num_outcomes) / self.num_outcomes

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        return NumberState(state.number + 1), Step(jnp.float32(0), jnp.float32(1))

    def observe(self, state: NumberState) -> Float[Array, ""]:
        return state.number.astype(jnp.float32)

    def encode(self, state: NumberState) -> UInt32[Array, "1"]:
        return state.number.astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> NumberState:
        return NumberState(key[0].astype(jnp.int32))


@dataclass(frozen=True)
class Ring(Numbers):
    """Three states that follow one another in a circle."""

    name: str = "ring"

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        return NumberState((state.number + 1) % 3), Step(jnp.float32(0), jnp.float32(-1))


class Rules(NamedTuple):
    """Moves of a game written down as tables over states, actions and outcomes."""

    legal: np.ndarray
    probs: np.ndarray
    child: np.ndarray
    reward: np.ndarray
    discount: np.ndarray


@cache
def _random_rules(seed: int, size: int, num_actions: int, num_outcomes: int) -> Rules:
    """Moves to later states, near and far; the last state is terminal, others may be."""
    rng = np.random.default_rng(seed)
    shape = (size, num_actions, num_outcomes)
    legal = rng.random((size, num_actions)) < 0.7
    legal[0], legal[-1] = True, False
    weights = rng.random(shape) * (rng.random(shape) < 0.7)
    weights[..., 0] += 0.1
    child = np.minimum(np.arange(size)[:, None, None] + rng.integers(1, 9, shape), size - 1)
    going_on = np.logical_or.reduce(legal, axis=1)
    discount = np.where(going_on[child], rng.choice([-1, 0.9, -0.9, 1], shape), 0.0)
    return Rules(
        legal, weights / weights.sum(axis=-1, keepdims=True), child, rng.normal(size=shape), discount
    )


@dataclass(frozen=True)
class Random(Numbers):
    """A game whose states are reached by lines of play of different lengths, with chance and bonus moves."""

    name: str = "random"
    seed: int = 0
    size: int = 60
    num_actions: int = 3
    num_outcomes: int = 3
    value_bounds: tuple[float, float] = (-1e3, 1e3)

    @property
    def rules(self) -> Rules:
        return _random_rules(self.seed, self.size, self.num_actions, self.num_outcomes)

    def legal_actions(self, state: NumberState) -> Bool[Array, " A"]:
        return jnp.asarray(self.rules.legal)[state.number]

    def outcome_probs(self, state: NumberState, action: Int[Array, ""]) -> Float[Array, " C"]:
        return jnp.asarray(self.rules.probs)[state.number, action]

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        child, reward, discount = (
            jnp.asarray(table)[state.number, action, outcome] for table in self.rules[2:]
        )
        return NumberState(child.astype(jnp.int32)), Step(reward, discount)


@dataclass(frozen=True)
class LongKeys(TicTacToe):
    """Tic-tac-toe with keys of three words."""

    def encode(self, state: TicTacToeState) -> UInt32[Array, "3"]:
        return jnp.stack([state.mine, jnp.uint32(7), state.theirs])

    def decode(self, key: UInt32[Array, "3"]) -> TicTacToeState:
        return TicTacToeState(mine=key[0], theirs=key[2])


@dataclass(frozen=True)
class NewRules(TicTacToe):
    version = 2


@pytest.fixture(scope="module")
def tic_tac_toe() -> Table:
    return solve(TicTacToe())


def _number_values(table: Table) -> dict[int, float]:
    """Values of a game whose key is one number."""
    return dict(zip(unpack(table.keys)[:, 0].tolist(), table.values.tolist(), strict=True))


def _line(board: str) -> bool:
    triples = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
    return any(board[a] == board[b] == board[c] == "o" for a, b, c in triples)


@cache
def _negamax(board: str) -> tuple[int, dict[int, int]]:
    """Value to the player to move, who has the x, and value of each move; by plain recursion."""
    if _line(board) or "." not in board:
        return (-1 if _line(board) else 0), {}
    swapped = str.maketrans("xo", "ox")
    moves = {
        cell: -_negamax((board[:cell] + "x" + board[cell + 1 :]).translate(swapped))[0]
        for cell in range(9)
        if board[cell] == "."
    }
    return max(moves.values()), moves


def test_tic_tac_toe_counts(tic_tac_toe: Table) -> None:
    figures = summary(tic_tac_toe)
    assert (figures["states"], figures["value"]) == (5478, 0.0)
    assert figures["states_by_ply"] == [1, 9, 72, 252, 756, 1260, 1520, 1140, 390, 78]
    keys = unfinished_keys(tic_tac_toe)
    assert len(keys) == 4520 == figures["states"] - figures["terminal_states"]
    assert exact_moves_of_keys(tic_tac_toe, keys).critical.sum() == 3191


def test_every_tic_tac_toe_move_agrees_with_plain_recursion(tic_tac_toe: Table) -> None:
    keys = unfinished_keys(tic_tac_toe)
    states, moves = states_of(TicTacToe(), keys), exact_moves_of_keys(tic_tac_toe, keys)
    for row, (mine, theirs) in enumerate(zip(states.mine.tolist(), states.theirs.tolist(), strict=True)):
        board = "".join("x" if mine >> c & 1 else "o" if theirs >> c & 1 else "." for c in range(9))
        value, qvalues = _negamax(board)
        assert moves.values[row] == value
        assert moves.qvalues[row].tolist() == [qvalues.get(cell, -np.inf) for cell in range(9)]
        assert moves.optimal[row].tolist() == [qvalues.get(cell) == value for cell in range(9)]
        assert moves.legal[row].tolist() == [cell in qvalues for cell in range(9)]
    _negamax.cache_clear()


def test_connect_four_4x4_is_a_draw_of_161029_states() -> None:
    table = solve(ConnectFour(4, 4))
    assert (len(table.keys), sum(table.states_by_ply), initial_value(table)) == (161_029, 161_029, 0.0)


def test_nim_is_won_unless_the_xor_of_heaps_is_zero() -> None:
    game = Nim((3, 4, 5))
    table = solve(game)
    heaps = states_of(game, unpack(table.keys)).heaps
    assert sorted(map(tuple, heaps.tolist())) == list(product(range(4), range(5), range(6)))
    won = np.bitwise_xor.reduce(heaps, axis=1) != 0
    empty = heaps.sum(axis=1) == 0
    np.testing.assert_array_equal(table.values, np.where(won, 1.0, np.where(empty, 0.0, -1.0)))
    # A heap is emptied in one move, so the fewest moves to a state are the heaps that were touched.
    assert table.states_by_ply == (1, 3 + 4 + 5, 3 * 4 + 3 * 5 + 4 * 5, 3 * 4 * 5)


@pytest.mark.parametrize("game", [Chain(), Dice(), LeakyHeap(), BonusHeap()], ids=lambda game: game.name)
def test_planted_games_have_their_closed_form_value(game: Chain | Dice | LeakyHeap | BonusHeap) -> None:
    assert initial_value(solve(game)) == pytest.approx(game.EXACT, abs=1e-12)


@pytest.mark.parametrize("game", [LeakyHeap(), BonusHeap()], ids=lambda game: game.name)
def test_every_state_of_a_planted_game_has_its_closed_form_value(game: LeakyHeap | BonusHeap) -> None:
    values = _number_values(solve(game))
    assert values == pytest.approx({left: game.VALUES[left] for left in values}, abs=1e-12)
    assert len(values) > 5


@pytest.mark.parametrize(("seed", "num_outcomes"), [(0, 1), (1, 2), (2, 3)])
def test_random_games_agree_with_plain_backward_induction(seed: int, num_outcomes: int) -> None:
    game = Random(seed=seed, num_outcomes=num_outcomes)
    rules = game.rules
    values, qvalues = np.zeros(game.size), np.full((game.size, game.num_actions), -np.inf)
    for state in reversed(range(game.size)):
        for action in np.flatnonzero(rules.legal[state]):
            returns = (
                rules.reward[state, action]
                + rules.discount[state, action] * values[rules.child[state, action]]
            )
            qvalues[state, action] = rules.probs[state, action] @ returns
        if rules.legal[state].any():
            values[state] = qvalues[state].max()
    reached, frontier = {0}, [0]
    while frontier:
        state = frontier.pop()
        into = rules.child[state][rules.legal[state][:, None] & (rules.probs[state] > 0)]
        frontier += set(into.tolist()) - reached
        reached |= set(into.tolist())

    table = solve(game)
    assert _number_values(table) == pytest.approx({state: values[state] for state in reached}, abs=1e-12)
    moves = exact_moves_of_keys(table, unpack(table.keys))
    np.testing.assert_allclose(moves.qvalues, qvalues[unpack(table.keys)[:, 0]], atol=1e-12)


def test_keys_of_three_words(tic_tac_toe: Table) -> None:
    table = solve(LongKeys())
    assert summary(table)["states_by_ply"] == summary(tic_tac_toe)["states_by_ply"]
    states = states_of(TicTacToe(), unfinished_keys(tic_tac_toe))
    for long, short in zip(exact_moves(table, states), exact_moves(tic_tac_toe, states), strict=True):
        np.testing.assert_array_equal(long, short)


def test_terminal_states_have_no_move(tic_tac_toe: Table) -> None:
    moves = exact_moves_of_keys(tic_tac_toe, unpack(tic_tac_toe.keys[tic_tac_toe.terminal]))
    assert not moves.legal.any()
    assert not moves.optimal.any()
    assert not moves.values.any()
    assert (moves.qvalues == -np.inf).all()
    assert not moves.critical.any()


def test_regret_is_what_a_move_gives_away(tic_tac_toe: Table) -> None:
    # x in a corner, o in the middle of a side next to it: x wins, but not from everywhere.
    state = jax.tree.map(lambda leaf: leaf[None], TicTacToeState(mine=jnp.uint32(1), theirs=jnp.uint32(2)))
    moves = exact_moves(tic_tac_toe, state)
    assert moves.values.tolist() == [1.0]
    assert moves.regrets[0, [0, 1]].tolist() == [np.inf, np.inf]
    assert moves.regrets[0, [4, 5]].tolist() == [0.0, 1.0]


def test_batches_of_any_size_share_programs(tic_tac_toe: Table) -> None:
    traces = []

    class Counting(TicTacToe):
        def decode(self, key: UInt32[Array, "1"]) -> TicTacToeState:
            traces.append(key)
            return super().decode(key)

    table = solve(Counting())
    num_traces = len(traces)
    keys = unfinished_keys(table)
    sizes = [0, 1, 2, 3, 7, 100, 255, 256, 257, 1000, 4520]
    for size in sizes:
        moves = exact_moves_of_keys(table, keys[:size])
        np.testing.assert_array_equal(moves.values, exact_moves_of_keys(tic_tac_toe, keys).values[:size])
    assert len(traces) == num_traces


def test_states_survive_the_way_through_their_keys(tic_tac_toe: Table) -> None:
    keys = unpack(tic_tac_toe.keys)
    for num_states in (0, 1, len(keys)):
        states = states_of(TicTacToe(), keys[:num_states])
        assert states.mine.shape == states.theirs.shape == (num_states,)
        assert states.mine.dtype == TicTacToe().init().mine.dtype
        np.testing.assert_array_equal(
            exact_moves(tic_tac_toe, states).values, tic_tac_toe.values[:num_states]
        )


def test_double_precision_stays_inside_the_solver(tic_tac_toe: Table) -> None:
    assert tic_tac_toe.values.dtype == np.float64
    assert jnp.zeros(1).dtype == jnp.float32
    assert states_of(Dice(), unpack(solve(Dice()).keys)).face.dtype == np.int32


def test_progress_counts_every_state_twice() -> None:
    calls: list[tuple[str, int, int]] = []
    table = solve(TicTacToe(), progress_fn=lambda phase, layer, states: calls.append((phase, layer, states)))
    assert calls[9] == ("enumerate", 9, len(table.keys))
    assert calls[-1] == ("solve", 0, len(table.keys))
    assert len(calls) == 20


def test_unreachable_states_are_refused(tic_tac_toe: Table) -> None:
    two_stones_ahead = TicTacToeState(mine=jnp.array([0b11], jnp.uint32), theirs=jnp.array([0], jnp.uint32))
    with pytest.raises(UserError, match="state not reachable in tic_tac_toe"):
        exact_moves(tic_tac_toe, two_stones_ahead)
    with pytest.raises(UserError, match="state not reachable"):
        exact_moves_of_keys(tic_tac_toe, np.zeros((1, 2), np.uint32))


@pytest.mark.parametrize(
    ("game", "max_bytes", "report"),
    [
        (Numbers(), 20_000, r"about 500 states fit in the 0\.0 MB allowed, 501 were found by ply 500"),
        (
            ConnectFour(6, 7),
            1_000_000,
            r"about 20,833 states fit in the 1\.0 MB allowed, 2\d,\d{3} were found",
        ),
    ],
    ids=["endless", "connect_four"],
)
def test_memory_runs_out_with_a_report(game: Game, max_bytes: int, report: str) -> None:
    with pytest.raises(UserError, match=report):
        solve(game, max_bytes=max_bytes)


def test_moves_that_do_not_fit_in_memory_are_reported() -> None:
    with pytest.raises(UserError, match="does not fit in memory"):
        solve(Nim((3, 4, 5)), max_bytes=10_000)


def test_repeating_positions_are_refused() -> None:
    with pytest.raises(UserError, match="positions repeat in ring: 3 of its 3 states"):
        solve(Ring())


def test_a_stored_table_is_the_same_table(tic_tac_toe: Table, tmp_path: Path) -> None:
    stored = save_table(tic_tac_toe, tmp_path / "table")
    loaded = load_table(TicTacToe(), tmp_path / "table")
    assert summary(loaded) == summary(stored) == {**summary(tic_tac_toe), "table": str(tmp_path / "table")}
    for name in ("keys", "values", "terminal"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(tic_tac_toe, name))
    keys = unfinished_keys(tic_tac_toe)
    assert exact_moves_of_keys(loaded, keys).critical.sum() == 3191


def test_keys_of_three_words_are_stored_too(tmp_path: Path) -> None:
    table = save_table(solve(LongKeys()), tmp_path)
    assert (load_table(LongKeys(), tmp_path).keys == table.keys).all()


def test_storing_again_leaves_one_table(tic_tac_toe: Table, tmp_path: Path) -> None:
    save_table(solve(LongKeys()), tmp_path)
    save_table(tic_tac_toe, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert len(load_table(TicTacToe(), tmp_path).keys) == 5478


@pytest.mark.parametrize("name", ["keys", "values", "terminal", "meta"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
def test_damaged_tables_are_refused(tic_tac_toe: Table, tmp_path: Path, name: str, damage: str) -> None:
    save_table(tic_tac_toe, tmp_path)
    (path,) = tmp_path.glob(f"{name}.*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-1])
        case "flip":
            path.write_bytes(content)
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
    with pytest.raises(UserError, match="xit solve tic_tac_toe") as refusal:
        load_table(TicTacToe(), tmp_path)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize(
    ("game", "reason"),
    [
        (NewRules(), "has version 1, expected 2"),
        (Nim((3, 4, 5)), "has game 'tic_tac_toe', expected 'nim_3_4_5'"),
        (LongKeys(), "has rules"),
    ],
)
def test_tables_of_other_rules_are_refused(
    tic_tac_toe: Table, tmp_path: Path, game: Game, reason: str
) -> None:
    save_table(tic_tac_toe, tmp_path)
    with pytest.raises(UserError, match=reason):
        load_table(game, tmp_path)


def test_tables_of_another_format_are_refused(
    tic_tac_toe: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_table(tic_tac_toe, tmp_path)
    monkeypatch.setattr("exit.solve.store.FORMAT", 99)
    with pytest.raises(UserError, match="has format 1, expected 99"):
        load_table(TicTacToe(), tmp_path)


def test_a_table_is_solved_once_and_again_when_damaged(tmp_path: Path) -> None:
    solved: list[str] = []
    warned: list[str] = []

    def load() -> Table:
        return load_or_solve(
            Nim((2, 3)),
            directory=tmp_path,
            progress_fn=lambda phase, layer, states: solved.append(phase),
            warn_fn=warned.append,
        )

    first = load()
    num_calls = len(solved)
    assert num_calls > 0
    assert summary(load()) == summary(first)
    assert (len(solved), warned) == (num_calls, [])

    (tmp_path / "meta.json").write_text(json.dumps({"table": {}, "digest": ""}))
    assert summary(load())["states"] == 12
    assert len(solved) == 2 * num_calls
    (warning,) = warned
    assert "is damaged" in warning
    assert load_table(Nim((2, 3)), tmp_path).states_by_ply == first.states_by_ply

    load_or_solve(Nim((2, 3)), directory=tmp_path, force=True, warn_fn=warned.append)
    assert len(warned) == 1


def test_a_table_that_cannot_be_kept_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    warned: list[str] = []
    table = load_or_solve(Nim((2, 3)), directory=tmp_path / "file" / "table", warn_fn=warned.append)
    assert (len(table.keys), table.directory, len(warned)) == (12, None, 1)
    assert "XIT_CACHE_DIR" in warned[0]


def test_a_full_disk_leaves_the_older_table_whole(
    tic_tac_toe: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_table(tic_tac_toe, tmp_path)
    before = sorted(tmp_path.iterdir())

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    warned: list[str] = []
    table = load_or_solve(TicTacToe(), directory=tmp_path, force=True, warn_fn=warned.append)
    assert table.directory is None
    assert "No space left on device" in warned[0]
    assert sorted(tmp_path.iterdir()) == before
    assert len(load_table(TicTacToe(), tmp_path).keys) == 5478


def test_tables_are_kept_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", "/own")
    assert table_directory(TicTacToe()) == Path("/own/tables/tic_tac_toe")
    monkeypatch.delenv("XIT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert table_directory(TicTacToe()) == Path("/shared/xit/tables/tic_tac_toe")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert table_directory(TicTacToe()) == Path.home() / ".cache/xit/tables/tic_tac_toe"


@given(
    num_words=st.integers(1, 3),
    rows=st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=40),
)
def test_packed_keys_behave_as_sets(num_words: int, rows: list[list[int]]) -> None:
    words = np.array(rows, np.uint32)[:, :num_words] << np.uint32(30)
    keys = pack(words)
    np.testing.assert_array_equal(unpack(keys), words)
    expected = {tuple(row) for row in words.tolist()}
    first, second = distinct(keys[::2].copy()), distinct(keys[1::2].copy())
    both = union([first, second])
    assert len(both) == len(expected)
    assert {tuple(row) for row in unpack(both).tolist()} == expected
    assert (both[positions(both, keys)] == keys).all()
    seen = SeenKeys()
    seen.add(first)
    assert seen.contains(second).tolist() == [
        row in unpack(first).tolist() for row in unpack(second).tolist()
    ]
    seen.add(second[~seen.contains(second)])
    assert seen.contains(both).all()


def test_searching_a_long_table_from_scattered_queries() -> None:
    keys = np.arange(0, 400_000, 2, dtype=np.uint32)
    queries = np.random.default_rng(0).choice(keys, 5000)
    np.testing.assert_array_equal(positions(keys, queries), queries // 2)
