"""What rules save: means at thresholds, mixed thresholds, and each rule on looks made by hand."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from exit.evaluate import Yardstick
from exit.evaluate.allocation import (
    Looks,
    Spending,
    fixed_spending,
    look,
    saving,
    simulations_for,
    spending,
)
from exit.evaluate.stopping import (
    RULES,
    features,
    gain_seen_later,
    oracle,
    stops_of,
    when_proven,
    when_settled,
)
from exit.search import SearchResult
from exit.solve import ExactMoves

_BUDGETS = np.array([0, 2, 4, 8])


def _looks(visits: list[list[list[int]]], **changes: Any) -> Looks:
    """Two actions of n states; the second action is the mistake, by 1."""
    seen = np.array(visits, float)
    num_looks, num_states, _ = seen.shape
    action = seen.argmax(-1)
    weights = (seen + 0.5) / (seen.sum(-1, keepdims=True) + 1)
    made = Looks(
        budgets=_BUDGETS[:num_looks],
        spent=seen.sum(-1).astype(int),
        action=action,
        regret=action.astype(float),
        weights=weights,
        visits=seen,
        qvalues=np.broadcast_to([0.5, -0.5], seen.shape),
        prior=np.full((num_states, 2), 0.5),
        proven=np.zeros((num_looks, num_states), bool),
        bounds=(-1.0, 1.0),
    )
    return made._replace(**changes)


# The first state is right from the start, the second wrong until four simulations.
_PAIR = [[[0, 0], [0, 1]], [[2, 0], [1, 1]], [[4, 0], [2, 2]], [[8, 0], [6, 2]]]


def _pair() -> Looks:
    looks = _looks(_PAIR)
    return looks._replace(
        spent=np.broadcast_to(_BUDGETS[:, None], (4, 2)), regret=np.array([[0, 1], [0, 1], [0, 0], [0, 0.0]])
    )


def test_means_at_thresholds_and_between_them() -> None:
    looks = _pair()
    found = fixed_spending(looks)
    np.testing.assert_array_equal(found.simulations, _BUDGETS)
    np.testing.assert_array_equal(found.regret, [0.5, 0.5, 0, 0])
    assert simulations_for(found, 0.0) == 4
    # Half of the states at none, half at four.
    assert simulations_for(found, 0.25) == 2
    assert simulations_for(found, 0.5) == 0
    assert simulations_for(Spending(np.array([1.0]), np.array([0.5])), 0.1) is None
    # Only the second state needs its four.
    np.testing.assert_allclose(spending(looks, np.array([[0, 2]])).simulations, [2.0])
    assert saving(looks, np.array([[0, 2]]), 0.0) == pytest.approx(2.0)
    assert saving(looks, np.array([[0, 2]]), 0.0, looks.spent + 1) == pytest.approx(4 / 3)
    # A rule that never comes so low, and a regret that the reflex has.
    assert saving(looks, np.array([[0, 0]]), 0.0) is None
    assert saving(looks, np.array([[0, 2]]), 0.5) is None


def test_the_oracle_spends_least_at_any_regret() -> None:
    rng = np.random.default_rng(0)
    visits = np.cumsum(rng.integers(0, 3, (4, 50, 2)), axis=0)
    looks = _looks(visits.tolist())._replace(
        spent=np.broadcast_to(_BUDGETS[:, None], (4, 50)), regret=rng.random((4, 50)) * [[4], [3], [2], [1]]
    )
    best = spending(looks, oracle(looks))
    for name, rule in RULES.items():
        found = spending(looks, rule(looks))
        for simulations, regret in zip(*found, strict=True):
            needed = simulations_for(best, regret)
            assert needed is not None, name
            assert needed <= simulations + 1e-9, name


def test_a_lead_that_cannot_be_caught_up_ends_thinking() -> None:
    looks = _pair()
    stops = when_settled(looks)
    # Of a budget of 8, a lead of 4 with 4 to come may still be caught up, one of 8 with none not.
    np.testing.assert_array_equal(stops[3], [3, 3])
    # Of a budget of 4, a lead of 2 after two simulations may be; none is by the second state.
    np.testing.assert_array_equal(stops[2], [2, 2])
    early = looks._replace(visits=looks.visits + np.array([[[0, 0]], [[3, 0]], [[3, 0]], [[3, 0]]]))
    np.testing.assert_array_equal(when_settled(early)[2], [1, 1])


@pytest.mark.parametrize("name", RULES)
def test_rules_go_on_to_the_end_if_asked_and_never_past_a_proof(name: str) -> None:
    looks = _pair()
    looks = looks._replace(proven=np.array([[False, False], [True, False], [True, False], [True, False]]))
    stops = RULES[name](looks)
    if name != "when proven":
        assert stops[:, 0].max() == 1
    assert stops[:, 1].max() == 3
    assert stops.min() >= 0


@pytest.mark.parametrize(
    "name", ["KL gain", "policy change", "entropy", "likely information", "doubted information"]
)
def test_thresholds_trade_simulations_for_regret(name: str) -> None:
    looks = _pair()
    # The first state goes on as it began; the second changes its mind twice.
    visits = np.array([[[0, 0], [0, 0]], [[2, 0], [0, 2]], [[4, 0], [2, 2]], [[8, 0], [7, 1]]], float)
    prior = np.array([[0.98, 0.02], [0.5, 0.5]])
    weights = (visits + prior) / (visits.sum(-1, keepdims=True) + 1)
    looks = looks._replace(visits=visits, prior=prior, weights=weights)
    stops = RULES[name](looks)
    cost = spending(looks, stops).simulations
    assert cost[0] < cost[-1] == 8
    # Somewhere between, the state that has settled stops first.
    spent = looks.spent[stops, np.arange(2)]
    assert (spent[:, 0] < spent[:, 1]).any()


def test_a_learned_rule_is_taught_by_the_searches_own_last_word() -> None:
    looks = _pair()
    gain = gain_seen_later(looks._replace(action=np.array([[0, 1], [0, 1], [0, 0], [0, 0]])))
    np.testing.assert_array_equal(gain, [[0, 1], [0, 1], [0, 0], [0, 0]])
    stops = stops_of(looks, gain, np.array([2, 2, 4, 8]))
    best = spending(looks, stops)
    assert simulations_for(best, 0.0) == 2
    assert np.isfinite(features(looks)).all()


def test_looks_are_those_of_one_search_in_pieces() -> None:
    calls = []

    def curve(states: Any, budgets: np.ndarray) -> SearchResult:
        calls.append(len(states))
        shape = (len(budgets), len(states))
        action = np.broadcast_to(states % 2, shape).astype(np.int32)
        each = np.broadcast_to(np.arange(len(budgets))[:, None], shape)
        pair = np.zeros((*shape, 2), np.float32)
        bound = np.zeros(shape, np.float32)
        upper = bound + (states > 2)
        columns = (action, pair, bound, pair, pair.astype(np.int32), each, bound, upper, pair, bound)
        return SearchResult(*map(jnp.asarray, columns))

    regrets = np.tile([0.0, 1.0], (5, 1))
    moves = ExactMoves(
        values=np.zeros(5),
        qvalues=-regrets,
        legal=np.ones((5, 2), bool),
        optimal=regrets == 0,
    )
    looks = look(
        curve, Yardstick(np.arange(5), moves), np.array([0, 1, 2], np.int32), bounds=(-1.0, 1.0), chunk=2
    )
    assert calls == [2, 2, 2]
    np.testing.assert_array_equal(looks.regret[1], [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(looks.spent[:, 4], [0, 1, 2])
    np.testing.assert_array_equal(looks.proven[0], [True, True, True, False, False])
    np.testing.assert_array_equal(when_proven(looks)[2], 2)
