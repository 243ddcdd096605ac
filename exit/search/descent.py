"""From a root to where a simulation leaves the tree."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from exit.devices import on_cpu
from exit.search.node import Limits, bounds_of, settled
from exit.search.tree import OVER, UNVISITED, Tree, node_at, take, take_action

_HOPS, _HOPS_GPU = 4, 16
"""Levels between two looks at whether every path has ended. On a GPU every look waits for the host."""


class Descent(NamedTuple):
    """Where W simulations left the tree.

    Attributes:
      row: last node that was passed.
      action: action followed there.
      below: UNVISITED if the action has not been simulated, else the row of a finished game.
    """

    row: Int[Array, " W"]
    action: Int[Array, " W"]
    below: Int[Array, " W"]


def descend(tree: Tree, root: Int[Array, " W"], action: Int[Array, " W"], limits: Limits) -> Descent:
    """Follow each root's action, and then what every node goes on to next."""

    def hop(row: Int[Array, " W"]) -> Int[Array, " W"]:
        return take(tree.nodes.next_row, row)

    def hops(row: Int[Array, " W"]) -> Int[Array, " W"]:
        # Nothing is lost by hopping on where a path has ended: it stays.
        for _ in range(_HOPS if on_cpu() else _HOPS_GPU):
            row = hop(row)
        return row

    row = onward(tree, root, row_below(tree, root, action, limits))
    row = row if on_cpu() else hops(row)
    row = jax.lax.while_loop(lambda row: jnp.any(hop(row) != row), hops, row)
    action = jnp.where(row == root, action, take(tree.nodes.next_action, row))
    return Descent(row, action, row_below(tree, row, action, limits))


def onward(tree: Tree, row: Int[Array, "..."], below: Int[Array, "..."]) -> Int[Array, "..."]:
    """Where a simulation at `row` that is to follow `below` goes on, or `row` if it leaves the tree there."""
    over = take(tree.nodes.next_action, jnp.maximum(below, 0)) == OVER
    return jnp.where((below == UNVISITED) | over, row, below)


def row_below(
    tree: Tree, row: Int[Array, "..."], action: Int[Array, "..."], limits: Limits
) -> Int[Array, "..."]:
    """The row that a simulation of this action goes on to, or UNVISITED.

    After chance, the outcome whose visits lag most behind its probability; one whose value is proven
    needs no more.
    """
    base = take_action(tree.nodes.child, row, action)
    if tree.nodes.prob is None or tree.nodes.follows is None:
        return base
    rows = outcome_rows(base, limits)
    prob, follows = take(tree.nodes.prob, rows), take(tree.nodes.follows, rows)
    useful = prob > 0
    if tree.nodes.lower is not None:
        useful &= ~settled(*bounds_of(node_at(tree, rows), limits), limits)
    lag = prob * (1 + jnp.sum(follows, axis=-1, keepdims=True)) - follows
    outcome = jnp.argmax(jnp.where(useful, lag, -jnp.inf), axis=-1)
    return jnp.where(base == UNVISITED, UNVISITED, base + outcome.astype(jnp.int32))


def outcome_rows(base: Int[Array, "..."], limits: Limits) -> Int[Array, "... C"]:
    """Rows of all outcomes of an action whose first row is known; any rows if it is UNVISITED."""
    return jnp.maximum(base, 0)[..., None] + jnp.arange(limits.num_outcomes, dtype=jnp.int32)
