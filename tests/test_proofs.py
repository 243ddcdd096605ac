"""What search proves: it is true, it is used, and enough simulations prove nearly everything."""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.game import Game
from exit.search import SearchConfig, SearchResult, search, without_noise
from exit.solve import ExactMoves, exact_moves_of_keys, states_of, unfinished_keys
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.rig import predict_of
from tests.tiny import random_params, table_of

NUM_STATES = 64
CAPACITIES = {TicTacToe(): 1000, ConnectFour(4, 4): 4000, Nim((3, 4, 5)): 4000}
GAMES = pytest.mark.parametrize("game", CAPACITIES, ids=lambda game: game.name)


class _Found(NamedTuple):
    """What search found at a sample of all unfinished states, and what perfect play makes of them."""

    search: SearchResult
    exact: ExactMoves

    @property
    def proven(self) -> np.ndarray:
        return np.equal(self.search.lower, self.search.upper)

    @property
    def regrets(self) -> np.ndarray:
        """What each move chosen gives away."""
        return self.exact.regrets[np.arange(NUM_STATES), self.search.action]


@functools.cache
def _search_fn(game: Game) -> Any:
    config = without_noise(SearchConfig(max_simulations=CAPACITIES[game]))
    return jax.jit(
        functools.partial(search, game=game, predict=functools.partial(predict_of, game), config=config)
    )


@functools.cache
def _found(game: Game, budget: int, seed: int = 0) -> _Found:
    keys = np.random.default_rng(seed).choice(unfinished_keys(table_of(game)), NUM_STATES, replace=False)
    states = jax.tree.map(jnp.asarray, states_of(game, keys))
    budgets = jnp.full(NUM_STATES, budget, jnp.int32)
    found = _search_fn(game)(random_params(game, seed=seed), jax.random.key(0), states, budgets)
    return _Found(jax.tree.map(np.asarray, found), exact_moves_of_keys(table_of(game), keys))


@GAMES
def test_nearly_every_state_is_proven_and_rightly(game: Game) -> None:
    found = _found(game, CAPACITIES[game])
    assert found.proven.mean() >= 0.95
    for values in (found.search.value, found.search.lower, found.search.upper):
        np.testing.assert_array_equal(values[found.proven], found.exact.values[found.proven])


@GAMES
@pytest.mark.parametrize("budget", [0, 1, 5, 30, 200, 1000])
def test_no_bound_contradicts_the_exact_value(game: Game, budget: int) -> None:
    found = _found(game, budget)
    assert (found.search.lower <= found.exact.values).all()
    assert (found.search.upper >= found.exact.values).all()


@GAMES
def test_a_proven_state_is_never_misplayed(game: Game) -> None:
    for budget in (30, 200, CAPACITIES[game]):
        found = _found(game, budget)
        assert found.proven.any()
        assert not found.regrets[found.proven].any()


@GAMES
def test_a_proven_state_spends_less_than_its_budget_and_any_other_all_of_it(game: Game) -> None:
    for budget in (200, CAPACITIES[game]):
        found = _found(game, budget)
        assert (found.search.num_simulations[found.proven] < budget).all()
        assert (found.search.num_simulations[~found.proven] == budget).all()


@GAMES
def test_moves_proven_worse_get_no_weight(game: Game) -> None:
    found = _found(game, CAPACITIES[game])
    worse = found.exact.legal & ~found.exact.optimal
    assert worse[found.proven].any()
    assert not found.search.action_weights[found.proven][worse[found.proven]].any()
    np.testing.assert_allclose(np.sum(found.search.action_weights, axis=1), 1.0, atol=1e-5)


@GAMES
def test_a_larger_budget_does_not_play_worse(game: Game) -> None:
    """Mean exact regret over states does not grow with the budget beyond what the sample's noise explains."""
    regrets = [
        np.concatenate([_found(game, budget, seed).regrets for seed in range(4)])
        for budget in (0, 4, 16, 64, 256)
    ]
    for fewer, more in itertools.pairwise(regrets):
        growth = more - fewer
        assert growth.mean() <= 2 * growth.std() / np.sqrt(growth.size)
    assert regrets[-1].mean() < 0.5 * regrets[0].mean()
