"""Gumbel search with sequential halving (Danihelka et al. 2022): what to simulate, and what was learnt."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search.config import SearchConfig
from exit.search.root import Root, RootStatistics, considered_score, move, split_key
from exit.search.schedule import considered_visit
from exit.search.tree import (
    ROOT,
    UNVISITED,
    Children,
    Nodes,
    Tree,
    append,
    back_up,
    children,
    empty,
    link,
    states_at,
)


class _Descent(NamedTuple):
    """Where a simulation is on its way down each tree."""

    node: Int[Array, " B"]
    action: Int[Array, " B"]
    next_node: Int[Array, " B"]


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
    key_gumbel, _ = split_key(rng_key)
    gumbel = config.gumbel_scale * jax.random.gumbel(key_gumbel, root.prior_logits.shape)
    value_scale = config.value_scale if config.rescale_values else config.value_scale / _width(game)
    score_fn = functools.partial(
        completed_qvalues,
        value_scale=value_scale,
        maxvisit_init=config.maxvisit_init,
        rescale=config.rescale_values,
    )
    zeros = jnp.zeros_like(root.value)
    first = Nodes(root.prior_logits, root.value, jnp.zeros_like(root.budget), zeros, zeros, root.state)

    def simulate(index: Int[Array, ""], tree: Tree) -> Tree:
        running = index < root.budget
        descent = _descend(tree, root, gumbel, index, score_fn=score_fn, config=config)
        nodes = _expand(params, descent, states_at(tree, descent.node), game=game, predict=predict)
        tree = append(tree, nodes, index + 1)
        tree = link(tree, descent.node, descent.action, index + 1, running)
        return back_up(tree, index + 1, running)

    tree = jax.lax.fori_loop(0, jnp.max(root.budget), simulate, empty(first, config.max_simulations + 1))
    found = children(tree, jnp.zeros_like(root.budget))
    completed, scaled = score_fn(found)
    most_visits = jnp.max(found.visits, axis=-1, keepdims=True)
    score = considered_score(gumbel, root.prior_logits, scaled, found.visits == most_visits)
    action = jnp.argmax(jnp.where(root.legal_actions, score, -jnp.inf), axis=-1).astype(jnp.int32)
    return RootStatistics(action, found.visits, scaled, completed)


def completed_qvalues(
    node: Children, *, value_scale: float, maxvisit_init: float, rescale: bool
) -> tuple[Float[Array, "B A"], Float[Array, "B A"]]:
    """Q-values with the mixed value where an action has no visit, and the same as added to logits.

    The mixed value is that of Danihelka et al. 2022, appendix D: the network's value and the visited
    actions' Q-values under the prior, weighed by visits.

    Returns:
      Q-values in reward units; Q-values scaled by visits, stretched to [0, 1] first if `rescale`.
    """
    visited = node.visits > 0
    num_visits = jnp.sum(node.visits, axis=-1)
    prior = jnp.maximum(jnp.finfo(jnp.float32).tiny, jax.nn.softmax(node.prior_logits))
    visited_prob = jnp.sum(jnp.where(visited, prior, 0.0), axis=-1, keepdims=True)
    share = prior * node.qvalues / jnp.where(visited, visited_prob, 1.0)
    mean_qvalue = jnp.sum(jnp.where(visited, share, 0.0), axis=-1)
    mixed = (node.raw_value + num_visits * mean_qvalue) / (num_visits + 1)
    completed = jnp.where(visited, node.qvalues, mixed[:, None])
    stretched = completed
    if rescale:
        low = jnp.min(completed, axis=-1, keepdims=True)
        high = jnp.max(completed, axis=-1, keepdims=True)
        stretched = (completed - low) / jnp.maximum(high - low, 1e-8)
    visit_scale = maxvisit_init + jnp.max(node.visits, axis=-1, keepdims=True)
    return completed, visit_scale * value_scale * stretched


def _width(game: Game) -> float:
    low, high = game.value_bounds
    return high - low


def _descend(
    tree: Tree,
    root: Root,
    gumbel: Float[Array, "B A"],
    simulation: Int[Array, ""],
    *,
    score_fn: functools.partial,
    config: SearchConfig,
) -> _Descent:
    """Follow each tree from its root to an action without a visit."""
    top = children(tree, jnp.zeros_like(root.budget))
    _, scaled = score_fn(top)
    visit = considered_visit(
        root.budget,
        jnp.minimum(config.max_num_considered_actions, jnp.sum(root.legal_actions, axis=-1)),
        jnp.minimum(simulation, root.budget),
        max_num_considered=config.max_num_considered_actions,
    )
    score = considered_score(gumbel, root.prior_logits, scaled, top.visits == visit[:, None])
    action = jnp.argmax(jnp.where(root.legal_actions, score, -jnp.inf), axis=-1).astype(jnp.int32)
    running = simulation < root.budget
    # A spent tree stays at its root.
    next_node = jnp.where(running, _at(top.child, action), UNVISITED)

    def going_on(descent: _Descent) -> Bool[Array, ""]:
        return jnp.any(descent.next_node != UNVISITED)

    def go_on(descent: _Descent) -> _Descent:
        moving = descent.next_node != UNVISITED
        node = jnp.where(moving, descent.next_node, descent.node)
        here = children(tree, node)
        _, scaled = score_fn(here)
        improved = jax.nn.softmax(here.prior_logits + scaled)
        # Visits follow the improved policy as closely as whole numbers can (paper, section 5).
        lag = improved - here.visits / (1 + jnp.sum(here.visits, axis=-1, keepdims=True))
        chosen = jnp.argmax(lag, axis=-1).astype(jnp.int32)
        return _Descent(
            node,
            jnp.where(moving, chosen, descent.action),
            jnp.where(moving, _at(here.child, chosen), UNVISITED),
        )

    return jax.lax.while_loop(going_on, go_on, _Descent(jnp.full_like(root.budget, ROOT), action, next_node))


def _expand(params: Params, descent: _Descent, state: State, *, game: Game, predict: PredictFn) -> Nodes:
    """One move in each state and the network's view of what follows; a finished game stays as it is."""

    moved = move(params, state, descent.action, game=game, predict=predict)
    return Nodes(
        prior_logits=moved.prior_logits,
        value=moved.value,
        parent=descent.node,
        reward=moved.reward,
        discount=moved.discount,
        state=moved.state,
    )


def _at(array: Array, action: Int[Array, " B"]) -> Array:
    """One entry of each row."""
    return jnp.take_along_axis(array, action[:, None], axis=-1)[:, 0]
