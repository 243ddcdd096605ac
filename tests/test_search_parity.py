"""Search against mctx: its own policies over the same rules, and its tree behind the same policies."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest
from jaxtyping import Array

from exit.game import Game, State, is_terminal
from exit.network import Params
from exit.search import PUCT, Gumbel, SearchConfig, SearchResult
from games.connect_four import ConnectFour
from games.tic_tac_toe import TicTacToe
from tests.rig import BATCH, QUICKLY, UNPROVEN, Rig, predict_of, rig_of
from tests.tiny import told

# mctx as it stands, its types loosened: its dataclasses are opaque to type checkers.
MCTX: Any = mctx

BUDGETS = (1, 2, 3, 17, 64)
OTHER_GUMBEL = Gumbel(max_num_considered_actions=3, value_scale=1.0, maxvisit_init=5.0)
OTHER_PUCT = PUCT(pb_c_init=2.5, pb_c_base=20.0, dirichlet_fraction=0.6, dirichlet_alpha=1.0, temperature=0.5)


def _recurrent_fn(
    game: Game, params: Params, rng_key: Array, action: Array, state: State
) -> tuple[Any, State]:
    """The rules for mctx; a finished game is worth nothing for ever."""

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


def _among_legal(tree: Any, node_index: Any) -> Array:
    """mctx's transform for PUCT, which below the root would follow illegal actions too."""
    legal = tree.children_prior_logits[node_index] > -1e8
    values = mctx.qtransform_by_parent_and_siblings(tree, node_index)
    return jnp.where(legal | ~legal.any(), values, -jnp.inf)


def _policy_fn(policy: Gumbel | PUCT) -> Any:
    """mctx's own policy of these settings."""
    if isinstance(policy, PUCT):
        return functools.partial(
            MCTX.muzero_policy,
            dirichlet_fraction=policy.dirichlet_fraction,
            dirichlet_alpha=policy.dirichlet_alpha,
            pb_c_init=policy.pb_c_init,
            pb_c_base=policy.pb_c_base,
            temperature=policy.temperature,
            qtransform=_among_legal,
        )
    return functools.partial(
        MCTX.gumbel_muzero_policy,
        max_num_considered_actions=policy.max_num_considered_actions,
        qtransform=functools.partial(
            mctx.qtransform_completed_by_mix_value,
            value_scale=policy.value_scale,
            maxvisit_init=policy.maxvisit_init,
        ),
    )


def _loop_to(stop: Array, start: int, _: int, body_fn: Any, carry: Any) -> Any:
    """A loop of fewer steps than the tree has room for."""
    return jax.lax.fori_loop(start, stop, body_fn, carry)


@functools.cache
def _mctx_fn(game: Game, policy: Gumbel | PUCT, capacity: int) -> Any:
    """The policy's output and its tree's summary; PUCT, which plans nothing, may stop anywhere."""

    def run(params: Params, states: State, num_simulations: Array) -> Any:
        legal = jax.vmap(game.legal_actions)(states)
        logits, value = predict_of(game, params, jax.vmap(game.observe)(states))
        # Dirichlet noise is to be mixed with the prior over legal actions.
        logits = jnp.where(legal, logits, -1e9)
        found = _policy_fn(policy)(
            params,
            jax.random.key(7),
            MCTX.RootFnOutput(prior_logits=logits, value=value, embedding=states),
            functools.partial(_recurrent_fn, game),
            capacity,
            invalid_actions=~legal,
            loop_fn=functools.partial(_loop_to, num_simulations),
        )
        return found, found.search_tree.summary()

    return jax.jit(run, compiler_options=QUICKLY)


def _of_mctx(rig: Rig, policy: Gumbel | PUCT, budget: int) -> Any:
    capacity = budget if isinstance(policy, Gumbel) else max(BUDGETS)
    return _mctx_fn(rig.game, policy, capacity)(rig.params, rig.states, budget)


