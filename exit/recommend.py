"""How much an agent should think: the rule that keeps to limits on regret, time and simulations."""

import functools
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.cost import latencies
from exit.errors import UsageError, UserError
from exit.evaluate import (
    Frontier,
    Yardstick,
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

PRICES = (0.2, 0.05, 0.0125, 0.003)
"""Of a simulation, tried beside fixed budgets: about a simulation a state, to most of what can be spent."""


@dataclass(frozen=True)
class Limits:
    """What a rule has to keep to; None for what does not matter.

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


class Rule(NamedTuple):
    """When to stop thinking about a state.

    Attributes:
      budget: simulations at most.
      price: of a simulation, as `Agent.act` takes it: thinking ends before, once one more is worth no more.
        None for a fixed budget.
    """

    budget: int
    price: float | None = None

    @property
    def name(self) -> str:
        """As people ask for it."""
        return f"{self.budget}" if self.price is None else f"auto at a price of {self.price:g}"


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
      The figures of `xit recommend --json`.

    Raises:
      UsageError: a budget is over the capacity.
      UserError: no rule keeps to the limits; names what comes closest.
    """
    started = time.perf_counter()
    states = measured_states(exact, max_states, seed)
    deadline_ms = np.inf if limits.deadline_ms is None else limits.deadline_ms
    measured = yardstick(exact, states.keys)
    some = rows_of(measured.states, np.random.default_rng(seed).permutation(len(states.keys))[:num_calls])
    report = progress_fn or (lambda what, done, total: None)

    def time_rule(rule: Rule) -> Float[np.ndarray, " calls"]:
        return latencies(
            functools.partial(agent.act, price=rule.price),
            some,
            [rule.budget],
            calls=num_calls,
            progress_fn=lambda done, total: report(f"single calls at {rule.name}", done, total),
        )[0]

    quick = _quick_enough(time_rule, budgets, prices, deadline_ms)
    found = _measure(agent, measured, quick, report)
    rows = frontier_rows(found.curve, resample(states.stratum, seed=seed))
    bounds = promised_mean(found.curve.regret, found.greatest)
    for row, rule, single, bound in zip(rows, found.rules, quick.values(), bounds, strict=True):
        row |= {"rule": "fixed" if rule.price is None else "auto", "price": rule.price}
        row["latency_ms"] = latency_figures(single)
        row["promised_regret"] = float(bound)

    def choose(some: Int[np.ndarray, " m"]) -> int | None:
        return _choice(found.curve.of(some), limits, found.greatest)

    chosen = choose(np.arange(len(states.keys)))
    if chosen is None:
        raise UserError(_nothing_fits(found.rules, rows, limits, found.curve))
    check = check_promises(
        len(states.keys), choose, lambda index, some: _holds(found.curve.of(some), index, limits), seed=seed
    )
    again = time_rule(found.rules[chosen]) if limits.deadline_ms is not None else None
    return {
        "game": exact.game.name,
        "run": str(agent.source),
        "solver": exact.solver,
        "hardware": hardware(),
        "positions": {"kind": f"critical, {states.kind}", "count": len(states.keys)},
        "limits": vars(limits),
        **rows[chosen],
        "check": check._asdict(),
        "in_time": None if again is None else float(np.mean(again <= deadline_ms)),
        "budgets": rows,
        "provenance": provenance(agent) | {"seconds": time.perf_counter() - started},
    }


def _quick_enough(
    time_fn: Callable[[Rule], Float[np.ndarray, " calls"]],
    budgets: Sequence[int],
    prices: Sequence[float],
    deadline_ms: float,
) -> dict[Rule, Float[np.ndarray, " calls"]]:
    """Milliseconds of single calls by every rule that keeps to the deadline.

    Raises:
      UserError: none does.
    """
    quick: dict[Rule, Float[np.ndarray, " calls"]] = {}
    slowest = np.inf
    for budget in sorted(set(budgets)):
        calls = time_fn(Rule(budget))
        slowest = float(np.quantile(calls, 0.95))
        if slowest > deadline_ms:
            # Larger ones are slower still.
            break
        quick[Rule(budget)] = calls
    if not quick:
        raise UserError(
            f"no budget from {min(budgets)} to {max(budgets)} answers within {deadline_ms:g} ms; the "
            f"quickest is {min(budgets)}, with {slowest:.3g} ms a call"
        )
    most = max(rule.budget for rule in quick)
    for price in prices if most > 1 else ():
        calls = time_fn(Rule(most, price))
        if np.quantile(calls, 0.95) <= deadline_ms:
            quick[Rule(most, price)] = calls
    return quick


class _Measured(NamedTuple):
    """What an agent does at some states by each of S rules.

    Attributes:
      rules: fixed budgets, then prices.
      curve: its regret and simulations.
      greatest: regret that a state can have.
    """

    rules: tuple[Rule, ...]
    curve: Frontier
    greatest: float


def _measure(agent: Agent, measured: Yardstick, rules: Collection[Rule], report_fn: ProgressFn) -> _Measured:
    """Regret and simulations at all the states."""
    curves = [
        measure_frontier(
            functools.partial(agent.act, price=rule.price),
            measured,
            [rule.budget],
            progress_fn=lambda budget, done, total, rule=rule: report_fn(
                f"budget {rule.name}, positions", done, total
            ),
        )
        for rule in rules
    ]
    curve = Frontier(*(np.concatenate(parts) for parts in zip(*curves, strict=True)))
    return _Measured(tuple(rules), curve, greatest_regret(measured))


def _choice(curve: Frontier, limits: Limits, greatest: float) -> int | None:
    """Index of the rule to use; None if none keeps to the limits."""
    allowed = _few_enough(curve, limits)
    # What is to be as little as possible: thinking, or else regret.
    cost = curve.regret.mean(axis=1)
    if limits.max_regret is not None:
        allowed &= promised_mean(curve.regret, greatest) <= limits.max_regret
        cost = curve.simulations.mean(axis=1)
    return int(np.argmin(np.where(allowed, cost, np.inf))) if allowed.any() else None


def _few_enough(curve: Frontier, limits: Limits) -> Bool[np.ndarray, " S"]:
    """Which rules can be promised not to need more simulations than allowed."""
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


def _nothing_fits(
    rules: Sequence[Rule], rows: Sequence[dict[str, Any]], limits: Limits, curve: Frontier
) -> str:
    """Why no rule that is quick enough will do, and what comes closest."""
    allowed = _few_enough(curve, limits)
    if limits.max_regret is None or not allowed.any():
        least = int(np.argmin([row["mean_simulations"] for row in rows]))
        return (
            f"no budget from {rules[0].budget} to {rules[-1].budget} keeps within "
            f"{limits.max_mean_simulations:g} simulations; the least is "
            f"{rows[least]['mean_simulations']:.3g}, with {rules[least].name}"
        )
    promised = np.where(allowed, [row["promised_regret"] for row in rows], np.inf)
    best = int(np.argmin(promised))
    return (
        f"no budget can be promised to keep mean regret within {limits.max_regret:g}; the best is "
        f"{rules[best].name}, of which {promised[best]:.3g} can be promised: allow that much, give "
        "larger budgets, or train longer"
    )
