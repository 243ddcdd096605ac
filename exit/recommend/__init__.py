"""How much an agent should think: the rule that keeps to limits on regret, time and simulations."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.errors import UserError
from exit.evaluate import (
    Check,
    CriticalStates,
    check_promises,
    frontier_rows,
    promised_mean,
    resample,
    rows_of,
    yardstick,
)
from exit.frontier import MAX_STATES, NUM_CALLS, ProgressFn, latency_figures, measured_states
from exit.recommend.limits import Limits, Rule, choice, holds, why_none
from exit.recommend.measure import Measured, measure, quick_enough, timer
from exit.solve import Exact

__all__ = ["PRICES", "Limits", "Rule", "recommend"]

PRICES = (0.1, 0.03, 0.01, 0.001)
"""Of a simulation, tried beside fixed budgets; among them what `auto` has where nothing is said."""


def recommend(
    agent: Agent,
    exact: Exact,
    budgets: Sequence[int],
    limits: Limits,
    *,
    prices: Sequence[float] = PRICES,
    max_states: int = MAX_STATES,
    num_calls: int = NUM_CALLS,
    seed: int = 0,
    progress_fn: ProgressFn | None = None,
) -> dict[str, Any]:
    """The rule to use under some limits, a fixed budget or a price, and what to expect of it.

    With `max_regret` it is the one that takes the fewest simulations among those of which the limit can be
    promised; without, the one with the least mean regret among those that keep to the others. Prices are
    tried with the largest budget that is quick enough as the most that is spent. The regret of rules that
    are too slow is not measured.

    Args:
      budgets: to choose from, each within the agent's capacity.
      prices: to choose from, as shares of the distance between the value bounds.
      max_states: critical states to measure on.
      num_calls: single calls timed by each rule.

    Returns:
      The figures of `xit recommend --json`. `check` is None where every critical state was measured: then
      the mean is exact, and what is promised is the mean.

    Raises:
      UsageError: a budget is over the capacity.
      UserError: no rule keeps to the limits; names what comes closest.
    """
    started = time.perf_counter()
    states = measured_states(exact, max_states, seed)
    measured = yardstick(exact, states.keys)
    some = rows_of(measured.states, np.random.default_rng(seed).permutation(len(states.keys))[:num_calls])
    report = progress_fn or (lambda what, done, total: None)
    time_fn = timer(agent, some, num_calls, report)
    deadline_ms = np.inf if limits.deadline_ms is None else limits.deadline_ms
    quick = quick_enough(time_fn, budgets, prices, deadline_ms)
    found = measure(agent, measured, quick, report)
    rows = _rows(found, tuple(quick.values()), states, seed)
    chosen = choice(found.curve, limits, found.greatest, complete=states.complete)
    if chosen is None:
        raise UserError(why_none(found.rules, rows, limits, found.curve, complete=states.complete))
    check = None if states.complete else _checked(found, limits, seed)
    again = time_fn(found.rules[chosen]) if limits.deadline_ms is not None else None
    return {
        "game": exact.game.name,
        "run": str(agent.source),
        "solver": exact.solver,
        "hardware": hardware(),
        "positions": {"kind": f"critical, {states.kind}", "count": len(states.keys)},
        "limits": vars(limits),
        **rows[chosen],
        "check": check and check._asdict(),
        "in_time": None if again is None else float(np.mean(again <= deadline_ms)),
        "budgets": rows,
        "provenance": provenance(agent) | {"seconds": time.perf_counter() - started},
    }


def _checked(found: Measured, limits: Limits, seed: int) -> Check:
    """How choices on half of the states hold on the other half."""
    return check_promises(
        found.curve.regret.shape[1],
        lambda some: choice(found.curve.of(some), limits, found.greatest, complete=False),
        lambda index, some: holds(found.curve.of(some), index, limits),
        seed=seed,
    )


def _rows(
    found: Measured, calls: Sequence[Float[np.ndarray, " calls"]], states: CriticalStates, seed: int
) -> list[dict[str, Any]]:
    """What each rule costs and gives away, in JSON's types."""
    rows = frontier_rows(found.curve, None if states.complete else resample(states.stratum, seed=seed))
    bounds = promised_mean(found.curve.regret, found.greatest, complete=states.complete)
    for row, rule, single, bound in zip(rows, found.rules, calls, bounds, strict=True):
        row |= {"rule": "fixed" if rule.price is None else "auto", "price": rule.price}
        row["latency_ms"] = latency_figures(single)
        row["promised_regret"] = float(bound)
    return rows
