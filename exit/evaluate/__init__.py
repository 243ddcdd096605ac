"""Exact metrics: what an agent's moves give away, measured against the exact value of every state."""

from exit.evaluate.benchmark import benchmark
from exit.evaluate.decisions import CHUNK, ActFn, Decisions, ProgressFn, decide
from exit.evaluate.figures import measure, mistakes
from exit.evaluate.yardstick import EvaluationConfig, Yardstick, critical_sample, yardstick

__all__ = [
    "CHUNK",
    "ActFn",
    "Decisions",
    "EvaluationConfig",
    "ProgressFn",
    "Yardstick",
    "benchmark",
    "critical_sample",
    "decide",
    "measure",
    "mistakes",
    "yardstick",
]
