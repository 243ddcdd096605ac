"""How much an agent should think: the budget that keeps to limits on regret, time and simulations."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.cost import latencies
from exit.errors import UsageError, UserError
from exit.evaluate import (
    Frontier,
    check_promises,
    frontier_rows,
    measure_frontier,
    promised_mean,
    resample,
    rows_of,
    yardstick,
)
from exit.frontier import (
    MAX_STATES,
    NUM_CALLS,
    ProgressFn,
    greatest_regret,
    latency_figures,
    measured_states,
)
from exit.solve import Exact


@dataclass(frozen=True)
class Limits:
    """What a budget has to keep to; None for what does not matter.

    Attributes:
      max_regret: mean regret over critical states, in reward units.
      deadline_ms: 95th percentile of the time of a single call.
      max_mean_simulations: mean simulations of a state.
    """

    max_regret: float | None = None
    deadline_ms: float | None = None
    max_mean_simulations: float | None = None

    def __post_init__(self) -> None:
        given = {name: limit for name, limit in vars(self).items() if limit is not None}
        if not given:
            raise UsageError("give a limit: max_regret, deadline_ms or max_mean_simulations")
        for name, limit in given.items():
            if not limit >= 0 or limit == float("inf"):
                raise UsageError(f"{name} is {limit}; it must be a number from 0")


def recommend(
    agent: Agent,
    exact: Exact,
    budgets: Sequence[int],
    limits: Limits,
    *,
    max_states: int = MAX_STATES,
    num_calls: int = NUM_CALLS,
    seed: int = 0,
    progress_fn: ProgressFn | None = None,
) -> dict[str, Any]:
    """The budget to use under some limits, and what to expect of it.

    With `max_regret` it is the least budget of which the limit can be promised; without, the one with the
    least mean regret among those that keep to the others. The regret of those
    that are too slow is not measured.

    Args:
      budgets: to choose from, each within the agent's capacity.
      max_states: critical states to measure on.
      num_calls: single calls timed at each budget.

    Returns:
      The figures of `xit recommend --json`.

    Raises:
      UsageError: a budget is over the capacity.
      UserError: no budget keeps to the limits; names what comes closest.
    """
    started = time.perf_counter()
    states = measured_states(exact, max_states, seed)
    deadline_ms = np.inf if limits.deadline_ms is None else limits.deadline_ms
    found = _measure(agent, exact, states.keys, budgets, deadline_ms, num_calls, seed, progress_fn)
    rows = frontier_rows(found.curve, resample(states.stratum, seed=seed))
    bounds = promised_mean(found.curve.regret, found.greatest)
    for row, single, bound in zip(rows, found.calls, bounds, strict=True):
        row["latency_ms"] = latency_figures(single)
        row["promised_regret"] = float(bound)

    def choose(some: Int[np.ndarray, " m"]) -> int | None:
        return _choice(found.curve.of(some), limits, found.greatest)

    chosen = choose(np.arange(len(states.keys)))
    if chosen is None:
        raise UserError(_nothing_fits(rows, limits, found.curve))
    check = check_promises(
        len(states.keys), choose, lambda index, some: _holds(found.curve.of(some), index, limits), seed=seed
    )
    again = found.time_calls([rows[chosen]["budget"]])[0] if limits.deadline_ms is not None else None
    return {
        "game": exact.game.name,
        "run": str(agent.source),
        "solver": exact.solver,
        "hardware": hardware(),
        "positions": {"kind": f"critical, {states.kind}", "count": len(states.keys)},
        "limits": vars(limits),
        "rule": "fixed",
        **rows[chosen],
        "check": check._asdict(),
        "in_time": None if again is None else float(np.mean(again <= deadline_ms)),
        "budgets": rows,
        "provenance": provenance(agent) | {"seconds": time.perf_counter() - started},
    }


class _Measured(NamedTuple):
    """What an agent does at some states at each of S budgets that are quick enough.

    Attributes:
      curve: its regret and simulations.
      calls: milliseconds of single calls.
      time_calls: times calls at the same states again, at other budgets.
      greatest: regret that a state can have.
    """

    curve: Frontier
    calls: Float[np.ndarray, "S calls"]
    time_calls: Callable[..., Float[np.ndarray, "S calls"]]
    greatest: float


def _measure(
    agent: Agent,
    exact: Exact,
    keys: UInt32[np.ndarray, "n K"],
    budgets: Sequence[int],
    deadline_ms: float,
    num_calls: int,
    seed: int,
    progress_fn: ProgressFn | None,
) -> _Measured:
    """Milliseconds at some of the states, then regret at all of them at the budgets that are quick enough."""
    report = progress_fn or (lambda what, done, total: None)
    measured = yardstick(exact, keys)
    some = np.random.default_rng(seed).permutation(len(keys))[:num_calls]
    time_calls = functools.partial(latencies, agent, rows_of(measured.states, some), calls=num_calls)
    quick: dict[int, np.ndarray] = {}
    slowness = np.inf
    for budget in sorted(set(budgets)):
        calls = time_calls(
            [budget], progress_fn=lambda done, total, budget=budget: report(f"calls at {budget}", done, total)
        )[0]
        slowness = np.quantile(calls, 0.95)
        if slowness > deadline_ms:
            # Larger ones are slower still.
            break
        quick[budget] = calls
    if not quick:
        raise UserError(
            f"no budget from {min(budgets)} to {max(budgets)} answers within {deadline_ms:g} ms; the "
            f"quickest is {min(budgets)}, with {slowness:.3g} ms a call"
        )
    curve = measure_frontier(
        agent.act,
        measured,
        list(quick),
        progress_fn=lambda budget, done, total: report(f"budget {budget}, positions", done, total),
    )
    return _Measured(curve, np.stack(list(quick.values())), time_calls, greatest_regret(measured))


def _choice(curve: Frontier, limits: Limits, greatest: float) -> int | None:
    """Index of the budget to use; None if none keeps to the limits."""
    allowed = _few_enough(curve, limits)
    if limits.max_regret is not None:
        allowed &= promised_mean(curve.regret, greatest) <= limits.max_regret
        return int(np.argmax(allowed)) if allowed.any() else None
    regret = np.where(allowed, curve.regret.mean(axis=1), np.inf)
    return int(np.argmin(regret)) if allowed.any() else None


def _few_enough(curve: Frontier, limits: Limits) -> Bool[np.ndarray, " S"]:
    """Which budgets can be promised not to need more simulations than allowed."""
    if limits.max_mean_simulations is None:
        return np.ones(len(curve.budgets), bool)
    most: Float[np.ndarray, " S"] = np.array(
        [
            promised_mean(spent[None], float(budget))[0]
            for spent, budget in zip(curve.simulations, curve.budgets, strict=True)
        ]
    )
    return np.minimum(most, curve.budgets) <= limits.max_mean_simulations


def _holds(curve: Frontier, index: int, limits: Limits) -> bool:
    """Whether the limits hold in the mean of these states."""
    regret, spent = curve.regret[index].mean(), curve.simulations[index].mean()
    enough = limits.max_regret is None or regret <= limits.max_regret
    few = limits.max_mean_simulations is None or spent <= limits.max_mean_simulations
    return bool(enough and few)


def _nothing_fits(rows: Sequence[dict[str, Any]], limits: Limits, curve: Frontier) -> str:
    """Why no budget that is quick enough will do, and what comes closest."""
    allowed = _few_enough(curve, limits)
    if limits.max_regret is None or not allowed.any():
        least = min(rows, key=lambda row: row["mean_simulations"])
        return (
            f"no budget from {rows[0]['budget']} to {rows[-1]['budget']} keeps within "
            f"{limits.max_mean_simulations:g} simulations; the least is {least['mean_simulations']:.3g}, at "
            f"{least['budget']}"
        )
    best = min(
        (row for row, fits in zip(rows, allowed, strict=True) if fits), key=lambda row: row["promised_regret"]
    )
    return (
        f"no budget can be promised to keep mean regret within {limits.max_regret:g}; the best is "
        f"{best['budget']}, of which {best['promised_regret']:.3g} can be promised: allow that much, give "
        "larger budgets, or train longer"
    )
