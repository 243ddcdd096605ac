"""Exact returns of policies: rules of thumb with known values, perfect play, and plain computation."""

import functools
from pathlib import Path

import numpy as np
import pytest

from exit.agent import Agent
from exit.bench import bench
from exit.catalog import load_game
from exit.errors import UserError
from exit.evaluate import (
    EvaluationConfig,
    expected_return,
    gap_closed,
    perfect_policy,
    policy_of,
    positions_of,
)
from exit.game import baselines_of
from exit.loop import RunConfig
from exit.rundir import RunInfo
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from exit.solve import exact_of_table, initial_value, states_of
from games.bandit import Bandit
from games.pig import Pig
from games.tic_tac_toe import TicTacToe
from tests.chance_games import Race
from tests.planted import Chain
from tests.tiny import NET, random_params, table_of


@pytest.mark.computes
@pytest.mark.parametrize(
    ("horizon", "greedy", "thompson"),
    [
        (10, 6.0058, 5.7045),
        pytest.param(20, 12.3654, 11.9318, marks=pytest.mark.slow),
        pytest.param(30, 18.7783, 18.2983, marks=pytest.mark.slow),
        (40, 25.2136, 24.7325),
    ],
)
def test_greedy_and_thompson_earn_what_is_known(horizon, greedy, thompson):
    game = load_game(f"bandit_2_{horizon}")
    for name, value in (("greedy", greedy), ("thompson", thompson)):
        earned = expected_return(game, policy_of(game, baselines_of(game)[name]))
        assert earned.value == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("greedy", 0, 0),
        ("bayes_ucb", 0.1, 0.3),
        ("gittins", 0.95, 1),
        ("ucb1", -13, -12),
        ("thompson", -7, -6),
    ],
)
def test_rules_of_thumb_close_the_gap_in_part(name, least, most):
    game = load_game("bandit_2_20")
    greedy, value = (
        expected_return(game, policy_of(game, baselines_of(game)[rule])).value for rule in ("greedy", name)
    )
    closed = gap_closed(value, baseline=greedy, optimal=initial_value(table_of(game)))
    assert least <= closed <= most


def test_an_index_is_exact_where_one_pull_is_left_and_greater_before():
    """With one pull left only the mean counts; with more, the arm that is known less is worth more."""
    game = load_game("bandit_2_10")
    gittins = baselines_of(game)["gittins"]
    # Equal means, one arm pulled twice, the other six times; two pulls left.
    states = game.init()._replace(successes=np.array([[1, 3]]), failures=np.array([[1, 3]]))
    assert gittins(states).tolist() == [[1.0, 0.0]]
    states = states._replace(successes=np.array([[1, 4]]), failures=np.array([[1, 3]]))
    assert gittins(states).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("name", ["bandit_3_10", "kelly_25_100_10", "2048_2x2"])
def test_perfect_play_earns_the_exact_value(name):
    game = load_game(name)
    table = table_of(game)
    earned = expected_return(game, perfect_policy(exact_of_table(table)))
    assert earned.value == pytest.approx(initial_value(table), rel=1e-12)
    assert 0 < earned.num_positions <= table.num_states - table.figures.terminal_states


def test_chances_are_weighed_as_actions_are():
    """A policy by chances is the mixture of what its actions lead to, at every state anew."""
    game = load_game("bandit_2_10")
    mixed = expected_return(game, lambda keys: np.full((len(keys), 2), 0.5))
    assert mixed.value == pytest.approx(5.0, abs=1e-12)
    assert expected_return(game, lambda keys: np.zeros(len(keys), np.int64)).value == pytest.approx(5.0)


def test_a_discounted_return_is_that_of_the_formula():
    """Walking on at once costs a factor 0.9 a step; stopping brings 1."""
    walks = expected_return(Chain(), lambda keys: np.ones(len(keys), np.int64))
    assert walks.value == pytest.approx(Chain.EXACT)
    assert expected_return(Chain(), lambda keys: np.zeros(len(keys), np.int64)).value == 1.0


@functools.cache
def _held_at(goal, limit, mine, theirs, sweeps=60):
    """Chances to win of a player who holds at a sum against one who does too, by plain value iteration."""
    chance = {}
    for _ in range(sweeps):
        for i in reversed(range(goal)):
            for j in reversed(range(goal)):
                for k in reversed(range(goal - i)):
                    chance[i, j, k] = _one_step(chance, goal, limit, i, j, k)
    return chance[mine, theirs, 0]


