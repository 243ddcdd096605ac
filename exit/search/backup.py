"""Carrying what a simulation found from its leaf to the root."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.search.config import SearchConfig
from exit.search.descent import onward, outcome_rows, row_below
from exit.search.node import Limits, beaten, has_bounds, node_of
from exit.search.policy import interior_action
from exit.search.tree import (
    DISCOUNT,
    EDGE_LOWER,
    EDGE_UPPER,
    LOWER,
    PROB,
    QVALUE,
    RAW_VALUE,
    REWARD,
    UPPER,
    VALUE,
    VISITS,
    Tree,
    at_actions,
    put,
    put_at_actions,
    take,
)

_LEVELS = 8
"""Levels of the tree that are worked on at once: enough for most paths, few enough to waste little."""


class _Carry(NamedTuple):
    """What is passed up, at one row of each path.

    Attributes:
      row: whose parent comes next.
      value: of the row, to the player to move there.
      lower, upper: its bounds; None without proofs.
      returns: what this simulation alone has brought, to the same player.
      going_on: whether the row has a parent that has not been told.
    """

    row: Int[Array, " W"]
    value: Float[Array, " W"]
    lower: Float[Array, " W"] | None
    upper: Float[Array, " W"] | None
    returns: Float[Array, " W"]
    going_on: Bool[Array, " W"]


class _Path(NamedTuple):
    """Some levels of each path, from below: leaves `[W, D]`, and what every level brings to the one above.

    Attributes:
      row, action: a node and the action followed there.
      below: the row that the action led to.
      live: whether the level exists.
    """

    row: Int[Array, "W D"]
    action: Int[Array, "W D"]
    below: Int[Array, "W D"]
    live: Bool[Array, "W D"]


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
      shared_roots: paths may share their root; what is kept of the root as a node is then left alone.
    """
    facts = take(tree.nodes, leaf)
    value = facts[:, VALUE]
    lower, upper = (facts[:, LOWER], facts[:, UPPER]) if has_bounds(tree.edges) else (None, None)
    if tree.follows.size:
        tree = tree._replace(follows=put(tree.follows, leaf, take(tree.follows, leaf) + 1, active & revisited))

    def some_levels(carry: tuple[Tree, _Carry]) -> tuple[Tree, _Carry]:
        return _some_levels(*carry, limits=limits, config=config, shared_roots=shared_roots)

    start = _Carry(leaf, value, lower, upper, value, active)
    tree, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[1].going_on), some_levels, (tree, start))
    return tree


def _some_levels(
    tree: Tree, carry: _Carry, *, limits: Limits, config: SearchConfig, shared_roots: bool
) -> tuple[Tree, _Carry]:
    path = _climb(tree, carry)
    prior_logits, raw_value = take(tree.prior_logits, path.row), take(tree.facts, path.row)[..., RAW_VALUE]
    edges = take(tree.edges, path.row)
    here = jax.nn.one_hot(path.action, edges.shape[-2], dtype=bool)
    edges = edges.at[..., VISITS].add(here)
    told, carry = _values(tree, carry, path, edges, here, raw_value, limits=limits, config=config)
    edge = jnp.stack([jnp.sum(edges[..., VISITS] * here, axis=-1), told.qvalue, *told.edge_bounds], axis=-1)
    edges = jnp.where(here[..., None], edge[:, :, None], edges)
    node = node_of(prior_logits, edges, raw_value, told.nodes[..., VALUE], limits)
    action = interior_action(node, config.policy, limits)
    tree = tree._replace(edges=put_at_actions(tree.edges, path.row, path.action, edge, path.live))
    is_root = take(tree.up, path.row)[..., 0] < 0
    if tree.follows.size:
        follows = take(tree.follows, path.row) + 1
        tree = tree._replace(follows=put(tree.follows, path.row, follows, path.live & ~is_root))
    keep = path.live & ~is_root if shared_roots else path.live
    tree = tree._replace(nodes=put(tree.nodes, path.row, told.nodes, keep))
    after = onward(tree, path.row, row_below(tree, path.row, action, limits))
    after = jnp.stack([after, action], axis=-1)
    # A root goes on with whatever the policy says: it has no next row of its own.
    return tree._replace(next=put(tree.next, path.row, after, path.live & ~is_root)), carry


def _climb(tree: Tree, carry: _Carry) -> _Path:
    """The next levels above."""
    row, live = carry.row, carry.going_on
    levels = []
    for _ in range(_LEVELS):
        up = take(tree.up, row)
        live = live & (up[:, 0] >= 0)
        parent = jnp.maximum(up[:, 0], 0)
        levels.append(_Path(parent, up[:, 1], row, live))
        row = jnp.where(live, parent, row)
    return jax.tree.map(lambda *level: jnp.stack(level, axis=1), *levels)


class _Told(NamedTuple):
    """What the levels of each path are told.

    Attributes:
      qvalue: of the action followed.
      edge_bounds: of the action followed, lower and upper; empty without proofs.
      nodes: columns of `Tree.nodes`.
    """

    qvalue: Float[Array, "W D"]
    edge_bounds: tuple[Float[Array, "W D"], ...]
    nodes: Float[Array, "W D G"]


class _Others(NamedTuple):
    """What each level knows without the action followed, and how the row below enters it.

    Attributes:
      weight: visits of the other actions that count.
      total: their Q-values by visits, and the network's value.
      own: visits of the action followed, this one included.
      lower, upper: best bounds of the other actions; None without proofs.
      value_before: mean of the node before.
      reward, discount: on the way to the row below.
      share: probability of the outcome followed.
      rest, rest_lower, rest_upper: what the other outcomes bring, and within which bounds.
    """

    weight: Float[Array, "W D"]
    total: Float[Array, "W D"]
    own: Float[Array, "W D"]
    lower: Float[Array, "W D"] | None
    upper: Float[Array, "W D"] | None
    value_before: Float[Array, "W D"]
    reward: Float[Array, "W D"]
    discount: Float[Array, "W D"]
    share: Float[Array, "W D"] | float
    rest: Float[Array, "W D"] | float
    rest_lower: Float[Array, "W D"] | float
    rest_upper: Float[Array, "W D"] | float


