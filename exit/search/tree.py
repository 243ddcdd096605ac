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

from exit.devices import on_cpu
from exit.game import State
from exit.search.node import Node

UNVISITED = -1
"""In place of a row: nothing there yet."""

OVER = -1
"""In place of the action that a node goes on with: the game is over there."""

Read = TypeVar("Read")
Others = TypeVar("Others", bound=Any)


class Nodes(NamedTuple):
    """Nodes of any leading shape; values to the player to move at the node.

    Attributes:
      state: the position.
      prior_logits: of each action; the least finite number where illegal.
      child: first of the rows under each action, one for each outcome, or UNVISITED.
      visits: simulations through each action, as floats, or in 16 bits where there is a tree of few.
      qvalues: of visited actions; of others they mean nothing.
      lower, upper: proven bounds of each action, -inf where illegal; None without proofs.
      raw_value: the network's value; 0 where the game is over.
      value: mean of the network's value and the visited actions', by visits.
      reward, discount: on the way here, to the player who moved.
      prob: probability of the outcome that led here; None in deterministic games.
      follows: simulations that went on through here after that outcome; None in deterministic games.
      parent, parent_action: row of the parent, -1 for a root, and the action there.
      next_row: row that the next simulation goes on to, or the node's own if it leaves the tree here.
      next_action: its action, or OVER.
    """

    state: State
    prior_logits: Float[Array, "... A"]
    child: Int[Array, "... A"]
    visits: Float[Array, "... A"]
    qvalues: Float[Array, "... A"]
    lower: Float[Array, "... A"] | None
    upper: Float[Array, "... A"] | None
    raw_value: Float[Array, "..."]
    value: Float[Array, "..."]
    reward: Float[Array, "..."]
    discount: Float[Array, "..."]
    prob: Float[Array, "..."] | None
    follows: Float[Array, "..."] | None
    parent: Int[Array, "..."]
    parent_action: Int[Array, "..."]
    next_row: Int[Array, "..."]
    next_action: Int[Array, "..."]


class Tree(NamedTuple):
    """N rows. A node lies in a later row than its parent.

    Attributes:
      size: rows handed out; those beyond hold nothing.
      nodes: leaves `[N, ...]`.
    """

    size: Int[Array, ""]
    nodes: Nodes


def empty(nodes: Nodes, num_rows: int, max_visits: int | None = None) -> Tree:
    """Room for `num_rows` rows like these.

    Args:
      max_visits: of any action, where it is known: up to 65,535 take half the memory.
    """
    room = jax.tree.map(lambda leaf: jnp.zeros((num_rows, *leaf.shape[1:]), leaf.dtype), nodes)
    if max_visits is not None and max_visits <= jnp.iinfo(jnp.uint16).max:
        room = room._replace(visits=room.visits.astype(jnp.uint16))
    return Tree(jnp.int32(0), room)


def append(tree: Tree, nodes: Nodes, num_used: Int[Array, ""]) -> Tree:
    """Write rows behind the last one; those beyond `num_used` are free to be written over.

    New nodes leave the tree where they are, whatever their `next_row` says.
    """
    here = tree.size + jnp.arange(nodes.parent.shape[0], dtype=jnp.int32)
    nodes = nodes._replace(next_row=here)

    def write(old: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), tree.size, axis=0)

    return Tree(tree.size + num_used, jax.tree.map(write, tree.nodes, nodes))


def before_writing(
    read_fn: Callable[..., Read], arguments: tuple[Any, ...], others: Others
) -> tuple[Read, Others]:
    """`read_fn(*arguments)` and `others`, such that whatever depends on them comes after all that they read.

    XLA writes into a tree in place only where every reading of it is known to have ended; else it copies
    the tree, for each simulation. On a CPU it repeats small readings wherever their results are used,
    past any `optimization_barrier`, but not past a loop, even one that only ever runs once. On a GPU every
    turn of a loop waits for the host, and nothing is copied without it.
    """
    if not on_cpu():
        return read_fn(*arguments), others
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


def _with(read_fn: Callable[..., Read], others: Others, arguments: tuple[Any, ...]) -> tuple[Read, Others]:
    return read_fn(*arguments), others


def take(array: Array, rows: Int[Array, "..."]) -> Array:
    """Entries of rows that exist."""
    return array.at[rows].get(mode="promise_in_bounds", wrap_negative_indices=False)


def take_action(array: Array, rows: Int[Array, "..."], actions: Int[Array, "..."]) -> Array:
    """One entry of each row of `[N, A]`."""
    return array.at[rows, actions].get(mode="promise_in_bounds", wrap_negative_indices=False)


def put(array: Array, rows: Int[Array, "..."], values: Array, keep: Bool[Array, "..."]) -> Array:
    """Write rows where `keep`; those rows are all different."""
    return array.at[_kept(array, rows, keep)].set(
        values.astype(array.dtype), mode="drop", unique_indices=True, wrap_negative_indices=False
    )


def put_action(
    array: Array,
    rows: Int[Array, "..."],
    actions: Int[Array, "..."],
    values: Array,
    keep: Bool[Array, "..."],
) -> Array:
    """Write one entry of each row of `[N, A]` where `keep`; those entries are all different."""
    return array.at[_kept(array, rows, keep), actions].set(
        values.astype(array.dtype), mode="drop", unique_indices=True, wrap_negative_indices=False
    )


def _kept(array: Array, rows: Int[Array, "..."], keep: Bool[Array, "..."]) -> Int[Array, "..."]:
    """The rows to keep; in place of the others, different rows that do not exist."""
    beyond = array.shape[0] + jnp.arange(rows.size, dtype=jnp.int32).reshape(rows.shape)
    return jnp.where(keep, rows, beyond)


def states_at(tree: Tree, rows: Int[Array, "..."]) -> State:
    """The states of some rows."""
    return jax.tree.map(lambda leaf: take(leaf, rows), tree.nodes.state)


def node_at(tree: Tree, rows: Int[Array, "..."]) -> Node:
    """What is known of some rows and their actions."""
    columns = {name: getattr(tree.nodes, name) for name in Node._fields}
    node = Node(**jax.tree.map(lambda column: take(column, rows), columns))
    return node._replace(visits=node.visits.astype(jnp.float32))
