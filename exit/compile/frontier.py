"""Regret against the size of a program: trees of rising size, beside the network and the table."""

from collections.abc import Callable, Sequence
from typing import Any

from exit.compile.artifact import num_parameters
from exit.compile.certificate import certify
from exit.compile.reach import reach_of
from exit.compile.subject import Subject, origin
from exit.compile.tree import SIZES, Tree, extract, objective_of, play, statistics_at
from exit.compile.tree.objective import loss

_ROUNDING = 1e-12

TreeFn = Callable[[int, int], None]
"""Told after each tree how many are done, and of how many."""


def tree_frontier(
    subject: Subject,
    *,
    sizes: Sequence[int] = SIZES,
    everywhere: bool = False,
    tree_fn: TreeFn | None = None,
) -> tuple[dict[str, Any], list[Tree]]:
    """Certificates of trees of at most each size, until one gives away no more than the agent.

    Returns:
      Figures as `xit compile --frontier --json` writes them: `trees`, each with `max_nodes`, `nodes`,
      `leaves` and its certificate; `network` with `parameters`, and `table` with `states`, with theirs. And
      the trees.
    """
    reach = reach_of(subject.game, subject.keys)
    statistics = statistics_at(subject.game, subject.keys)
    objective = objective_of(subject, reach, everywhere=everywhere)
    limit = loss(objective, subject.action) + _ROUNDING
    rows: list[dict[str, Any]] = []
    trees: list[Tree] = []
    for done, size in enumerate(sizes, start=1):
        # What is larger is not always better; then the one before stands for both.
        tree = min(
            [*trees[-1:], extract(statistics, objective, max_nodes=size)],
            key=lambda tree: loss(objective, play(tree, statistics)),
        )
        found = certify(subject, play(tree, statistics))
        rows.append({"max_nodes": size, "nodes": tree.num_nodes, "leaves": tree.num_leaves} | found)
        trees.append(tree)
        if tree_fn is not None:
            tree_fn(done, len(sizes))
        if loss(objective, play(tree, statistics)) <= limit:
            break
    agent = certify(subject, subject.action)
    figures = origin(subject.agent, subject.budget) | {
        "everywhere": everywhere,
        "trees": rows,
        "network": {"parameters": num_parameters(subject.agent)} | agent,
        "table": {"states": len(subject.keys)} | agent,
    }
    return figures, trees
