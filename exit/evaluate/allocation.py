"""When states have been thought about enough: what searches had found on the way, and what a rule saves.

One search of each state, looked at on the way, serves every rule: a rule says of each state at which look it
stops, at each of several thresholds, which trade regret for simulations as fixed budgets do.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from exit.evaluate.decisions import rows_of
from exit.evaluate.overrides import CurveFn
from exit.evaluate.yardstick import Yardstick

_SLACK = 1e-12


class Looks(NamedTuple):
    """What searches of n states had found when each of S budgets was spent; values to the player to move.

    Attributes:
      budgets: rising, the first 0.
      spent: simulations; fewer than the budget where the state was proven.
      action: the move it would play.
      regret: exact value that this gives away.
      weights: the improved policy.
      visits: of each root action.
      qvalues: of each root action.
      prior: the reflex policy.
      proven: whether the state's value is.
      bounds: least and greatest return in the game.
    """

    budgets: Int[np.ndarray, " S"]
    spent: Int[np.ndarray, "S n"]
    action: Int[np.ndarray, "S n"]
    regret: Float[np.ndarray, "S n"]
    weights: Float[np.ndarray, "S n A"]
    visits: Int[np.ndarray, "S n A"]
    qvalues: Float[np.ndarray, "S n A"]
    prior: Float[np.ndarray, "n A"]
    proven: Bool[np.ndarray, "S n"]
    bounds: tuple[float, float]

    def of(self, rows: np.ndarray) -> "Looks":
        """Those at some of the states."""
        return Looks(
            self.budgets,
            *(column[:, rows] for column in self[1:7]),
            prior=self.prior[rows],
            proven=self.proven[:, rows],
            bounds=self.bounds,
        )


def look(
    curve_fn: CurveFn,
    measured: Yardstick,
    budgets: Int[np.ndarray, " S"],
    *,
    bounds: tuple[float, float],
    chunk: int = 512,
) -> Looks:
    """Searches every state once and looks at each of the budgets, the first of which is 0.

    Args:
      bounds: least and greatest return in the game.
      chunk: states searched at once.
    """
    num_states, parts = len(measured.moves.values), []
    for start in range(0, num_states, chunk):
        rows = np.arange(start, start + chunk).clip(max=num_states - 1)
        found = curve_fn(rows_of(measured.states, rows), budgets)
        here = min(chunk, num_states - start)
        columns = (
            found.num_simulations,
            found.action,
            found.action_weights,
            found.visit_counts,
            found.qvalues,
            found.upper - found.lower <= _SLACK,
        )
        parts.append(
            [np.asarray(column)[:, :here] for column in columns] + [np.asarray(found.prior)[0, :here]]
        )
    *columns, prior = zip(*parts, strict=True)
    spent, action, weights, visits, qvalues, proven = (np.concatenate(column, axis=1) for column in columns)
    regret = measured.moves.regrets[np.arange(num_states), action]
    return Looks(
        budgets,
        spent,
        action,
        np.maximum(regret, 0.0),
        weights,
        visits,
        qvalues,
        np.concatenate(prior),
        proven,
        bounds,
    )


Stops = Int[np.ndarray, "K n"]
"""The look at which each state stops, at each of K thresholds."""


class Spending(NamedTuple):
    """What a rule comes to at each of K thresholds, means over states, from little thinking to much."""

    simulations: Float[np.ndarray, " K"]
    regret: Float[np.ndarray, " K"]


def spending(looks: Looks, stops: Stops, spent: Int[np.ndarray, "S n"] | None = None) -> Spending:
    """Means of a rule at each threshold.

    Args:
      spent: what each look costs a state, in place of what the search spent.
    """
    every = np.arange(stops.shape[1])
    cost = (looks.spent if spent is None else spent)[stops, every].mean(axis=1)
    order = np.argsort(cost, kind="stable")
    return Spending(cost[order], looks.regret[stops, every].mean(axis=1)[order])


def fixed_spending(looks: Looks) -> Spending:
    """Of fixed budgets, each simulation of which is made whatever has been found."""
    stops = np.broadcast_to(np.arange(len(looks.budgets))[:, None], looks.spent.shape)
    return spending(looks, stops, np.broadcast_to(looks.budgets[:, None], looks.spent.shape))


def simulations_for(found: Spending, regret: float) -> float | None:
    """The least mean simulations with no more than this mean regret, mixing thresholds; None if never."""
    enough = np.flatnonzero(found.regret <= regret)
    if not len(enough):
        return None
    # A mix of two thresholds, each in some of the states, comes to every point between them.
    least = found.simulations[enough[0]]
    for before in np.flatnonzero(found.regret > regret):
        for after in enough:
            share = (found.regret[before] - regret) / (found.regret[before] - found.regret[after])
            mixed = found.simulations[before] + share * (found.simulations[after] - found.simulations[before])
            least = min(least, mixed)
    return float(least)


def saving(
    looks: Looks, stops: Stops, regret: float, spent: Int[np.ndarray, "S n"] | None = None
) -> float | None:
    """Simulations of fixed budgets over those of a rule, both for no more than a mean regret.

    Args:
      spent: what each look costs a state by the rule, in place of what the search spent.

    Returns:
      None where there is nothing to save, because not to think has as little regret, and where fixed budgets
      or the rule never come so low.
    """
    fixed = simulations_for(fixed_spending(looks), regret)
    needed = simulations_for(spending(looks, stops, spent), regret)
    return None if not fixed or needed is None else fixed / max(needed, 1e-9)
