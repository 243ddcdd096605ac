"""The tree of mctx behind `search`, whose budget is a run-time argument of each state.

mctx compiles the number of simulations into its loop and its halving table. Here the loop runs to the
largest budget of the batch, a state whose own budget is spent is frozen, and the root reads the
schedule of its own budget from `considered_visit`. All of it goes through mctx's public arguments.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mctx
from jaxtyping import Array, Float, Int

from exit.game import Game, State, is_terminal
from exit.network import Params, PredictFn
from exit.search import gumbel
from exit.search.config import Gumbel, SearchConfig
from exit.search.expand import legal_logits
from exit.search.forest import Findings
from exit.search.node import Limits, Node, is_legal

# Chex dataclasses hide their fields from type checkers.
_RootFnOutput: Any = mctx.RootFnOutput
_RecurrentFnOutput: Any = mctx.RecurrentFnOutput


class _PerState(NamedTuple):
    """What root selection needs beside the tree."""

    budget: Int[Array, " B"]
    explore: Float[Array, "B A"]


def run(
    params: Params,
    state: State,
    prior_logits: Float[Array, "B A"],
    value: Float[Array, " B"],
    explore: Float[Array, "B A"],
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> Findings:
    """Grow a tree at each root by its own budget, in [0, config.max_simulations]; see `plant`."""
    policy, limits = config.policy, Limits.of(game)
    legal_actions = is_legal(prior_logits)
    over = ~jnp.any(legal_actions, axis=-1)
    budget = jnp.where(over, 0, budget)
    known = prior_logits
    if isinstance(policy, Gumbel):
        qtransform = _qtransform(policy, limits)
        root_fn: Any = functools.partial(_halving_at_root, policy=policy, limits=limits)
        interior_fn: Any = functools.partial(
            mctx.gumbel_muzero_interior_action_selection, qtransform=qtransform
        )
    else:
        known = legal_logits(explore, legal_actions)
        qtransform: Any = _legal_by_parent_and_siblings
        interior_fn = functools.partial(
            mctx.muzero_action_selection,
            pb_c_init=policy.pb_c_init,
            pb_c_base=policy.pb_c_base,
            qtransform=qtransform,
        )
        root_fn = functools.partial(interior_fn, depth=0)
    recurrent_fn: Any = functools.partial(_recurrent, game=game, predict=predict)
    tree: Any = mctx.search(
        params,
        # Nothing but ties, of PUCT alone, is decided by chance.
        jax.random.key(0),
        root=_RootFnOutput(prior_logits=known, value=value, embedding=state),
        recurrent_fn=recurrent_fn,
        root_action_selection_fn=root_fn,
        interior_action_selection_fn=interior_fn,
        num_simulations=config.max_simulations,
        invalid_actions=~legal_actions,
        extra_data=_PerState(budget, explore),
        loop_fn=functools.partial(_loop_to_budget, budget),
    )
    return Findings(
        node=_node(tree, tree.ROOT_INDEX),
        prior_logits=prior_logits,
        explore=explore,
        lower=jnp.where(over, 0.0, limits.low),
        upper=jnp.where(over, 0.0, limits.high),
        spent=budget,
    )


def _node(tree: Any, index: int | Int[Array, ""]) -> Node:
    """One node of every tree."""
    qvalues = (
        tree.children_rewards[:, index] + tree.children_discounts[:, index] * tree.children_values[:, index]
    )
    return Node(
        prior_logits=tree.children_prior_logits[:, index],
        visits=tree.children_visits[:, index].astype(jnp.float32),
        qvalues=qvalues,
        raw_value=tree.raw_values[:, index],
        value=tree.node_values[:, index],
        lower=None,
        upper=None,
    )


def _qtransform(policy: Gumbel, limits: Limits) -> Any:
    """mctx's Q-transform so configured; without rescaling, values are in units of the bounds' width."""
    width = 1.0 if policy.rescale_values else limits.high - limits.low
    return functools.partial(
        mctx.qtransform_completed_by_mix_value,
        value_scale=policy.value_scale / width,
        maxvisit_init=policy.maxvisit_init,
        rescale_values=policy.rescale_values,
    )


def _legal_by_parent_and_siblings(tree: Any, node_index: Int[Array, ""]) -> Float[Array, " A"]:
    """mctx's Q-transform for PUCT, which below the root would follow illegal actions too."""
    legal_actions = is_legal(tree.children_prior_logits[node_index])
    qvalues = mctx.qtransform_by_parent_and_siblings(tree, node_index)
    return jnp.where(legal_actions | ~jnp.any(legal_actions), qvalues, -jnp.inf)


def _recurrent(
    params: Params,
    rng_key: Array,
    action: Int[Array, " B"],
    state: State,
    *,
    game: Game,
    predict: PredictFn,
) -> tuple[Any, State]:
    """One move in each state and the network's view of what follows; a finished game stays as it is."""
    del rng_key

    def apply(state: State, action: Int[Array, ""]) -> tuple:
        over = is_terminal(game, state)
        next_state, step = game.apply(state, action, jnp.int32(0))
        next_state = jax.tree.map(lambda new, old: jnp.where(over, old, new), next_state, state)
        live = jnp.where(over, 0.0, 1.0)
        legal_actions = game.legal_actions(next_state)
        return next_state, step.reward * live, step.discount * live, legal_actions, game.observe(next_state)

    next_state, reward, discount, legal_actions, observation = jax.vmap(apply)(state, action)
    prior_logits, value = predict(params, observation)
    output = _RecurrentFnOutput(
        reward=reward,
        discount=discount,
        prior_logits=legal_logits(prior_logits, legal_actions),
        value=jnp.where(jnp.any(legal_actions, axis=-1), value, 0.0),
    )
    return output, next_state


def _halving_at_root(
    rng_key: Array,
    tree: Any,
    node_index: Int[Array, ""],
    *,
    policy: Gumbel,
    limits: Limits,
) -> Int[Array, ""]:
    """Sequential halving with Gumbel, at the root of one tree, by the schedule of that tree's budget."""
    del rng_key
    node = _node(jax.tree.map(lambda leaf: leaf[None], tree), node_index)
    node = jax.tree.map(lambda leaf: leaf[0], node)
    score = gumbel.root_score(tree.extra_data.explore, _qtransform(policy, limits)(tree, node_index))
    return gumbel.halving_action(
        node,
        score,
        tree.extra_data.budget,
        jnp.sum(tree.children_visits[node_index]),
        policy,
        limits,
    )


def _loop_to_budget(budget: Int[Array, " B"], start: int, stop: int, body_fn: Any, carry: tuple) -> tuple:
    """A `fori_loop` to the batch's largest budget, in which a tree whose budget is spent does not change."""
    del stop

    def simulate(index: Int[Array, ""], carry: tuple) -> tuple:
        _, tree = carry
        rng_key, grown = body_fn(index, carry)
        running = index < budget

        def keep_running(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(running.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        return rng_key, jax.tree.map(keep_running, grown, tree)

    return jax.lax.fori_loop(start, jnp.max(budget), simulate, carry)
