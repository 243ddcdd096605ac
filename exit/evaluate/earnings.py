"""What an agent earns at each budget, beside perfect play and rules of thumb."""

from collections.abc import Callable
from typing import Any

import numpy as np

from exit.evaluate.benchmark import Benchmark
from exit.evaluate.decisions import ActFn, decide_at
from exit.evaluate.estimate import estimated_return
from exit.evaluate.positions import Positions
from exit.evaluate.returns import (
    MixedPolicyFn,
    expected_return,
    gap_closed,
    perfect_policy,
    policy_of,
)
from exit.evaluate.walk import recalled
from exit.game import baselines_of
from exit.solve import Exact, initial_value

MAX_ENUMERATED = 1 << 20
"""Histories that a reflex may come to for its return to be computed, not estimated."""

_ROUNDING = 1e-9

ReportFn = Callable[[str, int, int], None]


def earnings(
    act_fn: ActFn, exact: Exact, found: Benchmark, positions: Positions, report_fn: ReportFn
) -> dict[str, Any] | None:
    """What perfect play and the game's baselines earn; adds to every budget's row what the agent does.

    Expectations from the start, against perfect play where there is an opponent. They are exact over all
    positions that can come up, but for agents that act on histories, of which there are too many: there only
    a reflex is followed to all of them, and where it comes to no more than 2^20; else games are played and
    exact regrets added up, and `ci95` has the interval. None for games without baselines or a table.

    Args:
      found: measured at the same positions.
    """
    whole = exact.statistic or exact
    baselines = baselines_of(whole.game)
    if whole.table is None or not baselines:
        return None
    best, optimal = perfect_policy(whole), initial_value(whole.table)
    report_fn("returns of baselines", 0, 0)
    earned = {
        name: expected_return(whole.game, policy_of(whole.game, fn), opponent_fn=best).value
        for name, fn in baselines.items()
    }
    yardstick = next(iter(earned.values()))
    # What rounding makes of a perfect yardstick is no gap.
    perfect = optimal - yardstick <= _ROUNDING * max(1.0, abs(optimal))

    def closed(value: float) -> float | None:
        return None if perfect else gap_closed(value, baseline=yardstick, optimal=optimal)

    for row in found.figures["budgets"]:
        report_fn(f"returns at budget {row['budget']}", 0, 0)
        if exact.statistic is None:
            value, ci95 = _earned(act_fn, exact, found, positions, row["budget"]), None
        else:
            value, ci95 = _earned_on_histories(act_fn, exact, row["budget"], report_fn)
        row |= {"expected_return": value, "gap_closed": closed(value)}
        row["ci95"] |= {
            "expected_return": ci95,
            "gap_closed": None if ci95 is None or perfect else [closed(bound) for bound in ci95],
        }
    return {
        "optimal": optimal,
        "baselines": {
            name: {"expected_return": value, "gap_closed": closed(value)} for name, value in earned.items()
        },
    }


def _earned(act_fn: ActFn, exact: Exact, found: Benchmark, positions: Positions, budget: int) -> float:
    """What the agent earns, from its decisions everywhere or asking it again."""
    action = found.decisions[budget].action
    known: MixedPolicyFn | None = recalled(positions.keys, action) if positions.kind == "all" else None
    policy_fn = known or (lambda keys: decide_at(act_fn, exact.game, keys, budget).action)
    return expected_return(exact.game, policy_fn, opponent_fn=perfect_policy(exact)).value


def _earned_on_histories(
    act_fn: ActFn, exact: Exact, budget: int, report_fn: ReportFn
) -> tuple[float, list[float] | None]:
    """What the agent earns and the interval, None where every history was looked at."""
    game = exact.game

    def act(keys: np.ndarray) -> np.ndarray:
        return decide_at(act_fn, game, keys, budget).action

    estimate = estimated_return(
        exact, act, progress_fn=lambda ply: report_fn(f"games at budget {budget}, move", ply, 0)
    )
    if budget or game.num_outcomes**estimate.longest > MAX_ENUMERATED:
        return estimate.value, estimate.ci95
    report_fn("every history of the reflex", 0, 0)
    return expected_return(game, act).value, None
