"""A decision tree as arrays: what it plays, how large it is, and its parts."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

LEAF = -1


class Tree(NamedTuple):
    """Nodes of a tree of tests `statistic <= threshold`, the root first.

    Attributes:
      feature: index of the statistic that a node tests; -1 at a leaf.
      threshold: of the test.
      left, right: the node that follows where the test holds, and where it does not; -1 at a leaf.
      action: what a leaf plays; of an inner node, what it would play as a leaf.
    """

    feature: Int[np.ndarray, " nodes"]
    threshold: Float[np.ndarray, " nodes"]
    left: Int[np.ndarray, " nodes"]
    right: Int[np.ndarray, " nodes"]
    action: Int[np.ndarray, " nodes"]

    @property
    def num_nodes(self) -> int:
        """Tests and leaves."""
        return len(self.feature)

    @property
    def num_leaves(self) -> int:
        """Leaves alone."""
        return int((self.feature == LEAF).sum())


def leaf_of(tree: Tree, statistics: Float[np.ndarray, "n F"], start: int = 0) -> Int[np.ndarray, " n"]:
    """The leaf below node `start` that each state comes to."""
    node = np.full(len(statistics), start)
    rows = np.arange(len(statistics))
    while len(rows):
        rows = rows[tree.feature[node[rows]] != LEAF]
        here = node[rows]
        holds = statistics[rows, tree.feature[here]] <= tree.threshold[here]
        node[rows] = np.where(holds, tree.left[here], tree.right[here])
    return node


def play(tree: Tree, statistics: Float[np.ndarray, "n F"]) -> Int[np.ndarray, " n"]:
    """What the tree plays in states with these statistics."""
    return tree.action[leaf_of(tree, statistics)]


def below(tree: Tree, start: int) -> list[int]:
    """A node and all below it, each before those below it, left ones first."""
    found, open_ = [], [start]
    while open_:
        node = open_.pop()
        found.append(node)
        if tree.feature[node] != LEAF:
            open_ += [int(tree.right[node]), int(tree.left[node])]
    return found


def compact(tree: Tree, start: int = 0) -> Tree:
    """The nodes that can be come to from one, which becomes the root; the others are gone."""
    kept = below(tree, start)
    place = np.full(tree.num_nodes + 1, -1)
    place[kept] = np.arange(len(kept))
    rows = np.array(kept)
    inner = tree.feature[rows] != LEAF
    return Tree(
        feature=tree.feature[rows],
        threshold=np.where(inner, tree.threshold[rows], 0.0),
        left=np.where(inner, place[tree.left[rows]], -1),
        right=np.where(inner, place[tree.right[rows]], -1),
        action=tree.action[rows],
    )


def short_between(low: float, high: float) -> float:
    """The shortest decimal from `low` to below `high`, by which a test tells them apart."""
    middle = (low + high) / 2
    for digits in range(17):
        if low <= (rounded := round(middle, digits)) < high:
            return rounded
    return low
