"""Search against mctx where both can do a thing, and against what it promises."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array

from exit.game import Game, State, is_terminal
from exit.network import Params, make_network
from exit.search import SearchConfig, SearchResult, search
from games.connect_four import ConnectFour
from games.tic_tac_toe import TicTacToe
from tests.planted import Dice
from tests.rig import BATCH, CAPACITY, DEFAULT, QUIET, Rig, predict_of, rig_of
from tests.tiny import NET, after, random_params, random_states, row, stack

BUDGETS = (0, 1, 2, 3, 17, 64)
# mctx as it stands, its types loosened: its dataclasses are opaque to type checkers.
MCTX: Any = mctx

GAMES = pytest.mark.parametrize("game", [TicTacToe(), ConnectFour(4, 4)], ids=lambda game: game.name)


def mctx_policy(rig: Rig, num_simulations: int, config: SearchConfig = DEFAULT) -> Any:
    """mctx's own Gumbel policy over the game's rules; a finished game is worth nothing for ever."""
    game = rig.game

    def recurrent_fn(params: Params, rng_key: Array, action: Array, state: State) -> tuple[Any, State]:
        def move(state: State, action: Array) -> tuple:
            over = is_terminal(game, state)
            after, step = game.apply(state, action, jnp.int32(0))
            return after, jnp.where(over, 0.0, step.reward), jnp.where(over, 0.0, step.discount)

        after, reward, discount = jax.vmap(move)(state, action)
        over = jax.vmap(lambda s: is_terminal(game, s))(state)
        after = jax.tree.map(lambda new, old: jnp.where(over, old, new), after, state)
        logits, value = predict_of(game, params, jax.vmap(game.observe)(after))
        legal = jax.vmap(game.legal_actions)(after)
        output = MCTX.RecurrentFnOutput(
            reward=reward,
            discount=discount,
            prior_logits=jnp.where(legal, logits, -1e9),
            value=jnp.where(legal.any(axis=-1), value, 0.0),
        )
        return output, after

    def policy(params: Params, states: State) -> Any:
        logits, value = predict_of(game, params, jax.vmap(game.observe)(states))
        root = MCTX.RootFnOutput(prior_logits=logits, value=value, embedding=states)
        legal = jax.vmap(game.legal_actions)(states)
        return MCTX.gumbel_muzero_policy(
            params,
            jax.random.key(7),
            root,
            recurrent_fn,
            num_simulations,
            invalid_actions=~legal,
            max_num_considered_actions=config.max_num_considered_actions,
            qtransform=functools.partial(
                mctx.qtransform_completed_by_mix_value,
                value_scale=config.value_scale,
                maxvisit_init=config.maxvisit_init,
            ),
        )

    return jax.jit(policy)(rig.params, rig.states)


def _assert_same(ours: SearchResult, theirs: Any) -> None:
    np.testing.assert_array_equal(ours.visit_counts, theirs.search_tree.children_visits[:, 0])
    np.testing.assert_allclose(ours.action_weights, theirs.action_weights, atol=1e-5)
    np.testing.assert_array_equal(ours.action, theirs.action)
    np.testing.assert_allclose(ours.prior_value, theirs.search_tree.raw_values[:, 0], atol=1e-6)


@GAMES
@pytest.mark.parametrize("budget", [budget for budget in BUDGETS if budget > 0])
def test_it_does_what_mctx_does_at_every_budget(game: Game, budget: int) -> None:
    rig = rig_of(game)
    _assert_same(rig.run(budget), mctx_policy(rig, budget))


def test_it_does_what_mctx_does_with_other_settings() -> None:
    config = replace(DEFAULT, max_num_considered_actions=3, value_scale=1.0, maxvisit_init=5.0)
    rig = rig_of(TicTacToe(), config)
    _assert_same(rig.run(17), mctx_policy(rig, 17, config))


def test_both_trees_give_the_same_without_rescaling() -> None:
    """What mctx's own policy cannot be asked for: values weighed by the width of their bounds."""
    config = replace(DEFAULT, max_simulations=20, rescale_values=False)
    budgets = np.resize([0, 1, 2, 3, 17, 20], BATCH)
    own = rig_of(TicTacToe(), config).run(budgets)
    reference = rig_of(TicTacToe(), replace(config, use_mctx=True)).run(budgets)
    np.testing.assert_array_equal(own.visit_counts, reference.visit_counts)
    np.testing.assert_array_equal(own.action, reference.action)
    for name, value in own._asdict().items():
        np.testing.assert_allclose(value, getattr(reference, name), atol=1e-5, err_msg=name)
    # Here the values added to the logits of an untouched state are all alike, but not zero.
    for found in (own, reference):
        np.testing.assert_array_equal(found.action_weights[::6], found.prior[::6])


