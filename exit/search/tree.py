"""The tree of `search`: many trees grown side by side, one simulation of each at a time.

Equal to mctx's Gumbel search, simulation by simulation, at a fraction of its cost: nodes are stored
node-major, so that the nodes of one simulation are one contiguous write, and a value is backed up by
writing the visited nodes alone, where a vectorised `while_loop` over whole trees would rewrite every node.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.game import State

ROOT = 0
UNVISITED = -1


class Tree(NamedTuple):
    """B trees of up to N nodes. Arrays of nodes are flat: node n of tree b is at row `n * B + b`.

    The node first reached on simulation i has index i + 1. A spent tree still has rows written for
    later simulations, but no parent links to them.

    Attributes:
      children_index: node under each action, or -1.
      prior_logits: of each action; the least finite number where illegal.
      raw_values: the network's, to the player to move.
      values: mean return of the simulations through the node, to the player to move.
      visits: simulations through the node, its own expansion included.
      parents: index of the parent; that of the root is the root.
      rewards: on the way from the parent, to the parent's player.
      discounts: signed, on the way from the parent; 0 if the game ended.
      states: leaves `[N * B, ...]`.
    """

    children_index: Int[Array, "NB A"]
    prior_logits: Float[Array, "NB A"]
    raw_values: Float[Array, " NB"]
    values: Float[Array, " NB"]
    visits: Int[Array, " NB"]
    parents: Int[Array, " NB"]
    rewards: Float[Array, " NB"]
    discounts: Float[Array, " NB"]
    states: State


class Nodes(NamedTuple):
    """One new node for each of B trees."""

    prior_logits: Float[Array, "B A"]
    value: Float[Array, " B"]
    parent: Int[Array, " B"]
    reward: Float[Array, " B"]
    discount: Float[Array, " B"]
    state: State


class Children(NamedTuple):
    """What one node of each tree knows of its actions.

    Attributes:
      child: node under the action, or -1.
      visits: 0 where unvisited.
      qvalues: of visited actions, to the player to move at the node; arbitrary where unvisited.
      prior_logits: of each action.
      raw_value: the network's value of the node.
    """

    child: Int[Array, "B A"]
    visits: Int[Array, "B A"]
    qvalues: Float[Array, "B A"]
    prior_logits: Float[Array, "B A"]
    raw_value: Float[Array, " B"]


def empty(root: Nodes, max_nodes: int) -> Tree:
    """Trees of nothing but a root, with room for `max_nodes` nodes each."""
    num_trees, num_actions = root.prior_logits.shape
    rows = num_trees * max_nodes
    tree = Tree(
        children_index=jnp.full((rows, num_actions), UNVISITED, jnp.int32),
        prior_logits=jnp.zeros((rows, num_actions)),
        raw_values=jnp.zeros(rows),
        values=jnp.zeros(rows),
        visits=jnp.zeros(rows, jnp.int32),
        parents=jnp.zeros(rows, jnp.int32),
        rewards=jnp.zeros(rows),
        discounts=jnp.zeros(rows),
        states=jax.tree.map(lambda leaf: jnp.zeros((rows, *leaf.shape[1:]), leaf.dtype), root.state),
    )
    return append(tree, root, jnp.int32(ROOT))


def append(tree: Tree, nodes: Nodes, index: Int[Array, ""]) -> Tree:
    """Write node `index` of every tree; parents are not told (see `link`)."""
    start = index * nodes.value.shape[0]

    def write(rows: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(rows, new.astype(rows.dtype), start, axis=0)

    return tree._replace(
        prior_logits=write(tree.prior_logits, nodes.prior_logits),
        raw_values=write(tree.raw_values, nodes.value),
        values=write(tree.values, nodes.value),
        visits=write(tree.visits, jnp.ones_like(nodes.parent)),
        parents=write(tree.parents, nodes.parent),
        rewards=write(tree.rewards, nodes.reward),
        discounts=write(tree.discounts, nodes.discount),
        states=jax.tree.map(write, tree.states, nodes.state),
    )


def link(
    tree: Tree,
    parent: Int[Array, " B"],
    action: Int[Array, " B"],
    index: Int[Array, ""],
    running: Bool[Array, " B"],
) -> Tree:
    """Tell the parents of node `index`, in trees that are running."""
    num_trees, num_actions = parent.shape[0], tree.prior_logits.shape[1]
    cell = _rows(parent, num_trees) * num_actions + action
    flat = tree.children_index.reshape(-1)
    child = jnp.where(running, index, flat.at[cell].get(mode="promise_in_bounds"))
    flat = flat.at[cell].set(child, mode="promise_in_bounds", unique_indices=True)
    return tree._replace(children_index=flat.reshape(tree.children_index.shape))


def children(tree: Tree, node: Int[Array, " B"]) -> Children:
    """What one node of each tree knows of its actions."""
    num_trees = node.shape[0]
    rows = _rows(node, num_trees)
    child = _take(tree.children_index, rows)
    visited = child != UNVISITED
    below = _rows(jnp.where(visited, child, ROOT), num_trees)
    qvalues = _take(tree.rewards, below) + _take(tree.discounts, below) * _take(tree.values, below)
    return Children(
        child=child,
        visits=jnp.where(visited, _take(tree.visits, below), 0),
        qvalues=qvalues,
        prior_logits=_take(tree.prior_logits, rows),
        raw_value=_take(tree.raw_values, rows),
    )


def states_at(tree: Tree, node: Int[Array, " B"]) -> State:
    """The state of one node of each tree."""
    rows = _rows(node, node.shape[0])
    return jax.tree.map(lambda leaf: _take(leaf, rows), tree.states)


def back_up(tree: Tree, leaf: Int[Array, ""], running: Bool[Array, " B"]) -> Tree:
    """Add the value of node `leaf` to the mean of every node above it, in trees that are running."""
    num_trees = running.shape[0]
    start = jnp.where(running, leaf, ROOT)
    returns = _take(tree.values, _rows(start, num_trees))

    def below_root(carry: tuple) -> Bool[Array, ""]:
        return jnp.any(carry[2] != ROOT)

    def climb(carry: tuple) -> tuple:
        values, visits, node, returns = carry
        rows = _rows(node, num_trees)
        moving = node != ROOT
        returns = _take(tree.rewards, rows) + _take(tree.discounts, rows) * returns
        parent = _take(tree.parents, rows)
        above = _rows(parent, num_trees)
        count, mean = _take(visits, above), _take(values, above)
        weight = count.astype(mean.dtype)
        mean = jnp.where(moving, (mean * weight + returns) / (weight + 1.0), mean)
        values = values.at[above].set(mean, mode="promise_in_bounds", unique_indices=True)
        visits = visits.at[above].set(count + moving, mode="promise_in_bounds", unique_indices=True)
        return values, visits, parent, returns

    values, visits, _, _ = jax.lax.while_loop(below_root, climb, (tree.values, tree.visits, start, returns))
    return tree._replace(values=values, visits=visits)


def _rows(node: Int[Array, "B ..."], num_trees: int) -> Int[Array, "B ..."]:
    """Rows of one or more nodes of each tree."""
    lane = jnp.arange(num_trees, dtype=jnp.int32)
    return node * num_trees + lane.reshape(-1, *[1] * (node.ndim - 1))


def _take(array: Array, rows: Int[Array, "..."]) -> Array:
    return array.at[rows].get(mode="promise_in_bounds")
