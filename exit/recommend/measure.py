"""Rules for thinking, timed and held against exact values."""

import functools
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from exit.agent import Agent
from exit.cost import latencies
from exit.errors import UserError
from exit.evaluate import Frontier, Yardstick, measure_frontier
from exit.frontier import ProgressFn, greatest_regret
from exit.game import State
from exit.recommend.limits import Rule

TimeFn = Callable[[Rule], Float[np.ndarray, " calls"]]
"""Milliseconds of single calls by a rule."""


def timer(agent: Agent, states: State, num_calls: int, report_fn: ProgressFn) -> TimeFn:
    """Times single calls for these states."""

    def time_rule(rule: Rule) -> Float[np.ndarray, " calls"]:
        return latencies(
            functools.partial(agent.act, price=rule.price),
            states,
            [rule.budget],
            calls=num_calls,
            progress_fn=lambda done, total: report_fn(f"single calls at {rule.name}", done, total),
        )[0]

    return time_rule


def quick_enough(
    time_fn: TimeFn,
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


class Measured(NamedTuple):
    """What an agent does at some states by each of S rules.

    Attributes:
      rules: fixed budgets, then prices.
      curve: its regret and simulations.
      greatest: regret that a state can have.
    """

    rules: tuple[Rule, ...]
    curve: Frontier
    greatest: float


def measure(agent: Agent, measured: Yardstick, rules: Collection[Rule], report_fn: ProgressFn) -> Measured:
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
    return Measured(tuple(rules), curve, greatest_regret(measured))