def _values(
    tree: Tree,
    carry: _Carry,
    path: _Path,
    edges: Float[Array, "W D A F"],
    here: Bool[Array, "W D A"],
    raw_value: Float[Array, "W D"],
    *,
    limits: Limits,
    config: SearchConfig,
) -> tuple[_Told, _Carry]:
    """Values and bounds, level by level; everything that does not depend on the level below was done before."""
    others = _others(tree, path, edges, here, raw_value, limits)
    prove = has_bounds(edges)
    # mctx's running mean, kept to the last bit where mctx can do the same.
    running_mean = not prove and not tree.follows.size
    columns = []
    for level in range(_LEVELS):
        it = jax.tree.map(lambda leaf: leaf[:, level] if isinstance(leaf, jax.Array) else leaf, others)
        qvalue = it.rest + it.share * (it.reward + it.discount * carry.value)
        returns = it.reward + it.discount * carry.returns
        lower = upper = None
        if running_mean:
            num_visits = it.weight + it.own
            value = (it.value_before * num_visits + returns) / (num_visits + 1.0)
            bounds = ()
        else:
            counts = it.own
            bounds = ()
            if prove:
                ends = it.reward + it.discount * carry.lower, it.reward + it.discount * carry.upper
                bounds = (
                    jnp.maximum(it.rest_lower + it.share * jnp.minimum(*ends), limits.low),
                    jnp.minimum(it.rest_upper + it.share * jnp.maximum(*ends), limits.high),
                )
                lower, upper = jnp.maximum(it.lower, bounds[0]), jnp.maximum(it.upper, bounds[1])
                counts = jnp.where(bounds[1] < lower - limits.slack, 0.0, it.own)
            value = (it.total + counts * qvalue) / (1.0 + it.weight + counts)
            if prove:
                value = jnp.clip(value, lower, upper)
        live = path.live[:, level]
        columns.append((qvalue, bounds, (value, lower, upper) if prove else (value,)))
        carry = _Carry(
            row=jnp.where(live, path.row[:, level], carry.row),
            value=jnp.where(live, value, carry.value),
            lower=None if lower is None else jnp.where(live, lower, carry.lower),
            upper=None if upper is None else jnp.where(live, upper, carry.upper),
            returns=returns,
            going_on=live,
        )
    qvalue, bounds, nodes = jax.tree.map(lambda *level: jnp.stack(level, axis=1), *columns)
    going_on = carry.going_on & (take(tree.up, carry.row)[:, 0] >= 0)
    return _Told(qvalue, bounds, jnp.stack(nodes, axis=-1)), carry._replace(going_on=going_on)


def _others(
    tree: Tree,
    path: _Path,
    edges: Float[Array, "W D A F"],
    here: Bool[Array, "W D A"],
    raw_value: Float[Array, "W D"],
    limits: Limits,
) -> _Others:
    visits = edges[..., VISITS]
    counted = jnp.where(here, 0.0, visits)
    lower = upper = None
    if has_bounds(edges):
        # An action proven worse than another says nothing of what the node is worth.
        counted = jnp.where(beaten(edges, limits), 0.0, counted)
        lower = jnp.max(jnp.where(here, -jnp.inf, edges[..., EDGE_LOWER]), axis=-1)
        upper = jnp.max(jnp.where(here, -jnp.inf, edges[..., EDGE_UPPER]), axis=-1)
    below = take(tree.facts, path.below)
    outcomes = _other_outcomes(tree, path, limits) if tree.follows.size else (1.0, 0.0, 0.0, 0.0)
    return _Others(
        weight=jnp.sum(counted, axis=-1),
        total=raw_value + jnp.sum(counted * edges[..., QVALUE], axis=-1),
        own=jnp.sum(visits * here, axis=-1),
        lower=lower,
        upper=upper,
        value_before=take(tree.nodes, path.row)[..., VALUE],
        reward=below[..., REWARD],
        discount=below[..., DISCOUNT],
        share=outcomes[0],
        rest=outcomes[1],
        rest_lower=outcomes[2],
        rest_upper=outcomes[3],
    )


def _other_outcomes(tree: Tree, path: _Path, limits: Limits) -> tuple[Float[Array, "W D"], ...]:
    """Probability of the outcome followed; expected value of the others and within which bounds."""
    rows = outcome_rows(at_actions(tree.child, path.row, path.action), limits)
    facts, nodes = take(tree.facts, rows), take(tree.nodes, rows)
    prob = facts[..., PROB]
    mine = rows == path.below[..., None]

    def expected(value: Float[Array, "W D C"]) -> Float[Array, "W D"]:
        return jnp.sum(jnp.where(mine | (prob == 0), 0.0, prob * value), axis=-1)

    def seen_from_above(value: Float[Array, "W D C"]) -> Float[Array, "W D C"]:
        return facts[..., REWARD] + facts[..., DISCOUNT] * value

    share = jnp.sum(jnp.where(mine, prob, 0.0), axis=-1)
    rest = expected(seen_from_above(nodes[..., VALUE]))
    if nodes.shape[-1] == 1:
        return share, rest, rest, rest
    ends = seen_from_above(nodes[..., LOWER]), seen_from_above(nodes[..., UPPER])
    return share, rest, expected(jnp.minimum(*ends)), expected(jnp.maximum(*ends))
