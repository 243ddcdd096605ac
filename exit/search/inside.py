"""What search proves on its way: positions inside the trees, where the network's policy gives most away."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from exit.game import State
from exit.search.config import SearchConfig, is_side_by_side
from exit.search.forest import Findings, Forest
from exit.search.node import Limits, bounds_of, settled
from exit.search.remembering import forgotten
from exit.search.result import SearchResult, summarise
from exit.search.tree import Tree, node_at, states_at, take


class Inside(NamedTuple):
    """Positions inside trees, as many as there are trees, and what these say of them."""

    state: State
    result: SearchResult


def require_inside(config: SearchConfig) -> None:
    """Raise ValueError unless searches as configured prove positions inside their trees, and keep them."""
    if not config.prove or is_side_by_side(config.policy):
        raise ValueError(
            "searches as configured keep no proven positions for self_play.from_trees; set search.prove=true "
            "and, of Gumbel search, search.policy.side_by_side=false"
        )


def most_mistaken(forest: Forest, roots: Inside, *, limits: Limits, config: SearchConfig) -> Inside:
    """Of the positions below the roots that are proven, those whose prior gives most away.

    Args:
      roots: stand in, each once, where fewer are proven than there are trees.
    """
    tree, num_trees = forest.tree, forest.root.shape[0]
    rows = jnp.arange(tree.nodes.parent.shape[0], dtype=jnp.int32)
    found = _findings(tree, rows, limits)
    result = summarise(found, jnp.zeros_like(found.prior_logits), limits=limits, config=config)
    # Rows beyond the last, and those that nothing leads to, have no visits; nor have finished games.
    proven = (rows < tree.size) & (tree.nodes.parent >= 0) & (found.spent > 0)
    proven &= settled(found.lower, found.upper, limits)
    if tree.nodes.prob is not None:
        proven &= tree.nodes.prob > 0
    scores, chosen = jax.lax.top_k(jnp.where(proven, result.regret, -1.0), num_trees)
    below = Inside(forgotten(states_at(tree, chosen)), jax.tree.map(lambda leaf: take(leaf, chosen), result))

    def where_proven(inner: Array, root: Array) -> Array:
        return jnp.where((scores >= 0).reshape(-1, *[1] * (inner.ndim - 1)), inner, root)

    return jax.tree.map(where_proven, below, roots)


def _findings(tree: Tree, rows: Int[Array, " N"], limits: Limits) -> Findings:
    """What a tree says of any of its nodes."""
    node = node_at(tree, rows)
    spent = jnp.sum(node.visits, axis=-1).astype(jnp.int32)
    return Findings(node, node.prior_logits, node.prior_logits, *bounds_of(node, limits), spent)
