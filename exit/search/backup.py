"""Carrying what a simulation found from its leaf to the root."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.devices import on_cpu
from exit.search.config import SearchConfig
from exit.search.descent import onward, row_below
from exit.search.levels import Carry, Path, Told, climb, tell
from exit.search.node import Limits, bounds_of
from exit.search.policy import interior_action
from exit.search.tree import Tree, before_writing, node_at, put, put_action, take


def back_up(
    tree: Tree,
    leaf: Int[Array, " W"],
    revisited: Bool[Array, " W"],
    active: Bool[Array, " W"],
    *,
    limits: Limits,
    config: SearchConfig,
) -> Tree:
    """Tell every node above each leaf, and choose where it goes next.

    Args:
      leaf: last row of each path; no two paths share a node.
      revisited: the leaf is an old one, at which the game is over.
    """
    value = take(tree.nodes.value, leaf)
    lower, upper = bounds_of(node_at(tree, leaf), limits)
    tree = _follow(tree, leaf, active & revisited)

    def some_levels(carry: tuple[Tree, Carry]) -> tuple[Tree, Carry]:
        return _some_levels(*carry, limits=limits, config=config)

    start = tree, Carry(leaf, value, lower, upper, value, active)
    # Most paths end in the first levels; on a GPU a loop would wait for the host to hear of it.
    start = start if on_cpu() else some_levels(start)
    tree, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[1].going_on), some_levels, start)
    return tree


def _follow(tree: Tree, rows: Int[Array, "..."], keep: Bool[Array, "..."]) -> Tree:
    """Count a simulation through rows that chance led to."""
    follows = tree.nodes.follows
    if follows is None:
        return tree
    follows = put(follows, rows, take(follows, rows) + 1, keep)
    return tree._replace(nodes=tree.nodes._replace(follows=follows))


class _News(NamedTuple):
    """What is written at some levels of each path.

    Attributes:
      path: where.
      told: values of actions and nodes.
      visits: of the action followed.
      next_action: where the node goes next.
    """

    path: Path
    told: Told
    visits: Float[Array, "D W"]
    next_action: Int[Array, "D W"]


def _some_levels(tree: Tree, carry: Carry, *, limits: Limits, config: SearchConfig) -> tuple[Tree, Carry]:
    def read(carry: Carry) -> tuple[_News, Carry]:
        return _news(tree, carry, limits=limits, config=config)

    (news, carry), _ = before_writing(read, (carry,), tree.size)
    path, told = news.path, news.told

    def write(old: Array | None, new: Array) -> Array | None:
        return None if old is None else put_action(old, path.row, path.action, new, path.live)

    below_root = path.live & (take(tree.nodes.parent, path.row) >= 0)
    nodes = _follow(tree, path.row, below_root).nodes
    nodes = nodes._replace(
        visits=write(nodes.visits, news.visits),
        qvalues=write(nodes.qvalues, told.qvalue),
        lower=write(nodes.lower, told.lower),
        upper=write(nodes.upper, told.upper),
        value=put(nodes.value, path.row, told.value, path.live),
    )
    tree = tree._replace(nodes=nodes)

    def look(row: Int[Array, "D W"], action: Int[Array, "D W"]) -> Int[Array, "D W"]:
        return onward(tree, row, row_below(tree, row, action, limits))

    # A root goes on with whatever the policy says: it has no next row of its own.
    next_row, (action, _) = before_writing(look, (path.row, news.next_action), (news.next_action, tree.size))
    nodes = nodes._replace(
        next_row=put(nodes.next_row, path.row, next_row, below_root),
        next_action=put(nodes.next_action, path.row, action, below_root),
    )
    return tree._replace(nodes=nodes), carry


def _news(tree: Tree, carry: Carry, *, limits: Limits, config: SearchConfig) -> tuple[_News, Carry]:
    path = climb(tree, carry)
    node = node_at(tree, path.row)
    here = jax.nn.one_hot(path.action, node.visits.shape[-1], dtype=bool)
    node = node._replace(visits=node.visits + here)
    told, carry = tell(tree, carry, path, node, here, limits=limits)

    def at_action(old: Array | None, new: Array) -> Array | None:
        return None if old is None else jnp.where(here, new[..., None], old)

    node = node._replace(
        qvalues=at_action(node.qvalues, told.qvalue),
        lower=at_action(node.lower, told.lower),
        upper=at_action(node.upper, told.upper),
        value=told.value,
    )
    visits = jnp.sum(jnp.where(here, node.visits, 0.0), axis=-1)
    return _News(path, told, visits, interior_action(node, config.policy, limits)), carry
