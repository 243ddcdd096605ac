"""Exact metrics: what an agent's moves give away, measured against the exact value of every state."""

from exit.evaluate.adversary import adversarial_figures, face
from exit.evaluate.benchmark import Benchmark, benchmark, worst_first
from exit.evaluate.decisions import CHUNK, ActFn, Decisions, ProgressFn, decide, decide_at, rows_of
from exit.evaluate.figures import measure, mistakes, regrets
from exit.evaluate.lines import Plies, plies, ply_of, shortest_lines
from exit.evaluate.overrides import CurveFn, override_report
from exit.evaluate.positions import Positions, positions_of
from exit.evaluate.returns import (
    Earned,
    MixedPolicyFn,
    expected_return,
    gap_closed,
    perfect_policy,
    policy_of,
)
from exit.evaluate.sample import RandomPositions, random_positions
from exit.evaluate.walk import PolicyFn, Walk, best_reply, line_to, walk
from exit.evaluate.yardstick import EvaluationConfig, Yardstick, critical_sample, yardstick

__all__ = [
    "CHUNK",
    "ActFn",
    "Benchmark",
    "CurveFn",
    "Decisions",
    "Earned",
    "EvaluationConfig",
    "MixedPolicyFn",
    "Plies",
    "PolicyFn",
    "Positions",
    "ProgressFn",
    "RandomPositions",
    "Walk",
    "Yardstick",
    "adversarial_figures",
    "benchmark",
    "best_reply",
    "critical_sample",
    "decide",
    "decide_at",
    "expected_return",
    "face",
    "gap_closed",
    "line_to",
    "measure",
    "mistakes",
    "override_report",
    "perfect_policy",
    "plies",
    "ply_of",
    "policy_of",
    "positions_of",
    "random_positions",
    "regrets",
    "rows_of",
    "shortest_lines",
    "walk",
    "worst_first",
    "yardstick",
]
