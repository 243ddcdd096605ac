"""Trees grown leaf by leaf, each split the one that saves most of what wrong moves cost."""

import heapq
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from exit.compile.tree.nodes import LEAF, Tree, short_between

# Splits that save nothing by themselves may make the next ones save: purity decides among those.
PURITY_SHARE = 0.1
_TINY = 1e-300


class Sample(NamedTuple):
    """States to grow a tree from, each counted by its weight.

    Attributes:
      statistics: what tests may ask.
      cost: of every action, weighted.
      label: the agent's action.
      weight: what the worst legal action would cost: how much the state matters.
    """

    statistics: Float[np.ndarray, "n F"]
    cost: Float[np.ndarray, "n A"]
    label: Int[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]

    def of(self, rows: np.ndarray) -> "Sample":
        """Some of the states."""
        return Sample(*(column[rows] for column in self))


class _Split(NamedTuple):
    gain: float
    feature: int
    threshold: float


def grow(sample: Sample, max_nodes: int, purity_share: float = PURITY_SHARE) -> Tree:
    """Splits the leaf that gains most until nothing is left to gain or there are `max_nodes` nodes.

    Args:
      purity_share: how much purer leaves count beside what they save.
    """
    rows, nodes = [np.arange(len(sample.label))], [[LEAF, 0.0, -1, -1]]
    splits: list[tuple[float, int, _Split]] = []

    def consider(node: int) -> None:
        found = _best_split(sample.of(rows[node]), purity_share)
        if found is not None:
            heapq.heappush(splits, (-found.gain, node, found))

    consider(0)
    while splits and len(nodes) + 2 <= max_nodes:
        _, node, split = heapq.heappop(splits)
        holds = sample.statistics[rows[node], split.feature] <= split.threshold
        nodes[node] = [split.feature, split.threshold, len(nodes), len(nodes) + 1]
        for side in (holds, ~holds):
            rows.append(rows[node][side])
            nodes.append([LEAF, 0.0, -1, -1])
            consider(len(nodes) - 1)
    action = [cheapest(sample.of(each)) for each in rows]
    feature, threshold, left, right = map(np.array, zip(*nodes, strict=True))
    return Tree(feature, threshold.astype(float), left, right, np.array(action))


def cheapest(sample: Sample) -> int:
    """The action that costs least in all the states; of equals, the one the agent plays most."""
    cost = sample.cost.sum(axis=0)
    votes = np.bincount(sample.label, sample.weight, len(cost))
    near = cost <= cost.min() + 1e-12 * max(1.0, float(cost.max()))
    return int(np.where(near, votes, -1.0).argmax())


def _best_split(sample: Sample, purity_share: float) -> _Split | None:
    """None where one action costs nothing, or no test tells states apart.

    Where no split gains anything, as under a parity, any may: those below it will.
    """
    total = sample.cost.sum(axis=0)
    if total.min() <= 0:
        return None
    chosen = np.zeros_like(sample.cost)
    chosen[np.arange(len(chosen)), sample.label] = sample.weight
    best: _Split | None = None
    for feature in range(sample.statistics.shape[1]):
        order = np.argsort(sample.statistics[:, feature], kind="stable")
        value = sample.statistics[order, feature]
        cuts = np.flatnonzero(value[1:] != value[:-1])
        if not len(cuts):
            continue
        left = np.cumsum(sample.cost[order], axis=0)[cuts]
        gain = total.min() - left.min(axis=1) - (total - left).min(axis=1)
        gain += purity_share * _purity_gain(chosen[order], cuts)
        at = int(gain.argmax())
        if best is None or gain[at] > best.gain:
            cut = cuts[at]
            best = _Split(float(gain[at]), feature, short_between(float(value[cut]), float(value[cut + 1])))
    return best


def _purity_gain(chosen: Float[np.ndarray, "n A"], cuts: Int[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    """What splits take from the weighted Gini impurity of the agent's actions."""
    left, total = np.cumsum(chosen, axis=0)[cuts], chosen.sum(axis=0)
    return _impurity(total[None]) - _impurity(left) - _impurity(total - left)


def _impurity(weight: Float[np.ndarray, "c A"]) -> Float[np.ndarray, " c"]:
    total = weight.sum(axis=1)
    return total - (weight**2).sum(axis=1) / np.maximum(total, _TINY)
