"""Trees made smaller, every step held against exact values."""

import numpy as np
from jaxtyping import Float

from exit.compile.tree.nodes import LEAF, Tree, below, compact, leaf_of, play
from exit.compile.tree.objective import Objective, floored, loss, weights

_ROUNDING = 1e-12


def prune(
    tree: Tree, statistics: Float[np.ndarray, "n F"], objective: Objective, *, max_loss: float | None = None
) -> Tree:
    """Replaces nodes by one of their branches or by a leaf, as long as the tree loses no more than before.

    Whatever would save most nodes is tried first. What a tree loses is computed anew for each attempt, over
    the states that the smaller tree leads to.

    Args:
      max_loss: what it may lose; None is what it loses already.
    """
    most = loss(objective, play(tree, statistics)) if max_loss is None else max_loss
    most += _ROUNDING * float(objective.regret.max())
    smaller = True
    while smaller:
        smaller = False
        # Numbers of nodes stay as they are until the pass is over.
        for node in sorted(below(tree, 0), key=lambda node: -len(below(tree, node))):
            if tree.feature[node] == LEAF or node not in below(tree, 0):
                continue
            found = _replaced(tree, node, statistics, objective, most)
            if found is not None:
                smaller, tree = True, found
        tree = compact(tree)
    return tree


def _replaced(
    tree: Tree, node: int, statistics: Float[np.ndarray, "n F"], objective: Objective, most: float
) -> Tree | None:
    """The tree with a node replaced by the least that loses no more; None if nothing does."""
    played = play(tree, statistics)
    rows = np.flatnonzero(_passes(tree, node, statistics))
    branches = sorted((int(tree.left[node]), int(tree.right[node])), key=lambda each: len(below(tree, each)))
    for action in _actions(rows, played, objective):
        if _fits(objective, played, rows, np.full(len(rows), action), most):
            return _with(tree, node, LEAF, 0.0, -1, -1, action)
    for branch in branches:
        if tree.feature[branch] == LEAF:
            continue
        instead = tree.action[leaf_of(tree, statistics[rows], branch)]
        if _fits(objective, played, rows, instead, most):
            return _with(tree, node, *(column[branch] for column in tree))
    return None


def _actions(rows: np.ndarray, played: np.ndarray, objective: Objective) -> list[int]:
    """Actions worth trying in some states, the likeliest first: what is cheap there, or played now."""
    weight = floored(weights(objective, played))[rows]
    cost = weight @ objective.regret[rows]
    return np.argsort(cost, kind="stable")[:2].tolist()


def _fits(
    objective: Objective, played: np.ndarray, rows: np.ndarray, instead: np.ndarray, most: float
) -> bool:
    changed = played.copy()
    changed[rows] = instead
    return loss(objective, changed) <= most


def _with(tree: Tree, node: int, *values: float | int | np.generic) -> Tree:
    """The tree with other values at one node."""
    columns = [column.copy() for column in tree]
    for column, value in zip(columns, values, strict=True):
        column[node] = value
    return Tree(*columns)


def _passes(tree: Tree, node: int, statistics: Float[np.ndarray, "n F"]) -> np.ndarray:
    """Which states come through a node."""
    return np.isin(leaf_of(tree, statistics), below(tree, node))
