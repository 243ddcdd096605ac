"""Values of games in which positions come back, against closed forms and plain computation."""

from fractions import Fraction

import numpy as np
import pytest

from exit.errors import UserError
from exit.solve import Table, exact_moves_of_keys, initial_value, solve, summary
from exit.solve.keys import unpack
from games import pig
from tests.cyclic_games import Circle, Gambler, Pig, RandomCycles, Risk
from tests.solver_games import Ring


def _number_values(table: Table) -> dict[int, float]:
    """Values of a game whose key is one number."""
    return dict(zip(unpack(table.keys)[:, 0].tolist(), table.values.tolist(), strict=True))


def _error_bound(table: Table) -> float:
    return summary(table)["error_bound"]


def test_play_that_cannot_end_is_worth_nothing() -> None:
    table = solve(Ring())
    assert _number_values(table) == {0: 0.0, 1: 0.0, 2: 0.0}
    assert _error_bound(table) == 0.0
    assert exact_moves_of_keys(table, unpack(table.keys)).optimal.all()


def test_a_fair_walk_reaches_its_goal_in_proportion() -> None:
    # Stakes of 0 or 1 at even odds: with k of 8 coins the goal is reached with probability k/8.
    table = solve(Gambler(num_actions=2, luck=0.5))
    values = _number_values(table)
    assert _error_bound(table) < 1e-9
    for coins in range(1, 8):
        assert values[coins] == pytest.approx(coins / 8, abs=_error_bound(table) + 1e-14)


def test_an_unfair_walk_is_the_ruin_of_the_gambler() -> None:
    # Feller's formula: (1 - r^k) / (1 - r^n) with r the odds of losing.
    table = solve(Gambler(num_actions=2, luck=0.55))
    odds = Fraction(45, 55)
    for coins, value in _number_values(table).items():
        if 0 < coins < 8:
            expected = float((1 - odds**coins) / (1 - odds**8))
            assert value == pytest.approx(expected, abs=_error_bound(table) + 1e-14)
    moves = exact_moves_of_keys(table, np.array([[3]], np.uint32))
    assert moves.optimal[0].tolist() == [True, True]  # waiting gives nothing away


def test_bold_play_is_best_at_bad_odds() -> None:
    # With luck p, bold play from 1, 2 and 4 of 8 coins has to win three times, twice and once.
    table = solve(Gambler(luck=0.4))
    values = _number_values(table)
    assert [values[coins] for coins in (1, 2, 4, 6)] == pytest.approx([0.4**3, 0.4**2, 0.4, 0.4 + 0.6 * 0.4])
    assert exact_moves_of_keys(table, np.array([[4]], np.uint32)).optimal[0, 4]


def _pig(goal: int) -> dict[tuple[int, int, int], float]:
    """Chances to win of the player to move, by plain value iteration (Neller and Presser 2004)."""
    states = [(i, j, k) for i in range(goal) for j in range(goal) for k in range(goal - i)]
    chance = dict.fromkeys(states, 0.0)

    def of(i: int, j: int, k: int) -> float:
        return 1.0 if i + k >= goal else chance[i, j, k]

    for _ in range(400):
        furthest = 0.0
        for i, j, k in reversed(states):
            roll = (1 - of(j, i, 0) + sum(of(i, j, k + face) for face in range(2, 7))) / 6
            hold = 1 - of(j, i + k, 0)
            furthest = max(furthest, abs(max(roll, hold) - chance[i, j, k]))
            chance[i, j, k] = max(roll, hold)
        if furthest < 1e-15:
            break
    return chance


def test_pig_agrees_with_plain_value_iteration_in_every_state() -> None:
    game = Pig(10)
    table = solve(game)
    chance = _pig(10)
    assert 0 < _error_bound(table) < 1e-10
    unfinished = ~table.terminal
    numbers = unpack(table.keys)[unfinished, 0].tolist()
    for number, value in zip(numbers, table.values[unfinished].tolist(), strict=True):
        state = (number // 121, number // 11 % 11, number % 11)
        assert value == pytest.approx(2 * chance[state] - 1, abs=_error_bound(table) + 1e-13)
    assert len(numbers) > 300


def test_pig_among_the_games_is_worth_as_much() -> None:
    assert (1 + initial_value(solve(pig.Pig(10)))) / 2 == pytest.approx(_pig(10)[0, 0, 0], abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("num_outcomes", [1, 2])
def test_discounted_cycles_agree_with_long_games(seed: int, num_outcomes: int) -> None:
    game = RandomCycles(seed=seed, num_outcomes=num_outcomes, kind="discounted")
    table, expected = solve(game), game.finite_values(2000)
    assert _error_bound(table) < 1e-8
    for state, value in _number_values(table).items():
        assert value == pytest.approx(expected[state], abs=_error_bound(table) + 1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_deterministic_games_are_won_lost_or_drawn_by_repetition(seed: int) -> None:
    game = RandomCycles(seed=seed, num_outcomes=1, kind="endless", value_bounds=(-1.0, 1.0))
    table, expected = solve(game), game.finite_values(2 * game.size)
    values = _number_values(table)
    assert values == {state: expected[state] for state in values}
    assert _error_bound(table) == 0.0


def test_who_may_wait_forever_does_not_profit_from_a_horizon() -> None:
    game = Risk()
    assert game.finite_values(50)[0] == 0.5
    values = _number_values(solve(game))
    assert values[0] == pytest.approx(1 / 3, abs=1e-9)
    assert values[1] == pytest.approx(-1 / 3, abs=1e-9)


@pytest.mark.parametrize("seed", [4, 7, 11])
def test_chance_and_endless_play_are_bounded_by_each_other(seed: int) -> None:
    """No value can be improved by any move, and either player's moves lead to the end with chance."""
    game = RandomCycles(seed=seed, kind="endless", value_bounds=(-1.0, 1.0))
    table, rules = solve(game), game.rules
    values = np.zeros(game.size)
    for state, value in _number_values(table).items():
        values[state] = value
    qvalues = (rules.probs * (rules.reward + rules.discount * values[rules.child])).sum(axis=-1)
    best = np.where(rules.legal, qvalues, -np.inf).max(axis=1)
    for state in _number_values(table):
        if rules.legal[state].any():
            assert values[state] == pytest.approx(best[state], abs=2 * _error_bound(table) + 1e-13)
    assert _error_bound(table) < 1e-9


def test_rewards_on_the_way_of_endless_play_are_refused() -> None:
    with pytest.raises(UserError, match="4 states of circle have no value: play may go on forever"):
        solve(Circle())


def test_value_bounds_that_do_not_hold_are_noticed() -> None:
    with pytest.raises(UserError, match=r"value_bounds \(-1\.0, 1\.0\) of circle do not hold"):
        solve(Circle(cost=0.0))
