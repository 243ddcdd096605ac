"""Exact metrics, against figures computed by plain Python from the rules of tic-tac-toe."""

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import numpy as np
import pytest

from exit.evaluate import (
    CHUNK,
    ActFn,
    Decisions,
    Positions,
    benchmark,
    critical_sample,
    decide,
    measure,
    mistakes,
    yardstick,
)
from exit.game import Game, State
from exit.search import SearchResult
from exit.solve import Exact, Table, exact_moves, exact_of_table, unfinished_keys
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.planted import TwoHeaps
from tests.tiny import table_of

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
FIRST_LEGAL = 0
LAST_LEGAL = -1


@functools.cache
def _value(mine: frozenset[int], theirs: frozenset[int]) -> int:
    """Exact value to the player to move, from the rules in plain Python."""
    if any(theirs.issuperset(line) for line in LINES):
        return -1
    return max(_move_values(mine, theirs).values(), default=0)


def _move_values(mine: frozenset[int], theirs: frozenset[int]) -> dict[int, int]:
    return {cell: -_value(theirs, mine | {cell}) for cell in range(9) if cell not in mine | theirs}


@functools.cache
def _positions() -> list[dict[int, int]]:
    """Values of the moves of every reachable unfinished position."""
    found, todo = {}, [(frozenset[int](), frozenset[int]())]
    while todo:
        mine, theirs = todo.pop()
        over = any(theirs.issuperset(line) for line in LINES) or len(mine | theirs) == 9
        if not over and (mine, theirs) not in found:
            found[mine, theirs] = _move_values(mine, theirs)
            todo += [(theirs, mine | {cell}) for cell in found[mine, theirs]]
    return list(found.values())


def _expected(move_fn: Callable[[dict[int, int]], int]) -> dict[str, Any]:
    """Figures of an agent that plays `move_fn` of the moves' values and values every position at 0.25."""
    regrets = [max(moves.values()) - moves[move_fn(moves)] for moves in _positions()]
    critical = [len(set(moves.values())) > 1 for moves in _positions()]
    on_critical = [regret for regret, flag in zip(regrets, critical, strict=True) if flag]
    off = [abs(Fraction(1, 4) - max(moves.values())) for moves in _positions()]
    return {
        "mistakes": sum(regret > 0 for regret in regrets),
        "mistake_rate": float(Fraction(sum(regret > 0 for regret in regrets), len(regrets))),
        "critical_mistake_rate": sum(regret > 0 for regret in on_critical) / len(on_critical),
        "mean_regret": float(Fraction(sum(regrets), len(regrets))),
        "max_regret": max(regrets),
        "value_mae": float(sum(off) / len(off)),
    }


# Results as NumPy arrays, of which only the move, the value and the simulations matter.
_Result: Any = SearchResult


def _agent(choose_fn: Callable[[Any, int], np.ndarray], table: Table, *, value: float = 0.25) -> ActFn:
    """An agent that chooses by the exact values of all moves and gives every position one value."""

    def act(states: State, budget: np.ndarray) -> SearchResult:
        moves = exact_moves(table, states)
        num = len(moves.values)
        assert num <= CHUNK
        return _Result(
            **dict.fromkeys(SearchResult._fields)
            | {
                "action": (action := np.asarray(choose_fn(moves, int(np.max(budget))), np.int32)),
                "action_weights": np.eye(moves.legal.shape[1], dtype=np.float32)[action],
                "value": np.full(num, value, np.float32),
                "num_simulations": np.asarray(budget, np.int32),
            }
        )

    return act


def _first(moves: Any, budget: int = 0) -> np.ndarray:
    return np.argmax(moves.legal, axis=1)


def _last(moves: Any, budget: int = 0) -> np.ndarray:
    return moves.legal.shape[1] - 1 - np.argmax(moves.legal[:, ::-1], axis=1)


def _worst(moves: Any, budget: int = 0) -> np.ndarray:
    return np.argmin(np.where(moves.legal, moves.qvalues, np.inf), axis=1)


def _best(moves: Any, budget: int = 0) -> np.ndarray:
    return np.argmax(moves.optimal, axis=1)


def _table() -> Table:
    return table_of(TicTacToe())


def _exact() -> Exact:
    return exact_of_table(_table())


def test_the_plain_rules_know_the_published_counts() -> None:
    assert len(_positions()) == 4520
    assert sum(len(set(moves.values())) > 1 for moves in _positions()) == 3191