def _assert_same(ours: SearchResult, theirs: Any) -> None:
    found, summary = theirs
    visited = np.asarray(ours.visit_counts) > 0
    np.testing.assert_array_equal(ours.visit_counts, summary.visit_counts)
    np.testing.assert_array_equal(ours.action, found.action)
    np.testing.assert_allclose(ours.action_weights, found.action_weights, atol=1e-5)
    np.testing.assert_allclose(ours.prior_value, found.search_tree.raw_values[:, 0], atol=1e-6)
    np.testing.assert_allclose(
        np.where(visited, ours.qvalues, 0), np.where(visited, summary.qvalues, 0), atol=1e-5
    )


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(
    ("game", "policy"),
    [(TicTacToe(), Gumbel()), (ConnectFour(4, 4), OTHER_GUMBEL)],
    ids=["tic_tac_toe", "connect_four_4x4 with other settings"],
)
def test_gumbel_search_does_what_mctx_does_at_every_budget(game: Game, policy: Gumbel, budget: int) -> None:
    rig = rig_of(game, replace(UNPROVEN, policy=policy))
    _assert_same(rig.run(budget), _of_mctx(rig, policy, budget))


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(
    ("game", "policy"),
    [(TicTacToe(), PUCT()), (ConnectFour(4, 4), OTHER_PUCT)],
    ids=["tic_tac_toe", "connect_four_4x4 with other settings"],
)
def test_puct_does_what_mctx_does_at_every_budget(game: Game, policy: PUCT, budget: int) -> None:
    rig = rig_of(game, replace(UNPROVEN, policy=policy))
    ours, theirs = rig.run(budget), _of_mctx(rig, policy, budget)
    _assert_same(ours, theirs)
    np.testing.assert_allclose(ours.value, theirs[1].value, atol=1e-5)


LONG = np.resize([200, 0, 1, 64, 2, 17], BATCH)


@pytest.mark.parametrize(
    "policy",
    [
        Gumbel(),
        Gumbel(rescale_values=False, max_num_considered_actions=4),
        PUCT(dirichlet_fraction=0.0),
    ],
    ids=["gumbel", "gumbel without rescaling", "puct"],
)
def test_both_trees_grow_alike_at_mixed_budgets(policy: Gumbel | PUCT) -> None:
    config = SearchConfig(max_simulations=200, policy=policy, prove=False)
    own = rig_of(TicTacToe(), config).run(LONG)
    reference = rig_of(TicTacToe(), replace(config, use_mctx=True)).run(LONG)
    np.testing.assert_array_equal(own.num_simulations, LONG)
    for name in ("action", "visit_counts"):
        np.testing.assert_array_equal(getattr(own, name), getattr(reference, name), err_msg=name)
    for name, value in told(own).items():
        # The compiler rounds two programs in two ways.
        np.testing.assert_allclose(value, getattr(reference, name), rtol=2e-6, atol=1e-7, err_msg=name)
    # Without a simulation the values that are added to logits are all alike, but need not be 0.
    np.testing.assert_array_equal(own.action_weights[1::6], own.prior[1::6])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prove": True}, "use_mctx needs search.prove=False"),
        ({"prove": False, "policy": Gumbel(anytime=True)}, "use_mctx needs anytime and side_by_side"),
        ({"prove": False, "policy": Gumbel(side_by_side=True)}, "use_mctx needs anytime and side_by_side"),
    ],
)
def test_what_mctx_cannot_do_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchConfig(use_mctx=True, **settings)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pb_c_init", -1.0),
        ("pb_c_base", 0.0),
        ("dirichlet_fraction", -0.1),
        ("dirichlet_fraction", 1.1),
        ("dirichlet_alpha", 0.0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("pb_c_base", float("inf")),
    ],
)
def test_numbers_that_puct_cannot_use_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{field} is .*must be"):
        PUCT(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_num_considered_actions", 0),
        ("gumbel_scale", -1.0),
        ("value_scale", float("nan")),
        ("maxvisit_init", float("inf")),
    ],
)
def test_numbers_that_gumbel_search_cannot_use_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{field} is .*must be"):
        Gumbel(**{field: value})
