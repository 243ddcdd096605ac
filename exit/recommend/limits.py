"""What a rule for thinking has to keep to, and which of several keeps to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from exit.errors import UsageError
from exit.evaluate import Frontier, promised_mean


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


def choice(curve: Frontier, limits: Limits, greatest: float, *, complete: bool) -> int | None:
    """Index of the rule to use; None if none keeps to the limits.

    Args:
      greatest: regret that a state can have.
      complete: the curve is of all states there are.
    """
    allowed = _few_enough(curve, limits, complete)
    # What is to be as little as possible: thinking, or else regret.
    cost = curve.regret.mean(axis=1)
    if limits.max_regret is not None:
        allowed &= promised_mean(curve.regret, greatest, complete=complete) <= limits.max_regret
        cost = curve.simulations.mean(axis=1)
    return int(np.argmin(np.where(allowed, cost, np.inf))) if allowed.any() else None


def _few_enough(curve: Frontier, limits: Limits, complete: bool) -> Bool[np.ndarray, " S"]:
    """Which rules can be promised not to need more simulations than allowed."""
    if limits.max_mean_simulations is None:
        return np.ones(len(curve.budgets), bool)
    most: Float[np.ndarray, " S"] = np.array(
        [
            promised_mean(spent[None], float(budget), complete=complete)[0]
            for spent, budget in zip(curve.simulations, curve.budgets, strict=True)
        ]
    )
    return np.minimum(most, curve.budgets) <= limits.max_mean_simulations


def holds(curve: Frontier, index: int, limits: Limits) -> bool:
    """Whether the limits hold in the mean of these states."""
    regret, spent = curve.regret[index].mean(), curve.simulations[index].mean()
    enough = limits.max_regret is None or regret <= limits.max_regret
    few = limits.max_mean_simulations is None or spent <= limits.max_mean_simulations
    return bool(enough and few)


def why_none(
    rules: Sequence[Rule],
    rows: Sequence[dict[str, Any]],
    limits: Limits,
    curve: Frontier,
    *,
    complete: bool,
) -> str:
    """Why no rule that is quick enough will do, what comes closest, and what to do."""
    allowed = _few_enough(curve, limits, complete)
    if limits.max_regret is None or not allowed.any():
        least = int(np.argmin([row["mean_simulations"] for row in rows]))
        return (
            f"no budget from {rules[0].budget} to {rules[-1].budget} keeps within "
            f"{limits.max_mean_simulations:g} simulations; the least is "
            f"{rows[least]['mean_simulations']:.3g}, with {rules[least].name}"
        )
    promised = np.where(allowed, [row["promised_regret"] for row in rows], np.inf)
    best = int(np.argmin(promised))
    mean = rows[best]["mean_regret"]
    remedy = f"allow that much, {_more(limits, allowed)}, or train longer"
    within = "" if allowed.all() else f" of those within {limits.max_mean_simulations:g} simulations"
    if complete:
        return (
            f"no budget keeps mean regret within {limits.max_regret:g}; the best{within} is "
            f"{rules[best].name}, with {mean:.3g} over all critical positions: {remedy}"
        )
    # A mean that is low enough is hidden by how few positions it is the mean of.
    more = "measure more positions (max_states), " if mean <= limits.max_regret else ""
    return (
        f"no budget can be promised to keep mean regret within {limits.max_regret:g}; the best{within} is "
        f"{rules[best].name}, with {mean:.3g} over {curve.regret.shape[1]:,} positions, of which "
        f"{promised[best]:.3g} can be promised: {more}{remedy}"
    )


def _more(limits: Limits, allowed: Bool[np.ndarray, " S"]) -> str:
    """What would let larger budgets in."""
    if not allowed.all():
        return "raise max_mean_simulations"
    return (
        "give larger budgets" if limits.deadline_ms is None else "give larger budgets or a longer deadline_ms"
    )