@pytest.mark.parametrize(
    ("choose_fn", "move_fn"),
    [
        (_first, lambda moves: min(moves)),
        (_last, lambda moves: max(moves)),
        (_worst, lambda moves: min(moves, key=moves.__getitem__)),
        (_best, lambda moves: max(moves, key=moves.__getitem__)),
    ],
    ids=["first legal", "last legal", "worst", "best"],
)
def test_an_agent_of_known_moves_has_the_figures_of_plain_python(choose_fn: Any, move_fn: Any) -> None:
    found = benchmark(_agent(choose_fn, _table()), _exact(), [7]).figures
    assert found["positions"] == {"kind": "all", "count": 4520, "critical": 3191}
    (row,) = found["budgets"]
    expected = _expected(move_fn)
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert (row["budget"], row["mean_simulations"]) == (7, 7)
    assert row["ci95"] == dict.fromkeys(("mistake_rate", "critical_mistake_rate", "mean_regret", "value_mae"))
    assert row["ms_per_move"] >= 0


def test_the_known_agents_differ_as_they_must() -> None:
    best = _expected(lambda moves: max(moves, key=moves.__getitem__))
    worst = _expected(lambda moves: min(moves, key=moves.__getitem__))
    first = _expected(min)
    assert (best["mistakes"], best["max_regret"]) == (0, 0)
    assert (worst["mistakes"], worst["critical_mistake_rate"], worst["max_regret"]) == (3191, 1.0, 2)
    assert 0 < first["mistakes"] < worst["mistakes"]


def test_a_random_agent_has_the_expected_rate() -> None:
    rng = np.random.default_rng(0)

    def draw(moves: Any, budget: int) -> np.ndarray:
        return np.argmax(np.where(moves.legal, rng.random(moves.legal.shape), -1), axis=1)

    wrong = [
        sum(value < max(moves.values()) for value in moves.values()) / len(moves) for moves in _positions()
    ]
    deviation = np.sqrt(sum(rate * (1 - rate) for rate in wrong)) / len(wrong)
    (row,) = benchmark(_agent(draw, _table()), _exact(), [0]).figures["budgets"]
    assert abs(row["mistake_rate"] - np.mean(wrong)) < 5 * deviation
    assert 0.3 < np.mean(wrong) < 0.5


def test_the_gap_is_the_regret_that_search_removes() -> None:
    agent = _agent(lambda moves, budget: _best(moves) if budget > 8 else _first(moves), _table())
    found = benchmark(agent, _exact(), [64, 0, 8]).figures
    assert [row["budget"] for row in found["budgets"]] == [64, 0, 8]
    assert found["amortization_gap"] == pytest.approx(_expected(min)["mean_regret"])
    # Without the reflex, or without search, there is no gap to speak of.
    assert benchmark(agent, _exact(), [64, 32]).figures["amortization_gap"] is None
    assert benchmark(agent, _exact(), [0]).figures["amortization_gap"] is None


@pytest.mark.parametrize("kind", ["sample", "file"])
def test_some_positions_have_intervals_around_their_figures(kind: str) -> None:
    keys = unfinished_keys(_table())[::9]
    told = []
    found = benchmark(
        _agent(_first, _table()),
        _exact(),
        [3],
        positions=Positions(kind, keys),
        progress_fn=lambda *at: told.append(at),
    ).figures
    critical = int(yardstick(_exact(), keys).moves.critical.sum())
    assert found["positions"] == {"kind": kind, "count": len(keys), "critical": critical}
    (row,) = found["budgets"]
    for name, (low, high) in row["ci95"].items():
        assert low < row[name] < high
        assert high - low < 0.2
    assert told == [(3, len(keys), len(keys))]


def _measured(wrong: list[bool]) -> dict[str, Any]:
    """Figures where all positions are critical and just these are played wrong."""
    table, num = _table(), len(wrong)
    keys = critical_sample(exact_of_table(table), num).moves
    worst, best = _worst(keys), _best(keys)
    action = np.where(wrong, worst, best)
    return measure(
        Decisions(action, np.ones(num), keys.values, np.zeros(num, int), 1.0), keys, 0, exhaustive=False
    )