@GAMES
def test_mixed_budgets_in_one_batch_are_what_each_budget_is_alone(game: Game) -> None:
    rig = rig_of(game)
    budgets = np.resize(BUDGETS, BATCH)
    mixed = rig.run(budgets)
    for index, budget in enumerate(budgets):
        alone = row(rig.run(int(budget)), index)
        for name, value in row(mixed, index)._asdict().items():
            np.testing.assert_array_equal(value, getattr(alone, name), err_msg=f"{name} at budget {budget}")


@GAMES
def test_one_program_serves_every_budget(game: Game) -> None:
    rig = rig_of(game)
    rig.run(1)
    traced = len(rig.traces)
    for budget in (*BUDGETS, np.resize(BUDGETS, BATCH)):
        rig.run(budget)
    assert traced > 0
    assert len(rig.traces) == traced
    assert rig.run_fn._cache_size() == 1


@GAMES
def test_budget_0_is_the_prior_bit_for_bit(game: Game) -> None:
    rig = rig_of(game)
    found = rig.run(0)
    logits, value = jax.jit(functools.partial(predict_of, game))(
        rig.params, jax.vmap(game.observe)(rig.states)
    )
    legal = np.asarray(jax.vmap(game.legal_actions)(rig.states))
    np.testing.assert_array_equal(found.action_weights, found.prior)
    np.testing.assert_array_equal(found.value, found.prior_value)
    np.testing.assert_array_equal(found.qvalues, np.broadcast_to(found.prior_value[:, None], legal.shape))
    expected = np.exp(np.where(legal, np.asarray(logits, np.float64), -np.inf))
    np.testing.assert_allclose(found.prior, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(found.prior_value, value, atol=1e-6)
    assert not found.visit_counts.any()
    assert not found.num_simulations.any()


def test_without_noise_budget_0_plays_the_most_likely_move() -> None:
    rig = rig_of(TicTacToe(), QUIET)
    found = rig.run(0)
    np.testing.assert_array_equal(found.action, np.argmax(found.prior, axis=1))


def test_without_noise_the_rest_of_the_batch_does_not_matter() -> None:
    rig = rig_of(TicTacToe(), QUIET)
    found = rig.run(np.resize(BUDGETS, BATCH))
    turned = jax.tree.map(lambda leaf: jnp.roll(leaf, 5, axis=0), rig.states)
    again = rig.run(np.roll(np.resize(BUDGETS, BATCH), 5), states=turned)
    # The network's products round differently in another row of the batch.
    for name, value in found._asdict().items():
        rolled = np.roll(value, 5, axis=0)
        np.testing.assert_allclose(rolled, getattr(again, name), rtol=1e-4, atol=1e-5, err_msg=name)


def test_with_noise_the_other_states_of_the_batch_do_not_matter() -> None:
    rig = rig_of(TicTacToe())
    found = rig.run(17)
    others = random_states(rig.game, BATCH, 5, seed=2)
    some = jax.tree.map(lambda mine, other: other.at[4].set(mine[4]), rig.states, others)
    again = rig.run(np.where(np.arange(BATCH) == 4, 17, 64), states=some)
    for name, value in row(found, 4)._asdict().items():
        np.testing.assert_array_equal(value, row(again, 4)._asdict()[name], err_msg=name)


def test_finished_games_in_a_batch_are_left_alone() -> None:
    rig = rig_of(TicTacToe())
    won = after(rig.game, 0, 3, 1, 4, 2)
    drawn = after(rig.game, 0, 1, 2, 4, 3, 5, 7, 6, 8)
    states = jax.tree.map(lambda s, w, d: s.at[2].set(w).at[5].set(d), rig.states, won, drawn)
    found, without = rig.run(17, states=states), rig.run(17)
    for index in (2, 5):
        one = row(found, index)
        assert int(one.action) == -1
        assert not np.any(one.action_weights)
        assert not np.any(one.visit_counts)
        assert not np.any(one.prior)
        assert (one.num_simulations, one.value, one.prior_value, one.lower, one.upper) == (0, 0, 0, 0, 0)
    kept = [index for index in range(BATCH) if index not in (2, 5)]
    for name, value in found._asdict().items():
        assert np.isfinite(value).all(), name
        np.testing.assert_array_equal(
            value[np.array(kept)], getattr(without, name)[np.array(kept)], err_msg=name
        )


@given(
    seed=st.integers(0, 2**31 - 1),
    budgets=st.lists(st.integers(0, CAPACITY), min_size=BATCH, max_size=BATCH),
    scale=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
)
def test_what_holds_in_every_search(seed: int, budgets: list[int], scale: float) -> None:
    rig = rig_of(TicTacToe())
    states = random_states(rig.game, BATCH, 8, seed)
    params = random_params(rig.game, scale=scale, seed=seed)
    found = rig.run(np.array(budgets), states=states, params=params)
    legal = np.asarray(jax.vmap(rig.game.legal_actions)(states))
    rows = np.arange(BATCH)
    np.testing.assert_array_equal(np.sum(found.visit_counts, axis=1), budgets)
    np.testing.assert_array_equal(found.num_simulations, budgets)
    for weights in (found.action_weights, found.prior):
        np.testing.assert_allclose(np.sum(weights, axis=1), 1.0, atol=1e-5)
        assert not np.asarray(weights)[~legal].any()
    assert not np.asarray(found.visit_counts)[~legal].any()
    assert legal[rows, found.action].all()
    most = np.max(found.visit_counts, axis=1)
    np.testing.assert_array_equal(np.asarray(found.visit_counts)[rows, found.action], most)
    for values in (found.value[:, None], found.prior_value[:, None], found.qvalues):
        assert (np.abs(values) <= 1 + 1e-5).all()
    assert (found.lower <= found.upper).all()


@pytest.mark.parametrize("budget", [[0, -1], [65, 3]])
def test_a_budget_out_of_range_is_refused(budget: list[int]) -> None:
    game = TicTacToe()
    states = stack([game.init(), game.init()])
    with pytest.raises(ValueError, match=r"-1 is negative|65 is over.*64.*search\.max_simulations"):
        search(
            random_params(game),
            jax.random.key(0),
            states,
            jnp.array(budget),
            game=game,
            predict=make_network(NET, game).predict,
            config=DEFAULT,
        )


def test_a_traced_budget_out_of_range_is_clamped_and_reported() -> None:
    found = rig_of(TicTacToe()).run(np.resize([-5, 1000], BATCH))
    np.testing.assert_array_equal(found.num_simulations, np.resize([0, CAPACITY], BATCH))


def test_a_game_of_chance_is_refused_by_name() -> None:
    game = Dice()
    with pytest.raises(ValueError, match="dice has chance"):
        search(
            None,
            jax.random.key(0),
            stack([game.init()]),
            jnp.array([1]),
            game=game,
            predict=functools.partial(predict_of, game),
            config=SearchConfig(),
        )


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"max_simulations": -1}, "search.max_simulations"), ({"max_num_considered_actions": 0}, "considered")],
)
def test_a_senseless_configuration_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        SearchConfig(**changes)
