"""Trees grown by scikit-learn from the agent's moves alone, each state weighted by what is at stake there."""

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from exit.compile.tree.grow import Sample, cheapest
from exit.compile.tree.nodes import LEAF, Tree, compact, short_between


def classify(sample: Sample, max_nodes: int) -> Tree:
    """A tree that imitates the agent (O. Bastani et al. 2018, VIPER: states weighted by the worst regret).

    Leaves play what costs least in their states, which need not be what the agent does most often.
    """
    model = DecisionTreeClassifier(max_leaf_nodes=max((max_nodes + 1) // 2, 2), random_state=0)
    model.fit(sample.statistics, sample.label, sample_weight=sample.weight)
    grown = model.tree_
    inner = grown.children_left != -1
    tree = Tree(
        feature=np.where(inner, grown.feature, LEAF),
        threshold=grown.threshold.astype(float),
        left=np.asarray(grown.children_left),
        right=np.asarray(grown.children_right),
        action=np.zeros(grown.node_count, np.int64),
    )
    return _relabelled(tree, sample)


def _relabelled(tree: Tree, sample: Sample) -> Tree:
    """The same tests with short thresholds and the cheapest actions."""
    threshold, action = tree.threshold.copy(), tree.action.copy()
    rows = {0: np.arange(len(sample.label))}
    for node in range(tree.num_nodes):
        here = rows[node]
        action[node] = cheapest(sample.of(here)) if len(here) else 0
        if tree.feature[node] == LEAF:
            continue
        value = sample.statistics[here, tree.feature[node]]
        holds = value <= threshold[node]
        if holds.any() and not holds.all():
            threshold[node] = short_between(float(value[holds].max()), float(value[~holds].min()))
        rows[int(tree.left[node])], rows[int(tree.right[node])] = here[holds], here[~holds]
    return compact(tree._replace(threshold=threshold, action=action))
