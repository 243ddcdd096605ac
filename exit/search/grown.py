"""The tree of a thought between searches: its room, and what lies in it below a move."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from exit.memory import available_bytes
from exit.search import side_by_side
from exit.search.config import SearchConfig
from exit.search.forest import Forest, by_levels
from exit.search.halving import before_first
from exit.search.node import Node
from exit.search.side_by_side import SideBySide
from exit.search.subtree import share, with_room
from exit.search.tree import Nodes, Tree

Grown = Forest | SideBySide
"""Trees as a search leaves them; of several devices, that of each along a first axis of `forest`."""

_SHARE_OF_AVAILABLE = 0.8


class TooMuchThought(ValueError):
    """The tree would not fit in the memory allowed."""


def nodes_of(tree: Grown) -> Nodes:
    """Its rows; of several devices, with a leading axis."""
    return (tree.forest if isinstance(tree, SideBySide) else tree).tree.nodes


def rows_used(tree: Grown) -> Array:
    """How many rows are taken, on each device that has a tree."""
    return (tree.forest if isinstance(tree, SideBySide) else tree).tree.size


def tree_of(tree: Grown, action: int) -> tuple[Nodes, int]:
    """The rows in which a root action of a single state is simulated, as NumPy arrays, and the root there."""
    if not isinstance(tree, SideBySide):
        return tree.tree.nodes, int(tree.root[0])
    count = tree.forest.root.shape[0]
    # An action that does not exist is refused later.
    place = int(np.flatnonzero(tree.order[0] == action)[0]) if action in tree.order[0] else 0
    nodes = jax.tree.map(lambda leaf: leaf[place % count], tree.forest.tree.nodes)
    return nodes, int(tree.forest.root[place % count, place // count])


def enlarged(tree: Grown, num_rows: int, max_bytes: int | None) -> Grown:
    """The same trees with room for `num_rows` rows; on the host, where nothing is compiled for it.

    Raises:
      TooMuchThought: that does not fit in `max_bytes`, or in most of what is available; names what would.
    """
    nodes = nodes_of(tree)
    before = nodes.parent.shape[-1]
    row_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(nodes)) / before
    if max_bytes is None:
        max_bytes = int(_SHARE_OF_AVAILABLE * available_bytes())
    # The grown tree lies beside the one handed over.
    if 2 * row_bytes * num_rows > max_bytes:
        fitting = 1 << max(0, int(max_bytes / (2 * row_bytes))).bit_length() - 1
        raise TooMuchThought(
            f"a tree of {num_rows:,} rows needs {2 * row_bytes * num_rows / 1e6:,.0f} MB, "
            f"{max_bytes / 1e6:,.0f} MB are allowed; {fitting:,} rows fit: think less or allow more memory"
        )
    axis = nodes.parent.ndim - 1

    def pad(leaf: Array) -> np.ndarray:
        larger = np.zeros((*leaf.shape[:axis], num_rows, *leaf.shape[axis + 1 :]), leaf.dtype)
        larger[(slice(None),) * axis + (slice(before),)] = leaf
        return larger

    nodes = jax.tree.map(pad, nodes)
    if isinstance(tree, SideBySide):
        grown = tree.forest.tree._replace(nodes=nodes)
        return tree._replace(forest=tree.forest._replace(tree=grown))
    return tree._replace(tree=tree.tree._replace(nodes=nodes))


def alone(tree: Forest, below: Nodes, config: SearchConfig) -> Forest:
    """A forest of one tree, that of these rows."""
    num_rows = tree.tree.nodes.parent.shape[0]
    num_actions = below.visits.shape[-1]
    return tree._replace(
        tree=Tree(jnp.int32(len(below.parent)), with_room(below, num_rows)),
        root=np.zeros(1, np.int32),
        prior_logits=below.prior_logits[:1],
        explore=below.prior_logits[:1],
        spent=below.visits[:1].sum(axis=-1).astype(np.int32),
        halving=before_first(1, num_actions) if by_levels(config) else None,
    )


def dealt(tree: SideBySide, below: Nodes) -> SideBySide:
    """These rows dealt to the devices, each root action with what lies below it."""
    count, num_rows = tree.forest.tree.nodes.parent.shape
    num_actions = below.visits.shape[-1]
    prior_logits = jnp.asarray(below.prior_logits[:1])
    order = side_by_side.deal(prior_logits, prior_logits, count)
    own = np.asarray(order)[0].reshape(-1, count)
    shares = [share(below, np.minimum(own[:, index], num_actions - 1)) for index in range(count)]
    padded = [with_room(nodes, max(num_rows, len(nodes.parent))) for nodes in shares]
    nodes = jax.tree.map(lambda *leaves: np.stack(leaves), *padded)
    only_action = np.minimum(own.T, num_actions - 1).astype(np.int32)
    spent = np.where(num_actions > own.T, below.visits[0][only_action], 0).astype(np.int32)
    forest = tree.forest._replace(
        tree=Tree(jnp.array([len(nodes.parent) for nodes in shares], jnp.int32), nodes),
        root=np.broadcast_to(np.arange(len(own), dtype=np.int32), only_action.shape),
        prior_logits=np.broadcast_to(below.prior_logits[:1], (*only_action.shape, num_actions)),
        explore=np.broadcast_to(below.prior_logits[:1], (*only_action.shape, num_actions)),
        spent=spent,
        only_action=only_action,
    )
    columns = {name: getattr(below, name) for name in Node._fields}
    node = Node(**jax.tree.map(lambda column: column[:1], columns))
    start = before_first(1, num_actions)
    return SideBySide(forest, order, node, below.prior_logits[:1], below.prior_logits[:1], start)
