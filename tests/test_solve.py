"""The exact solver against closed forms, published counts and plain-Python solutions."""

from functools import cache
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, UInt32

from exit.errors import UserError
from exit.game import Game
from exit.solve import (
    Table,
    TooLarge,
    exact_moves,
    exact_moves_of_keys,
    fits_in_memory,
    initial_value,
    solve,
    states_of,
    summary,
    unfinished_keys,
)
from exit.solve.coding import chunk_rows
from exit.solve.keys import unpack
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe, TicTacToeState
from tests.broken import KeyHalf, KeyShared
from tests.planted import BonusHeap, Chain, Dice, LeakyHeap
from tests.solver_games import LongKeys, Numbers, Random, Tie


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
    assert (table.num_states, initial_value(table)) == (161_029, 0.0)


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
            possible = rules.probs[state, action] > 0
            probs, reward, discount, child = (
                table[state, action, possible]
                for table in (rules.probs, rules.reward, rules.discount, rules.child)
            )
            qvalues[state, action] = probs @ (reward + discount * values[child])
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
    expected = qvalues[unpack(table.keys)[:, 0]]
    np.testing.assert_allclose(moves.qvalues, expected, atol=1e-12)
    best = expected.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(moves.optimal, (expected == best) & (best > -np.inf))


def test_moves_that_differ_by_rounding_are_equally_good() -> None:
    table = solve(Tie())
    moves = exact_moves(table, states_of(Tie(), np.zeros((1, 1), np.uint32)))
    assert moves.qvalues[0].tolist() == [0.3, 0.1 + 0.2] != [0.3, 0.3]
    assert moves.optimal.all()
    assert (moves.regrets == 0).all()
    assert not moves.critical.any()


def test_work_in_chunks_gives_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    game = ConnectFour(4, 4, connect=3)
    whole = solve(game)
    monkeypatch.setattr("exit.solve.coding._CHUNK_SUCCESSORS", 1 << 9)
    monkeypatch.setattr("exit.solve.coding._SMALL_CHUNK_SUCCESSORS", 1 << 6)
    monkeypatch.setattr("exit.solve.coding._MANY_CHUNKS", 2)
    monkeypatch.setattr("exit.solve.merge._SHARE_OF_PENDING", 1 << 40)
    monkeypatch.setattr("exit.solve.merge._MAX_RANGE_BYTES", 1 << 14)
    monkeypatch.setattr("exit.solve.keys._SHARED_UNION_MIN", 1 << 10)
    monkeypatch.setattr("exit.solve.keys._SORTED_SEARCH_MIN", 1 << 4)
    monkeypatch.setattr("exit.solve.keys._SEARCH_BLOCK", 1 << 4)
    parts = solve(game)
    assert parts.states_by_ply == whole.states_by_ply
    assert max(parts.states_by_ply) > 20 * chunk_rows(game, max(parts.states_by_ply))
    for name in ("keys", "values", "terminal", "optimal"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    keys = unfinished_keys(whole)
    for in_parts, at_once in zip(
        exact_moves_of_keys(parts, keys), exact_moves_of_keys(whole, keys), strict=True
    ):
        np.testing.assert_array_equal(in_parts, at_once)


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
    keys = unfinished_keys(table)
    exact_moves_of_keys(table, keys[:1])
    num_traces = len(traces)
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
    assert calls[9] == ("enumerate", 9, table.num_states)
    assert calls[-1] == ("solve", 0, table.num_states)
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
        (Numbers(), 20_000, r"about 588 states fit in the 0\.0 MB allowed, 589 were found by ply 588"),
        (
            ConnectFour(6, 8),
            1_000_000,
            r"about 40,000 states fit in the 1\.0 MB allowed, 4\d,\d{3} were found",
        ),
    ],
    ids=["endless", "connect_four"],
)
def test_memory_runs_out_with_a_report(game: Game, max_bytes: int, report: str) -> None:
    with pytest.raises(UserError, match=report):
        solve(game, max_bytes=max_bytes)


def test_a_known_number_of_states_is_held_against_memory_first() -> None:
    phases = []
    with pytest.raises(TooLarge, match=r"it has 4,531,985,219,092 states, about 40,000 fit in the 1\.0 MB"):
        solve(ConnectFour(6, 7), max_bytes=1_000_000, progress_fn=lambda *report: phases.append(report))
    assert not phases
    assert not fits_in_memory(ConnectFour(6, 7))
    assert fits_in_memory(ConnectFour(4, 4))


def test_moves_that_do_not_fit_in_memory_are_reported() -> None:
    with pytest.raises(UserError, match="does not fit in memory"):
        solve(Nim((3, 4, 5)), max_bytes=10_000)


@pytest.mark.parametrize("game", [KeyShared(), KeyHalf()], ids=lambda game: type(game).__name__)
def test_keys_that_are_not_unique_are_named(game: Game) -> None:
    with pytest.raises(
        UserError, match=r"encode of two_heaps is not unique.*: key \[\d+\] is that of"
    ) as refusal:
        solve(game)
    assert "\n" not in str(refusal.value)
