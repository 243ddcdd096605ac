"""Some levels of the paths from leaves to roots: where they lie, and what each is told by the one below."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.devices import on_cpu
from exit.search.descent import outcome_rows
from exit.search.node import Limits, Node, beaten, bounds_of
from exit.search.tree import Tree, node_at, take, take_action

_NUM_LEVELS, _NUM_LEVELS_GPU = 8, 16
"""Levels of the tree that are worked on at once: enough for most paths, few enough to waste little. On a GPU
more levels cost next to nothing, and going on to others waits for the host."""


class Carry(NamedTuple):
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


class Path(NamedTuple):
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


class Told(NamedTuple):
    """What each level is told.

    Attributes:
      qvalue, lower, upper: of the action followed.
      value: of the node.
    """

    qvalue: Float[Array, "D W"]
    lower: Float[Array, "D W"]
    upper: Float[Array, "D W"]
    value: Float[Array, "D W"]


def _num_levels() -> int:
    return _NUM_LEVELS if on_cpu() else _NUM_LEVELS_GPU


def climb(tree: Tree, carry: Carry) -> Path:
    """The next levels above."""
    row, live = carry.row, carry.going_on
    levels = []
    for _ in range(_num_levels()):
        parent = take(tree.nodes.parent, row)
        live = live & (parent >= 0)
        parent = jnp.maximum(parent, 0)
        levels.append(Path(parent, take(tree.nodes.parent_action, row), row, live))
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


def tell(
    tree: Tree, carry: Carry, path: Path, node: Node, here: Bool[Array, "D W A"], *, limits: Limits
) -> tuple[Told, Carry]:
    """Values and bounds, level by level; whatever does not depend on the level below is done before."""
    plain = node.lower is None and limits.num_outcomes == 1

    def level(carry: Carry, it: tuple[Path, _Others]) -> tuple[Carry, Told]:
        path, others = it
        told, up = _level(carry, others, plain, limits)
        up = jax.tree.map(lambda new, old: jnp.where(path.live, new, old), up, carry)
        return up._replace(row=jnp.where(path.live, path.row, carry.row), going_on=path.live), told

    # On a CPU, XLA would merge the levels of a loop unrolled, and compute all levels anew for each one above.
    unroll = _num_levels() if plain or not on_cpu() else 1
    carry, told = jax.lax.scan(level, carry, (path, _others(tree, path, node, here, limits)), unroll=unroll)
    return told, carry._replace(going_on=carry.going_on & (take(tree.nodes.parent, carry.row) >= 0))


def _level(carry: Carry, it: _Others, plain: bool, limits: Limits) -> tuple[Told, Carry]:
    """What one level is told and passes up."""
    qvalue = it.rest + it.share * (it.reward + it.discount * carry.value)
    returns = it.reward + it.discount * carry.returns
    if plain:
        # mctx's running mean, so that both agree to the last bit.
        value = (it.value_before * it.num_visits + returns) / (it.num_visits + 1.0)
        return Told(qvalue, carry.lower, carry.upper, value), carry._replace(value=value, returns=returns)
    ends = it.reward + it.discount * carry.lower, it.reward + it.discount * carry.upper
    lower = jnp.maximum(it.rest_lower + it.share * jnp.minimum(*ends), limits.low)
    upper = jnp.minimum(it.rest_upper + it.share * jnp.maximum(*ends), limits.high)
    node_lower, node_upper = jnp.maximum(it.lower, lower), jnp.maximum(it.upper, upper)
    beaten_now = upper < node_lower - limits.slack
    value = jnp.where(beaten_now, it.total * it.per_other_visit, (it.total + it.own * qvalue) * it.per_visit)
    value = jnp.clip(value, node_lower, node_upper)
    up = carry._replace(value=value, lower=node_lower, upper=node_upper, returns=returns)
    return Told(qvalue, lower, upper, value), up


def _others(tree: Tree, path: Path, node: Node, here: Bool[Array, "D W A"], limits: Limits) -> _Others:
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


def _other_outcomes(tree: Tree, path: Path, limits: Limits) -> tuple[Float[Array, "D W"], ...]:
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