def _one_step(chance, goal, limit, i, j, k):
    if k >= limit:
        return 1 - chance.get((j, i + k, 0), 0.5)
    won = sum(1.0 if i + k + pips >= goal else chance.get((i, j, k + pips), 0.5) for pips in range(2, 7))
    return (1 - chance.get((j, i, 0), 0.5) + won) / 6


def test_a_policy_against_itself_where_positions_repeat():
    def hold_at_6(keys):
        return np.where(states_of(Pig(15), keys).turn >= 6, 0, 1)

    earned = expected_return(Pig(15), hold_at_6)
    assert (1 + earned.value) / 2 == pytest.approx(_held_at(15, 6, 0, 0), abs=1e-9)


def test_a_policy_against_a_perfect_opponent_loses_what_it_gives_away():
    game = Pig(15)
    exact, value = exact_of_table(table_of(game)), initial_value(table_of(game))
    perfect = perfect_policy(exact)

    def timid(keys):
        return np.where(states_of(game, keys).turn > 0, 0, 1)

    for first, best in ((True, value), (False, -value)):
        earned = expected_return(game, timid, opponent_fn=perfect, moves_first=first)
        assert earned.value < best - 0.05
        equal = expected_return(game, perfect, opponent_fn=perfect, moves_first=first)
        assert equal.value == pytest.approx(best, abs=1e-9)
    won = expected_return(game, perfect, opponent_fn=timid).value
    assert won == pytest.approx(-expected_return(game, timid, opponent_fn=perfect, moves_first=False).value)


def test_impossible_outcomes_are_not_paid():
    """What the rules say of an outcome that cannot happen is not a number."""
    earned = expected_return(Race(), perfect_policy(exact_of_table(table_of(Race()))))
    assert earned.value == pytest.approx(Race().exact(5, 5), abs=1e-12)


@pytest.mark.parametrize(
    ("policy_fn", "message"),
    [
        (lambda keys: np.full((len(keys), 25), 0.5), "chances that do not sum to one"),
        (lambda keys: np.eye(25)[np.full(len(keys), 24)], "plays an illegal action"),
        (lambda keys: np.full(len(keys), 24), "plays an illegal action"),
    ],
)
def test_what_is_no_policy_is_refused(policy_fn, message):
    with pytest.raises(ValueError, match=message):
        expected_return(load_game("kelly_5_25_4"), policy_fn)


def test_too_many_positions_are_refused():
    game = load_game("bandit_2_20")
    with pytest.raises(UserError, match="more than 100 positions"):
        expected_return(game, policy_of(game, baselines_of(game)["greedy"]), max_positions=100)


def test_no_gap_is_no_share():
    assert gap_closed(0.75, baseline=0.5, optimal=1.0) == 0.5
    with pytest.raises(ValueError, match="no gap"):
        gap_closed(1.0, baseline=1.0, optimal=1.0)


def test_the_bench_says_what_an_agent_earns_beside_perfect_play_and_rules_of_thumb() -> None:
    config = RunConfig(
        game=Bandit(2, 4),
        network=NET,
        search=SearchConfig(max_simulations=200),
        self_play=SelfPlayConfig(budget=16),
        evaluation=EvaluationConfig(budget=0),
    )
    params = random_params(config.game, scale=0.0)
    info = RunInfo("bandit_2_4", (), {})
    agent = Agent(config, config.search, params, 0, info, Path("nowhere"))
    exact = exact_of_table(table_of(config.game))
    found = bench(agent, exact, [0, 200], max_reached=0)
    returns = found["returns"]
    assert returns["optimal"] == pytest.approx(initial_value(table_of(config.game)))
    assert next(iter(returns["baselines"])) == "greedy"
    assert returns["baselines"]["greedy"]["gap_closed"] == 0
    reflex, search = found["budgets"]
    # A network that was never trained pulls any arm; search proves what is best in so small a game.
    assert reflex["gap_closed"] < 0
    assert search["expected_return"] == pytest.approx(returns["optimal"])
    assert search["gap_closed"] == pytest.approx(1.0)
    # A sample is searched anew wherever play leads.
    some = positions_of(exact, 10)
    again = bench(agent, exact, [0], positions=some, max_reached=0)
    assert again["budgets"][0]["expected_return"] == pytest.approx(reflex["expected_return"])


def test_games_that_name_no_baseline_have_no_returns() -> None:
    assert baselines_of(TicTacToe()) == {}
