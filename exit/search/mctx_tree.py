"""The tree of mctx behind `search`: Gumbel search whose budget is a run-time argument of each state.

mctx compiles the number of simulations into its loop and its halving table. Here the loop runs to the
largest budget of the batch, a state whose own budget is spent is frozen, and the root reads the
schedule of its own budget from `considered_visit`. All of it goes through mctx's public arguments.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mctx
from jaxtyping import Array, Float, Int, Key

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search.config import SearchConfig
from exit.search.root import Root, RootStatistics, considered_score, move, split_key
from exit.search.schedule import considered_visit

# Chex dataclasses hide their fields from type checkers.
_RootFnOutput: Any = mctx.RootFnOutput
_RecurrentFnOutput: Any = mctx.RecurrentFnOutput


class _PerState(NamedTuple):
    """What root selection needs beside the tree."""

    budget: Int[Array, " B"]
    gumbel: Float[Array, "B A"]


def run(
    params: Params,
    rng_key: Key[Array, ""],
    root: Root,
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> RootStatistics:
    """Grow a tree at each root by its own budget, in [0, config.max_simulations]."""
    key_gumbel, key_search = split_key(rng_key)
    gumbel = config.gumbel_scale * jax.random.gumbel(
        key_gumbel, root.prior_logits.shape, root.prior_logits.dtype
    )
    qtransform = _qtransform(game, config)
    recurrent_fn: Any = functools.partial(_recurrent, game=game, predict=predict)
    select_fn: Any = functools.partial(
        _select_at_root, max_num_considered=config.max_num_considered_actions, qtransform=qtransform
    )
    tree: Any = mctx.search(
        params,
        key_search,
        root=_RootFnOutput(prior_logits=root.prior_logits, value=root.value, embedding=root.state),
        recurrent_fn=recurrent_fn,
        root_action_selection_fn=select_fn,
        interior_action_selection_fn=functools.partial(
            mctx.gumbel_muzero_interior_action_selection, qtransform=qtransform
        ),
        num_simulations=config.max_simulations,
        invalid_actions=~root.legal_actions,
        extra_data=_PerState(root.budget, gumbel),
        loop_fn=functools.partial(_loop_to_budget, root.budget),
    )
    visit_counts = tree.children_visits[:, tree.ROOT_INDEX]
    scaled = jax.vmap(qtransform, in_axes=(0, None))(tree, tree.ROOT_INDEX)
    most_visits = jnp.max(visit_counts, axis=-1, keepdims=True)
    score = considered_score(gumbel, root.prior_logits, scaled, visit_counts == most_visits)
    action = jnp.argmax(jnp.where(root.legal_actions, score, -jnp.inf), axis=-1).astype(jnp.int32)
    plain: Any = functools.partial(
        mctx.qtransform_completed_by_mix_value, value_scale=1.0, maxvisit_init=1.0, rescale_values=False
    )
    # mctx scales by maxvisit_init + the largest visit count; undo that to get reward units.
    qvalues = jax.vmap(plain, in_axes=(0, None))(tree, tree.ROOT_INDEX) / (1.0 + most_visits)
    return RootStatistics(action, visit_counts, scaled, qvalues)


def _qtransform(game: Game, config: SearchConfig) -> Any:
    """mctx's Q-transform so configured; without rescaling, values are in units of the bounds' width."""
    low, high = game.value_bounds
    width = 1.0 if config.rescale_values else high - low
    return functools.partial(
        mctx.qtransform_completed_by_mix_value,
        value_scale=config.value_scale / width,
        maxvisit_init=config.maxvisit_init,
        rescale_values=config.rescale_values,
    )


def _recurrent(
    params: Params,
    rng_key: Key[Array, ""],
    action: Int[Array, " B"],
    state: State,
    *,
    game: Game,
    predict: PredictFn,
) -> tuple[Any, State]:
    """One move in each state and the network's view of what follows; a finished game stays as it is."""
    del rng_key

    moved = move(params, state, action, game=game, predict=predict)
    output = _RecurrentFnOutput(
        reward=moved.reward,
        discount=moved.discount,
        prior_logits=moved.prior_logits,
        value=moved.value,
    )
    return output, moved.state


def _select_at_root(
    rng_key: Key[Array, ""],
    tree: Any,
    node_index: Int[Array, ""],
    *,
    max_num_considered: int,
    qtransform: Any,
) -> Int[Array, ""]:
    """Sequential halving with Gumbel, at the root of one tree, by the schedule of that tree's budget."""
    del rng_key
    visit_counts = tree.children_visits[node_index]
    num_legal = jnp.sum(~tree.root_invalid_actions)
    visit = considered_visit(
        tree.extra_data.budget,
        jnp.minimum(max_num_considered, num_legal),
        jnp.sum(visit_counts),
        max_num_considered=max_num_considered,
    )
    score = considered_score(
        tree.extra_data.gumbel,
        tree.children_prior_logits[node_index],
        qtransform(tree, node_index),
        visit_counts == visit,
    )
    return jnp.argmax(jnp.where(tree.root_invalid_actions, -jnp.inf, score)).astype(jnp.int32)


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
