"""What holds in every search, whatever the policy, the budgets, the network and the positions."""

import functools
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Array

from exit.game import State
from exit.network import Params
from exit.search import SearchConfig, SearchResult, prefix_consistent
from exit.solve import ExactMoves, exact_moves_of_keys, states_of, unfinished_keys
from games.tic_tac_toe import TicTacToe
from tests.rig import BATCH, CAPACITY, DEFAULT, POLICIES, rig_of
from tests.tiny import random_params, table_of, told

GAME = TicTacToe()
CONFIGS = {
    f"{name}, {'proofs' if prove else 'no proofs'}": replace(DEFAULT, policy=policy, prove=prove)
    for name, policy in POLICIES.items()
    for prove in (True, False)
}
EVERY_CONFIG = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
NUM_EXAMPLES = 12

SEEDS = st.integers(0, 2**31 - 1)
BUDGETS = st.lists(st.integers(0, CAPACITY), min_size=BATCH, max_size=BATCH).map(np.array)
SCALES = st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0])


class _Case(NamedTuple):
    """Positions anywhere in the game, what perfect play makes of them, and a network."""

    states: State
    exact: ExactMoves
    params: Params


@functools.cache
def _keys() -> np.ndarray:
    return unfinished_keys(table_of(GAME))


def _case(seed: int, scale: float) -> _Case:
    keys = np.random.default_rng(seed).choice(_keys(), BATCH)
    return _Case(
        jax.tree.map(jax.numpy.asarray, states_of(GAME, keys)),
        exact_moves_of_keys(table_of(GAME), keys),
        random_params(GAME, scale=scale, seed=seed),
    )


def _assert_alike(left: SearchResult, right: SearchResult) -> None:
    """Equal, up to how the network rounds in another row of a batch."""
    for name, value in told(left).items():
        np.testing.assert_allclose(value, getattr(right, name), rtol=1e-4, atol=2e-5, err_msg=name)


@EVERY_CONFIG
@settings(max_examples=NUM_EXAMPLES)
@given(seed=SEEDS, budgets=BUDGETS, scale=SCALES)
def test_what_holds_in_every_search(
    config: SearchConfig, seed: int, budgets: np.ndarray, scale: float
) -> None:
    case = _case(seed, scale)
    found = jax.tree.map(
        np.asarray, rig_of(GAME, config).run(budgets, states=case.states, params=case.params)
    )
    _assert_counts_add_up(found, budgets, case.exact)
    _assert_weights_are_a_policy(found, case.exact)
    proven = _assert_bounds_hold(found, case.exact)
    assert (found.num_simulations == budgets)[~proven].all()
    assert config.prove or not proven.any()


def _assert_counts_add_up(found: SearchResult, budgets: np.ndarray, exact: ExactMoves) -> None:
    np.testing.assert_array_equal(np.sum(found.visit_counts, axis=1), found.num_simulations)
    assert (found.num_simulations <= budgets).all()
    assert not np.asarray(found.visit_counts)[~exact.legal].any()


def _assert_weights_are_a_policy(found: SearchResult, exact: ExactMoves) -> None:
    for weights in (found.action_weights, found.prior):
        np.testing.assert_allclose(np.sum(weights, axis=1), 1.0, atol=1e-5)
        assert (np.asarray(weights) >= 0).all()
        assert not np.asarray(weights)[~exact.legal].any()
    assert exact.legal[np.arange(BATCH), found.action].all()
    reflex = np.asarray(found.num_simulations) == 0
    np.testing.assert_array_equal(found.action_weights[reflex], found.prior[reflex])
    np.testing.assert_array_equal(found.value[reflex], found.prior_value[reflex])


def _assert_bounds_hold(found: SearchResult, exact: ExactMoves) -> np.ndarray:
    """Which states are proven."""
    assert (found.lower <= exact.values).all()
    assert (found.upper >= exact.values).all()
    for values in (found.value[:, None], found.prior_value[:, None], found.qvalues):
        assert (np.abs(values) <= 1 + 1e-5).all()
    proven = np.asarray(found.lower) == np.asarray(found.upper)
    simulated = np.asarray(found.num_simulations) > 0
    np.testing.assert_array_equal(found.value[proven & simulated], exact.values[proven & simulated])
    assert exact.optimal[np.arange(BATCH), found.action][proven].all()
    return proven


@EVERY_CONFIG
@settings(max_examples=NUM_EXAMPLES)
@given(seed=SEEDS, budgets=BUDGETS, others=BUDGETS, scale=SCALES)
def test_the_rest_of_the_batch_does_not_matter(
    config: SearchConfig, seed: int, budgets: np.ndarray, others: np.ndarray, scale: float
) -> None:
    """Half of the states keep their place, by which noise is drawn; the others and their budgets change."""
    rig, case, other = rig_of(GAME, config), _case(seed, scale), _case(seed + 1, scale)
    kept = np.random.default_rng(seed).permutation(BATCH) < BATCH // 2

    def mixed(mine: Array, theirs: Array) -> Array:
        return jax.numpy.where(kept, mine, theirs)

    states = jax.tree.map(mixed, case.states, other.states)
    found = rig.run(budgets, states=case.states, params=case.params)
    again = rig.run(np.where(kept, budgets, others), states=states, params=case.params)
    _assert_alike(*(jax.tree.map(lambda leaf: leaf[kept], one) for one in (found, again)))


@EVERY_CONFIG
@settings(max_examples=NUM_EXAMPLES)
@given(seed=SEEDS, budgets=BUDGETS, scale=SCALES)
def test_proofs_only_accumulate(config: SearchConfig, seed: int, budgets: np.ndarray, scale: float) -> None:
    """By a longer search that begins as the shorter one does."""
    if not prefix_consistent(config.policy):
        return
    rig, case = rig_of(GAME, config), _case(seed, scale)
    less = rig.run(budgets // 2, states=case.states, params=case.params)
    more = rig.run(budgets, states=case.states, params=case.params)
    assert (np.asarray(less.visit_counts) <= more.visit_counts).all()
    assert (np.asarray(less.lower) <= more.lower).all()
    assert (np.asarray(less.upper) >= more.upper).all()


@settings(max_examples=NUM_EXAMPLES)
@given(seed=SEEDS, budgets=BUDGETS, scale=SCALES)
def test_side_by_side_finds_what_one_after_another_finds(
    seed: int, budgets: np.ndarray, scale: float
) -> None:
    """Without proofs, by which one after another leaves out what the others of its level have decided."""
    case = _case(seed, scale)
    found = [
        rig_of(GAME, replace(DEFAULT, policy=POLICIES[name], prove=False)).run(
            budgets, states=case.states, params=case.params
        )
        for name in ("anytime", "anytime side by side")
    ]
    _assert_alike(*found)
