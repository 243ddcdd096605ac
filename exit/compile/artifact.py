"""One call a format: compile an agent, certify what came of it, write it with the findings as its header."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from exit.agent import Agent
from exit.compile import onnx, stablehlo
from exit.compile.certificate import certify
from exit.compile.policy_table import PolicyTable, load_policy_table, moves_at, save_policy_table
from exit.compile.reach import reach_of
from exit.compile.reflex import NetworkFn, reflex_moves
from exit.compile.subject import Subject, origin
from exit.compile.tree import extract, extract_within, objective_of, play, save_tree, statistics_at
from exit.compile.tree.extract import RoundFn
from exit.compile.tree.sampled import extract_sampled
from exit.leaves import flatten

FORMATS = {"table": ".table.npz", "tree": ".py", "stablehlo": ".stablehlo", "onnx": ".onnx"}
"""What can be compiled to, and how the files' names end."""

DEFAULT_SAMPLED_NODES = 255


class Artifact(NamedTuple):
    """What was written.

    Attributes:
      paths: the files.
      header: what they say of themselves: origin, size and certificate.
    """

    paths: tuple[Path, ...]
    header: dict[str, Any]


def to_table(subject: Subject, path: Path) -> Artifact:
    """The agent's move in every state, certified as it is read back.

    Raises:
      UserError: it cannot be written.
    """
    header = origin(subject.agent, subject.budget) | {
        "format": "table",
        "size": {"states": len(subject.keys)},
    }
    save_policy_table(path, PolicyTable(header, subject.keys, subject.action))
    found = certify(subject, moves_at(load_policy_table(path), subject.keys))
    header |= {"certificate": found}
    save_policy_table(path, PolicyTable(header, subject.keys, subject.action))
    return Artifact((path,), header)


def to_tree(
    subject: Subject,
    path: Path,
    *,
    max_nodes: int | None = None,
    everywhere: bool = False,
    num_attempts: int = 1,
    round_fn: RoundFn | None = None,
) -> Artifact:
    """A tree of the agent, by exact regret.

    Args:
      max_nodes: tests and leaves at most; None is as many as it takes to lose nothing.
      everywhere: every state counts, not only those that the tree's own play leads to.
      num_attempts: trees to grow and prune, of which the best is kept.

    Raises:
      UserError: it cannot be written.
    """
    reach = reach_of(subject.game, subject.keys)
    statistics = statistics_at(subject.game, subject.keys)
    objective = objective_of(subject, reach, everywhere=everywhere)
    if max_nodes is None:
        tree = extract(statistics, objective, num_attempts=num_attempts, round_fn=round_fn)
    else:
        tree = extract_within(statistics, objective, max_nodes, num_attempts=num_attempts, round_fn=round_fn)
    header = origin(subject.agent, subject.budget) | {
        "format": "tree",
        "size": {"nodes": tree.num_nodes, "leaves": tree.num_leaves},
        "certificate": certify(subject, play(tree, statistics)),
    }
    return Artifact((path, save_tree(path, tree, subject.game, header)), header)


def to_sampled_tree(agent: Agent, budget: int, path: Path, *, max_nodes: int | None = None) -> Artifact:
    """A tree of an agent whose game is not solved, by searched regret; it has no certificate.

    Raises:
      UsageError: the budget is 0.
      UserError: it cannot be written.
    """
    tree = extract_sampled(agent, budget, max_nodes=max_nodes or DEFAULT_SAMPLED_NODES)
    size = {"nodes": tree.num_nodes, "leaves": tree.num_leaves}
    header = origin(agent, budget) | {"format": "tree", "size": size, "certificate": None}
    return Artifact((path, save_tree(path, tree, agent.game, header)), header)


def to_stablehlo(agent: Agent, subject: Subject | None, path: Path) -> Artifact:
    """The network as StableHLO, certified by running it in every state.

    Args:
      subject: all states; None where they cannot be listed, which leaves the certificate out.

    Raises:
      UserError: it cannot be written.
    """
    module = stablehlo.exported(agent)
    header = _network_header(agent, subject, "stablehlo", lambda: stablehlo.run_of(module))
    stablehlo.save_stablehlo(path, module, header)
    return Artifact((path,), header)


def to_onnx(agent: Agent, subject: Subject | None, path: Path) -> Artifact:
    """The network as ONNX, certified by running it in every state.

    Raises:
      UserError: the libraries are not installed, the network has no translation, or it cannot be written.
    """
    model = onnx.onnx_of(agent)
    header = _network_header(agent, subject, "onnx", lambda: onnx.run_of(model))
    onnx.save_onnx(path, model, header)
    return Artifact((path,), header)


def num_parameters(agent: Agent) -> int:
    """Numbers that training has set."""
    return sum(leaf.size for leaf in flatten(agent.params, lazily=True).values())


def _network_header(
    agent: Agent, subject: Subject | None, format_: str, run_fn: Callable[[], NetworkFn]
) -> dict[str, Any]:
    found = None
    if subject is not None:
        found = certify(subject, reflex_moves(subject.game, subject.keys, run_fn()))
    size = {"parameters": num_parameters(agent)}
    return origin(agent, 0) | {"format": format_, "size": size, "certificate": found}
