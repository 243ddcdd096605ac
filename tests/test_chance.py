"""Search in games of chance: expectations are exact, proofs are true, and outcomes come at their odds."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.game import Game, State
from exit.search import PUCT, Gumbel, SearchConfig, SearchResult, search
from exit.search.api import plant_at
from exit.search.grow import grow
from exit.search.noise import Noise
from exit.solve import ExactMoves, exact_moves_of_keys, states_of, unfinished_keys
from tests.chance_games import Bets, Race
from tests.planted import Dice, LeakyHeap
from tests.rig import QUICKLY, predict_of
from tests.tiny import random_params, table_of, told

BATCH = 12
CAPACITY = 1500
POLICIES = {
    Dice(): Gumbel(gumbel_scale=0.0),
    Bets(): Gumbel(gumbel_scale=0.0, anytime=True, side_by_side=True),
    Race(): PUCT(dirichlet_fraction=0.0, temperature=0.0),
    LeakyHeap(): Gumbel(gumbel_scale=0.0, anytime=True),
}
GAMES = pytest.mark.parametrize("game", POLICIES, ids=lambda game: game.name)


class _Positions(NamedTuple):
    """States to search at, the initial one first."""

    states: State
    exact: ExactMoves


@functools.cache
def _positions(game: Game, seed: int = 0) -> _Positions:
    """Where the game begins, and any unfinished states."""
    keys = unfinished_keys(table_of(game))
    keys = np.random.default_rng(seed).choice(keys, BATCH)
    keys[0] = np.asarray(game.encode(game.init()))
    return _Positions(
        jax.tree.map(jnp.asarray, states_of(game, keys)), exact_moves_of_keys(table_of(game), keys)
    )


@functools.cache
def _search_fn(game: Game) -> Any:
    config = SearchConfig(max_simulations=CAPACITY, policy=POLICIES[game])
    return jax.jit(
        functools.partial(search, game=game, predict=functools.partial(predict_of, game), config=config),
        compiler_options=QUICKLY,
    )


@functools.cache
def _found(game: Game, budget: int, seed: int = 0, scale: float = 0.3) -> SearchResult:
    budgets = jnp.full(BATCH, budget, jnp.int32)
    params = random_params(game, scale=scale, seed=seed)
    found = _search_fn(game)(params, jax.random.key(0), _positions(game, seed).states, budgets)
    return jax.tree.map(np.asarray, found)


@pytest.mark.parametrize("game", [Bets(), Bets(discount=1.0), Race()], ids=str)
def test_the_solver_and_plain_python_agree_on_these_games(game: Bets | Race) -> None:
    states, exact = _positions(game)
    expected = [game.exact(*(int(leaf[index]) for leaf in states)) for index in range(BATCH)]
    np.testing.assert_allclose(exact.values, expected, atol=1e-6)
    # Moves differ, and both kinds are right somewhere.
    assert exact.critical.any()


@GAMES
def test_enough_simulations_prove_the_expectation(game: Game) -> None:
    exact, found = _positions(game).exact, _found(game, CAPACITY)
    for values in (found.lower, found.upper, found.value):
        np.testing.assert_allclose(values, exact.values, atol=1e-5)
    assert (found.num_simulations < CAPACITY).all()
    assert not exact.regrets[np.arange(BATCH), found.action].max() > 1e-5


@GAMES
@pytest.mark.parametrize("budget", [0, 1, 2, 5, 17, 60, 200])
def test_bounds_bracket_the_exact_value_at_every_budget(game: Game, budget: int) -> None:
    for seed, scale in enumerate((0.3, 1.0, 0.0)):
        exact, found = _positions(game, seed).exact, _found(game, budget, seed, scale)
        for name, value in told(found).items():
            assert np.isfinite(value).all(), name
        assert (found.lower <= exact.values + 1e-5).all()
        assert (found.upper >= exact.values - 1e-5).all()
        low, high = game.value_bounds
        assert (found.lower >= low).all()
        assert (found.upper <= high).all()
        np.testing.assert_array_equal(np.sum(found.visit_counts, axis=1), found.num_simulations)


@GAMES
def test_more_simulations_prove_more(game: Game) -> None:
    widths = [np.mean(found.upper - found.lower) for found in (_found(game, n) for n in (0, 17, 200))]
    assert widths[0] > widths[1] > widths[2]


@GAMES
def test_an_action_with_one_visit_is_worth_the_expectation_over_its_outcomes(game: Game) -> None:
    states, params = _positions(game).states, random_params(game, seed=0)
    actions, outcomes = jnp.arange(game.num_actions), jnp.arange(game.num_outcomes)

    @jax.jit
    def expectation(state: State) -> Any:
        """Of reward and the network's discounted value, for each action."""
        each_outcome = jax.vmap(game.apply, in_axes=(None, None, 0))
        after, step = jax.vmap(each_outcome, in_axes=(None, 0, None))(state, actions, outcomes)
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), after)
        _, value = predict_of(game, params, jax.vmap(game.observe)(flat))
        value = jnp.where(jax.vmap(game.legal_actions)(flat).any(axis=1), value, 0.0)
        probs = jax.vmap(game.outcome_probs, in_axes=(None, 0))(state, actions)
        returns = step.reward + step.discount * value.reshape(probs.shape)
        return jnp.sum(jnp.where(probs > 0, probs * returns, 0.0), axis=1)

    expected = np.asarray(jax.vmap(expectation)(states))
    once = 0
    for budget in (1, 2, 5):
        found = _found(game, budget)
        visited = found.visit_counts == 1
        np.testing.assert_allclose(found.qvalues[visited], expected[visited], atol=1e-5)
        once += visited.sum()
    assert once >= BATCH


def test_simulations_follow_outcomes_at_their_odds() -> None:
    """At every action of every node: the first simulation looks at all outcomes, the others follow one."""
    game, rows = Race(), 40_000
    config = SearchConfig(policy=Gumbel(gumbel_scale=0.0), prove=False)
    predict = functools.partial(predict_of, game)

    @jax.jit
    def grown(params: Any, states: State) -> Any:
        silence = Noise(jnp.zeros((BATCH, game.num_actions)), jnp.zeros((BATCH, game.num_actions)))
        forest = plant_at(params, states, silence, rows, game=game, predict=predict, config=config)
        return grow(params, forest, jnp.full(BATCH, 1000), game=game, predict=predict, config=config)

    nodes = jax.tree.map(np.asarray, grown(random_params(game), _positions(game).states).tree.nodes)
    row, action = np.nonzero((nodes.child >= 0) & (nodes.visits > 0))
    base, visits = nodes.child[row, action], nodes.visits[row, action]
    outcome_rows = base[:, None] + np.arange(game.num_outcomes)
    follows, prob = nodes.follows[outcome_rows], nodes.prob[outcome_rows]
    np.testing.assert_allclose(prob.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(follows.sum(axis=1), visits - 1)
    assert (np.abs(follows - prob * (visits - 1)[:, None]) <= 1 + 1e-4).all()
    assert not follows[prob == 0].any()
    assert visits.max() > 400
    assert (prob == 0).any()
