"""The tree of `search`: a pool of rows that many trees grow in side by side.

A row is a node; rows are handed out in order of time, whatever tree they are for, so that a batch whose
states have different budgets fills only what it uses, and the rows of one step are one contiguous write.
What an action is worth is kept at its parent, beside the values of the other actions: choosing among
them reads one row. Where each node would go next is kept too, because it changes only when a
simulation passes through: going down a tree is a lookup a level.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.game import State

UNVISITED = -1
"""In place of a row: nothing there yet."""

OVER = -1
"""In place of the action that a node goes on with: the game is over there."""

# Columns of `Tree.edges`.
VISITS, QVALUE, EDGE_LOWER, EDGE_UPPER = range(4)
# Columns of `Tree.nodes`.
VALUE, LOWER, UPPER = range(3)
# Columns of `Tree.facts`.
RAW_VALUE, REWARD, DISCOUNT, PROB = range(4)


Read = TypeVar("Read")
Others = TypeVar("Others", bound=Any)


class Tree(NamedTuple):
    """N rows, one a node. An action that has been simulated owns C rows in a run, one an outcome.

    A node lies in a later row than its parent. Rows at `size` and beyond hold nothing.

    Attributes:
      size: rows handed out.
      child: first of the rows under each action, or UNVISITED.
      prior_logits: of each action; the least finite number where illegal.
      edges: visits and Q-value of each action, to the player to move at the node; with proofs also its
        bounds. Q-values of unvisited actions mean nothing.
      nodes: value to the player to move, the node's own evaluation among it; with proofs also its bounds.
      facts: the network's value, reward and signed discount on the way here (to the player who moved),
        and, in games of chance, the probability of the outcome that led here.
      next: row that the next simulation goes on to, or the row itself if the simulation leaves the tree
        here, as at every root; and its action, or OVER.
      up: row of the parent, -1 for a root, and the action there.
      follows: simulations that went on through the row; in games of chance only.
      states: leaves `[N, ...]`.
    """

    size: Int[Array, ""]
    child: Int[Array, "N A"]
    prior_logits: Float[Array, "N A"]
    edges: Float[Array, "N A F"]
    nodes: Float[Array, "N G"]
    facts: Float[Array, "N H"]
    next: Int[Array, "N 2"]
    up: Int[Array, "N 2"]
    follows: Int[Array, " M"]
    states: State


class Rows(NamedTuple):
    """M new rows, by the columns of `Tree`."""

    prior_logits: Float[Array, "M A"]
    edges: Float[Array, "M A F"]
    nodes: Float[Array, "M G"]
    facts: Float[Array, "M H"]
    next: Int[Array, "M 2"]
    up: Int[Array, "M 2"]
    state: State


def empty(rows: Rows, num_rows: int, *, chance: bool) -> Tree:
    """Room for `num_rows` rows like these."""

    def room(leaf: Array) -> Array:
        return jnp.zeros((num_rows, *leaf.shape[1:]), leaf.dtype)

    return Tree(
        size=jnp.int32(0),
        child=room(rows.prior_logits).astype(jnp.int32),
        prior_logits=room(rows.prior_logits),
        edges=room(rows.edges),
        nodes=room(rows.nodes),
        facts=room(rows.facts),
        next=room(rows.next),
        up=room(rows.up),
        follows=jnp.zeros(num_rows if chance else 0, jnp.int32),
        states=jax.tree.map(room, rows.state),
    )


def append(tree: Tree, rows: Rows, num_used: Int[Array, ""]) -> Tree:
    """Write rows behind the last one; those beyond `num_used` are free to be written over."""

    def write(old: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), tree.size, axis=0)

    here = tree.size + jnp.arange(rows.next.shape[0], dtype=jnp.int32)
    fresh = jnp.full(rows.prior_logits.shape, UNVISITED, jnp.int32)
    follows = tree.follows
    if follows.size:
        follows = write(follows, jnp.zeros(fresh.shape[0], jnp.int32))
    return Tree(
        size=tree.size + num_used,
        child=write(tree.child, fresh),
        prior_logits=write(tree.prior_logits, rows.prior_logits),
        edges=write(tree.edges, rows.edges),
        nodes=write(tree.nodes, rows.nodes),
        facts=write(tree.facts, rows.facts),
        next=write(tree.next, rows.next.at[:, 0].set(here)),
        up=write(tree.up, rows.up),
        follows=follows,
        states=jax.tree.map(write, tree.states, rows.state),
    )


def before_writing(
    read_fn: Callable[..., Read], arguments: tuple[Array, ...], others: Others
) -> tuple[Read, Others]:
    """`read_fn(*arguments)` and `others`, such that whatever depends on them comes after all that they read.

    XLA writes into a tree in place only where every reading of it is known to have ended; else it copies
    the tree, for each simulation. On a CPU it repeats small readings wherever their results are used,
    past any `optimization_barrier`, but not past a loop, even one that only ever runs once.
    """
    everything = functools.partial(_with, read_fn, others)
    nothing = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(everything, arguments)
    )
    # Never less than 1, which the compiler cannot know.
    once = jnp.minimum(jax.tree.leaves(others)[-1].reshape(-1)[0], 0) + 1
    _, found = jax.lax.while_loop(
        lambda carry: carry[0] < once, lambda carry: (carry[0] + 1, everything(arguments)), (0, nothing)
    )
    return found


def _with(read_fn: Callable[..., Read], others: Others, arguments: tuple[Array, ...]) -> tuple[Read, Others]:
    return read_fn(*arguments), others


def take(array: Array, rows: Int[Array, "..."]) -> Array:
    """Entries of rows that exist."""
    return array.at[rows].get(mode="promise_in_bounds", wrap_negative_indices=False)


def put(array: Array, rows: Int[Array, "..."], values: Array, keep: Bool[Array, "..."]) -> Array:
    """Write rows where `keep`; those rows are all different."""
    beyond = array.shape[0] + jnp.arange(rows.size, dtype=jnp.int32).reshape(rows.shape)
    return array.at[jnp.where(keep, rows, beyond)].set(
        values.astype(array.dtype), mode="drop", unique_indices=True, wrap_negative_indices=False
    )


def at_actions(array: Array, rows: Int[Array, "..."], actions: Int[Array, "..."]) -> Array:
    """One entry of each row of `[N, A, ...]`."""
    return array.at[rows, actions].get(mode="promise_in_bounds", wrap_negative_indices=False)


def put_at_actions(
    array: Array,
    rows: Int[Array, "..."],
    actions: Int[Array, "..."],
    values: Array,
    keep: Bool[Array, "..."],
) -> Array:
    """Write one entry of each row of `[N, A, ...]` where `keep`; those entries are all different."""
    beyond = array.shape[0] + jnp.arange(rows.size, dtype=jnp.int32).reshape(rows.shape)
    return array.at[jnp.where(keep, rows, beyond), actions].set(
        values.astype(array.dtype), mode="drop", unique_indices=True, wrap_negative_indices=False
    )


def states_at(tree: Tree, rows: Int[Array, "..."]) -> State:
    """The states of some rows."""
    return jax.tree.map(lambda leaf: take(leaf, rows), tree.states)


def row_bytes(tree: Tree) -> int:
    """Memory of one row."""
    arrays = jax.tree.leaves(tree._replace(size=None))
    num_rows = tree.child.shape[0]
    return sum(leaf.nbytes for leaf in arrays) // num_rows
