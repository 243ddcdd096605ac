"""Parts of a tree taken out of it, as NumPy arrays on the host, where nothing is compiled for their size."""

import jax
import numpy as np
from jaxtyping import Bool, Int

from exit.search.tree import UNVISITED, Nodes


def subtree(nodes: Nodes, root: int) -> Nodes:
    """A row and all below it; the row comes first and is a root. Other rows keep their order."""
    kept = np.flatnonzero(_below(np.asarray(nodes.parent), root))
    return _picked(nodes, kept, num_roots=1)


def share(nodes: Nodes, actions: Int[np.ndarray, " T"]) -> Nodes:
    """A copy of the root for each of these actions, with what lies below that action alone.

    Args:
      nodes: rows of one tree, the root first.
    """
    top = _top_action(nodes)
    wanted = np.flatnonzero(np.isin(top, actions))
    found = _picked(nodes, np.concatenate([np.zeros(len(actions), np.int64), wanted]), len(actions))
    copies = np.arange(len(actions))
    child = found.child.copy()
    child[copies] = UNVISITED
    child[copies, actions] = np.where(
        nodes.child[0, actions] == UNVISITED,
        UNVISITED,
        _places(nodes, wanted, len(actions))[nodes.child[0, actions]],
    )
    own = np.searchsorted(actions, top[wanted], sorter=np.argsort(actions, kind="stable"))
    copy_of = np.argsort(actions, kind="stable")[np.minimum(own, len(actions) - 1)]
    parent = found.parent.copy()
    parent[len(actions) :] = np.where(nodes.parent[wanted] == 0, copy_of, parent[len(actions) :])
    return found._replace(child=child, parent=parent)


def with_room(nodes: Nodes, num_rows: int) -> Nodes:
    """The same rows, and empty ones behind them up to so many."""

    def pad(leaf: np.ndarray) -> np.ndarray:
        larger = np.zeros((num_rows, *leaf.shape[1:]), leaf.dtype)
        larger[: len(leaf)] = leaf
        return larger

    return jax.tree.map(pad, nodes)


def _picked(nodes: Nodes, rows: Int[np.ndarray, " M"], num_roots: int) -> Nodes:
    """Some rows, which then refer to each other by their new places; the first ones are roots."""
    place = _places(nodes, rows[num_roots:], num_roots)
    place[rows[0]] = 0
    picked = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], nodes)
    # Row -1, which stands for nothing, is the last one of `place`, and stays what it is.
    parent, child, next_row = place[picked.parent], place[picked.child], place[picked.next_row]
    parent[:num_roots], next_row[:num_roots] = -1, np.arange(num_roots)
    return picked._replace(parent=parent, child=child, next_row=next_row)


def _places(nodes: Nodes, rows: Int[np.ndarray, " M"], first: int) -> Int[np.ndarray, " N"]:
    """Where each row goes if these are written from `first` on; UNVISITED for the others, and at the end."""
    place = np.full(len(nodes.parent) + 1, UNVISITED, np.int32)
    place[rows] = first + np.arange(len(rows))
    return place


def _below(parent: Int[np.ndarray, " N"], root: int) -> Bool[np.ndarray, " N"]:
    """Which rows lie below one of them, itself included."""
    below = np.zeros(len(parent), bool)
    below[root] = True
    while True:
        # A level at a time: a row lies below if its parent does.
        more = below | (below[parent] & (parent >= 0))
        if (more == below).all():
            return below
        below = more


def _top_action(nodes: Nodes) -> Int[np.ndarray, " N"]:
    """The root action that each row lies below; -1 for the root."""
    top = np.where(nodes.parent == 0, nodes.parent_action, -1)
    while True:
        more = np.where(nodes.parent > 0, top[np.maximum(nodes.parent, 0)], top)
        if (more == top).all():
            return top
        top = more