@pytest.mark.parametrize(
    ("mistakes_made", "positions", "expected"),
    [
        # Published examples of Wilson's interval at 95 %.
        (10, 100, (0.0552, 0.1744)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (1, 2, (0.0945, 0.9055)),
        (81, 263, (0.2553, 0.3662)),
    ],
)
def test_rates_have_the_interval_of_wilson(
    mistakes_made: int, positions: int, expected: tuple[float, float]
) -> None:
    row = _measured([index < mistakes_made for index in range(positions)])
    assert row["mistakes"] == mistakes_made
    assert row["ci95"]["mistake_rate"] == pytest.approx(expected, abs=5e-5)
    assert row["ci95"]["critical_mistake_rate"] == pytest.approx(expected, abs=5e-5)


def test_means_have_the_normal_interval() -> None:
    row = _measured([True] * 30 + [False] * 70)
    moves = critical_sample(_exact(), 100).moves
    regrets = (moves.values - moves.qvalues[np.arange(100), _worst(moves)]) * (np.arange(100) < 30)
    half = 1.96 * np.std(regrets, ddof=1) / 10
    expected = [regrets.mean() - half, regrets.mean() + half]
    assert row["mean_regret"] == pytest.approx(regrets.mean())
    assert row["ci95"]["mean_regret"] == pytest.approx(expected)
    assert row["ci95"]["value_mae"] == [0, 0]


def test_a_sample_is_fixed_critical_and_all_of_them_at_most() -> None:
    some, again, other = (critical_sample(_exact(), 200, seed=seed) for seed in (0, 0, 1))
    assert some.moves.critical.all()
    assert len(some.moves.values) == 200
    keys = [np.asarray(jax.vmap(TicTacToe().encode)(each.states)) for each in (some, again, other)]
    assert len(np.unique(keys[0])) == 200
    np.testing.assert_array_equal(keys[0], keys[1])
    assert not np.array_equal(keys[0], keys[2])
    everything = critical_sample(_exact(), 10**6)
    assert len(everything.moves.values) == everything.moves.critical.sum() == 3191


def test_a_sample_is_uniform_over_the_positions() -> None:
    """It must not prefer the early positions, which have the smallest keys."""
    stones = np.bitwise_count(critical_sample(_exact(), 1000).states.mine)
    everywhere = np.bitwise_count(critical_sample(_exact(), 10**6).states.mine)
    assert abs(stones.mean() - everywhere.mean()) < 5 * everywhere.std() / np.sqrt(1000)


def test_decisions_come_in_the_order_of_the_states() -> None:
    table = _table()
    states = yardstick(_exact(), unfinished_keys(table)).states
    told = []
    decisions = decide(
        _agent(_first, table), states, 5, progress_fn=lambda done, total: told.append((done, total))
    )
    legal = np.asarray(jax.vmap(table.game.legal_actions)(states))
    np.testing.assert_array_equal(decisions.action, np.argmax(legal, axis=1))
    np.testing.assert_array_equal(decisions.num_simulations, np.full(4520, 5))
    assert told == [(1024, 4520), (2048, 4520), (3072, 4520), (4096, 4520), (4520, 4520)]


@pytest.mark.parametrize("budget", [0, 5])
def test_what_is_timed_has_been_compiled_for_every_state(budget: int) -> None:
    table, asked = _table(), []
    act = _agent(_first, table)

    def act_and_tell(states: State, budgets: np.ndarray) -> SearchResult:
        asked.append(budgets)
        return act(states, budgets)

    decide(act_and_tell, yardstick(_exact(), unfinished_keys(table)[:8]).states, budget)
    # A call without simulations may be another program than one with some.
    assert [sorted(set(budgets.tolist())) for budgets in asked] == [[min(budget, 1)], [budget]]


@pytest.mark.parametrize("game", [TwoHeaps(), Nim((1, 1))], ids=lambda game: game.name)
def test_a_game_in_which_nothing_can_go_wrong_can_be_measured(game: Game) -> None:
    table = table_of(game)
    sample = critical_sample(exact_of_table(table), 10)
    decisions = decide(_agent(_first, table), sample.states, 4)
    assert mistakes(decisions, sample.moves).shape == (0,)
    found = benchmark(_agent(_first, table), exact_of_table(table), [0, 4]).figures
    assert found["positions"]["critical"] == 0
    assert [row["mistakes"] for row in found["budgets"]] == [0, 0]
    assert [row["critical_mistake_rate"] for row in found["budgets"]] == [0, 0]
