"""Carrying what a simulation found from its leaf to the root."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.search.config import SearchConfig
from exit.search.descent import onward, outcome_rows, row_below
from exit.search.node import Limits, Node, beaten, bounds_of
from exit.search.policy import interior_action
from exit.search.tree import Tree, before_writing, node_at, put, put_action, take, take_action

_LEVELS = 8
"""Levels of the tree that are worked on at once: enough for most paths, few enough to waste little."""


class _Carry(NamedTuple):
    """What is passed up, at one row of each path.

    Attributes:
      row: whose parent comes next.
      value: of the row, to the player to move there.
      lower, upper: its bounds.
      returns: what this simulation alone has brought, to the same player.
      going_on: whether the row has a parent that has not been told.
    """

    row: Int[Array, " W"]
    value: Float[Array, " W"]
    lower: Float[Array, " W"]
    upper: Float[Array, " W"]
    returns: Float[Array, " W"]
    going_on: Bool[Array, " W"]


class _Path(NamedTuple):
    """Some levels of each path, from below.

    Attributes:
      row, action: a node and the action followed there.
      below: the row that the action led to.
      live: whether the level exists.
    """

    row: Int[Array, "D W"]
    action: Int[Array, "D W"]
    below: Int[Array, "D W"]
    live: Bool[Array, "D W"]


class _Told(NamedTuple):
    """What each level is told.

    Attributes:
      qvalue, lower, upper: of the action followed.
      value: of the node.
    """

    qvalue: Float[Array, "D W"]
    lower: Float[Array, "D W"]
    upper: Float[Array, "D W"]
    value: Float[Array, "D W"]


def back_up(
    tree: Tree,
    leaf: Int[Array, " W"],
    revisited: Bool[Array, " W"],
    active: Bool[Array, " W"],
    *,
    limits: Limits,
    config: SearchConfig,
    shared_roots: bool,
) -> Tree:
    """Tell every node above each leaf, and choose where it goes next.

    Args:
      leaf: last row of each path; no two paths share a node other than the root.
      revisited: the leaf is an old one, at which the game is over.
      shared_roots: paths may share their root, whose own value is then not kept.
    """
    value = take(tree.nodes.value, leaf)
    lower, upper = bounds_of(node_at(tree, leaf), limits)
    tree = _follow(tree, leaf, active & revisited)

    def some_levels(carry: tuple[Tree, _Carry]) -> tuple[Tree, _Carry]:
        return _some_levels(*carry, limits=limits, config=config, shared_roots=shared_roots)

    start = _Carry(leaf, value, lower, upper, value, active)
    tree, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[1].going_on), some_levels, (tree, start))
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

    path: _Path
    told: _Told
    visits: Float[Array, "D W"]
    next_action: Int[Array, "D W"]


def _some_levels(
    tree: Tree, carry: _Carry, *, limits: Limits, config: SearchConfig, shared_roots: bool
) -> tuple[Tree, _Carry]:
    def read(carry: _Carry) -> tuple[_News, _Carry]:
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
        value=put(nodes.value, path.row, told.value, below_root if shared_roots else path.live),
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


def _news(tree: Tree, carry: _Carry, *, limits: Limits, config: SearchConfig) -> tuple[_News, _Carry]:
    path = _climb(tree, carry)
    node = node_at(tree, path.row)
    here = jax.nn.one_hot(path.action, node.visits.shape[-1], dtype=bool)
    node = node._replace(visits=node.visits + here)
    told, carry = _values(tree, carry, path, node, here, limits=limits)

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


def _climb(tree: Tree, carry: _Carry) -> _Path:
    """The next levels above."""
    row, live = carry.row, carry.going_on
    levels = []
    for _ in range(_LEVELS):
        parent = take(tree.nodes.parent, row)
        live = live & (parent >= 0)
        parent = jnp.maximum(parent, 0)
        levels.append(_Path(parent, take(tree.nodes.parent_action, row), row, live))
        row = jnp.where(live, parent, row)
    path = jax.tree.map(lambda *level: jnp.stack(level), *levels)
    return path._replace(action=jnp.maximum(path.action, 0))


class _Others(NamedTuple):
    """What each level knows without the action followed, and how the row below enters it.

    Attributes:
      num_visits: through the node before, the network's evaluation among them.
      total: Q-values of the other actions that count by their visits, and the network's value.
      own: visits of the action followed, this one included.
      per_visit, per_other_visit: one over all visits that count, the network's among them, with and without
        those of the action followed. Dividing beforehand spares a division a level.
      lower, upper: best bounds of the other actions.
      value_before: of the node, before.
      reward, discount: on the way to the row below.
      share: probability of the outcome followed.
      rest, rest_lower, rest_upper: what the other outcomes bring, and within which bounds.
    """

    num_visits: Float[Array, "D W"]
    total: Float[Array, "D W"]
    own: Float[Array, "D W"]
    per_visit: Float[Array, "D W"]
    per_other_visit: Float[Array, "D W"]
    lower: Float[Array, "D W"]
    upper: Float[Array, "D W"]
    value_before: Float[Array, "D W"]
    reward: Float[Array, "D W"]
    discount: Float[Array, "D W"]
    share: Float[Array, "D W"]
    rest: Float[Array, "D W"]
    rest_lower: Float[Array, "D W"]
    rest_upper: Float[Array, "D W"]


def _values(
    tree: Tree, carry: _Carry, path: _Path, node: Node, here: Bool[Array, "D W A"], *, limits: Limits
) -> tuple[_Told, _Carry]:
    """Values and bounds, level by level; whatever does not depend on the level below is done before."""
    plain = node.lower is None and limits.num_outcomes == 1

    def level(carry: _Carry, it: tuple[_Path, _Others]) -> tuple[_Carry, _Told]:
        path, others = it
        told, up = _level(carry, others, plain, limits)
        up = jax.tree.map(lambda new, old: jnp.where(path.live, new, old), up, carry)
        return up._replace(row=jnp.where(path.live, path.row, carry.row), going_on=path.live), told

    # XLA would merge the levels of a loop unrolled, and compute every level anew for each one above it.
    carry, told = jax.lax.scan(
        level, carry, (path, _others(tree, path, node, here, limits)), unroll=_LEVELS if plain else 1
    )
    return told, carry._replace(going_on=carry.going_on & (take(tree.nodes.parent, carry.row) >= 0))


def _level(carry: _Carry, it: _Others, plain: bool, limits: Limits) -> tuple[_Told, _Carry]:
    """What one level is told and passes up."""
    qvalue = it.rest + it.share * (it.reward + it.discount * carry.value)
    returns = it.reward + it.discount * carry.returns
    if plain:
        # mctx's running mean, so that both agree to the last bit.
        value = (it.value_before * it.num_visits + returns) / (it.num_visits + 1.0)
        return _Told(qvalue, carry.lower, carry.upper, value), carry._replace(value=value, returns=returns)
    ends = it.reward + it.discount * carry.lower, it.reward + it.discount * carry.upper
    lower = jnp.maximum(it.rest_lower + it.share * jnp.minimum(*ends), limits.low)
    upper = jnp.minimum(it.rest_upper + it.share * jnp.maximum(*ends), limits.high)
    node_lower, node_upper = jnp.maximum(it.lower, lower), jnp.maximum(it.upper, upper)
    beaten_now = upper < node_lower - limits.slack
    value = jnp.where(beaten_now, it.total * it.per_other_visit, (it.total + it.own * qvalue) * it.per_visit)
    value = jnp.clip(value, node_lower, node_upper)
    up = carry._replace(value=value, lower=node_lower, upper=node_upper, returns=returns)
    return _Told(qvalue, lower, upper, value), up


def _others(tree: Tree, path: _Path, node: Node, here: Bool[Array, "D W A"], limits: Limits) -> _Others:
    # An action proven worse than another says nothing of what the node is worth.
    counted = jnp.where(here | beaten(node, limits), 0.0, node.visits)
    lower, upper = jnp.full_like(node.value, limits.low), jnp.full_like(node.value, limits.high)
    if node.lower is not None and node.upper is not None:
        lower = jnp.max(jnp.where(here, -jnp.inf, node.lower), axis=-1)
        upper = jnp.max(jnp.where(here, -jnp.inf, node.upper), axis=-1)
    share, rest, rest_lower, rest_upper = _other_outcomes(tree, path, limits)
    weight, own = jnp.sum(counted, axis=-1), jnp.sum(jnp.where(here, node.visits, 0.0), axis=-1)
    return _Others(
        num_visits=jnp.sum(node.visits, axis=-1),
        total=node.raw_value + jnp.sum(counted * node.qvalues, axis=-1),
        own=own,
        per_visit=1.0 / (1.0 + weight + own),
        per_other_visit=1.0 / (1.0 + weight),
        lower=lower,
        upper=upper,
        value_before=node.value,
        reward=take(tree.nodes.reward, path.below),
        discount=take(tree.nodes.discount, path.below),
        share=share,
        rest=rest,
        rest_lower=rest_lower,
        rest_upper=rest_upper,
    )


def _other_outcomes(tree: Tree, path: _Path, limits: Limits) -> tuple[Float[Array, "D W"], ...]:
    """Probability of the outcome followed; expected value of the others and within which bounds."""
    if tree.nodes.prob is None:
        zeros = jnp.zeros(path.row.shape)
        return zeros + 1.0, zeros, zeros, zeros
    rows = outcome_rows(take_action(tree.nodes.child, path.row, path.action), limits)
    prob, reward, discount = (
        take(column, rows) for column in (tree.nodes.prob, tree.nodes.reward, tree.nodes.discount)
    )
    mine = rows == path.below[..., None]

    def expected(value: Float[Array, "D W C"]) -> Float[Array, "D W"]:
        return jnp.sum(jnp.where(mine, 0.0, prob * value), axis=-1)

    lower, upper = bounds_of(node_at(tree, rows), limits)
    ends = reward + discount * lower, reward + discount * upper
    return (
        jnp.sum(jnp.where(mine, prob, 0.0), axis=-1),
        expected(reward + discount * take(tree.nodes.value, rows)),
        expected(jnp.minimum(*ends)),
        expected(jnp.maximum(*ends)),
    )
