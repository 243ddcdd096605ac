"""Exact metrics: what an agent's moves give away, measured against the exact value of every state."""

from exit.evaluate.adversary import adversarial_figures, face
from exit.evaluate.amortized import Figures, MeasureFn, amortized_depth, measure_fn_of
from exit.evaluate.benchmark import Benchmark, benchmark, worst_first
from exit.evaluate.critical import CriticalStates, critical_states
from exit.evaluate.decisions import (
    CHUNK,
    ActFn,
    Acts,
    CurveFn,
    Decisions,
    ProgressFn,
    Shared,
    decide,
    decide_at,
    rows_of,
)
from exit.evaluate.earnings import earnings
from exit.evaluate.elo import elo_ratings
from exit.evaluate.estimate import Estimated, estimated_return
from exit.evaluate.exchange import Strength, exchange_rate, regret_strength
from exit.evaluate.figures import measure, measure_play, mistakes, regrets
from exit.evaluate.frontier import Frontier, frontier_rows, measure_frontier
from exit.evaluate.lines import Plies, plies, ply_of, shortest_lines
from exit.evaluate.overrides import override_report
from exit.evaluate.own import own_positions
from exit.evaluate.positions import Positions, positions_of
from exit.evaluate.promise import Check, check_promises, promised_mean
from exit.evaluate.resampling import percentile_interval, resample, resampled_means
from exit.evaluate.returns import (
    Earned,
    MixedPolicyFn,
    expected_return,
    gap_closed,
    perfect_policy,
    policy_of,
)
from exit.evaluate.sample import RandomPositions, random_positions
from exit.evaluate.tournament import ChooseFn, chooser, has_opponent, pairs_in_order, play_pair, table_of
from exit.evaluate.walk import PolicyFn, Walk, best_reply, line_to, recalled, walk
from exit.evaluate.yardstick import EvaluationConfig, Yardstick, critical_sample, yardstick

__all__ = [
    "CHUNK",
    "ActFn",
    "Acts",
    "Benchmark",
    "Check",
    "ChooseFn",
    "CriticalStates",
    "CurveFn",
    "Decisions",
    "Earned",
    "Estimated",
    "EvaluationConfig",
    "Figures",
    "Frontier",
    "MeasureFn",
    "MixedPolicyFn",
    "Plies",
    "PolicyFn",
    "Positions",
    "ProgressFn",
    "RandomPositions",
    "Shared",
    "Strength",
    "Walk",
    "Yardstick",
    "adversarial_figures",
    "amortized_depth",
    "benchmark",
    "best_reply",
    "check_promises",
    "chooser",
    "critical_sample",
    "critical_states",
    "decide",
    "decide_at",
    "earnings",
    "elo_ratings",
    "estimated_return",
    "exchange_rate",
    "expected_return",
    "face",
    "frontier_rows",
    "gap_closed",
    "has_opponent",
    "line_to",
    "measure",
    "measure_fn_of",
    "measure_frontier",
    "measure_play",
    "mistakes",
    "override_report",
    "own_positions",
    "pairs_in_order",
    "percentile_interval",
    "perfect_policy",
    "play_pair",
    "plies",
    "ply_of",
    "policy_of",
    "positions_of",
    "promised_mean",
    "random_positions",
    "recalled",
    "regret_strength",
    "regrets",
    "resample",
    "resampled_means",
    "rows_of",
    "shortest_lines",
    "table_of",
    "walk",
    "worst_first",
    "yardstick",
]
