"""What an agent gives away at each of several budgets, state by state."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from exit.evaluate.decisions import ActFn, decide
from exit.evaluate.figures import mistakes, regrets
from exit.evaluate.resampling import percentile_interval, resampled_means
from exit.evaluate.yardstick import Yardstick

BudgetProgressFn = Callable[[int, int, int], None]
"""Told budget, states done and states in all."""


class Frontier(NamedTuple):
    """What an agent did at n states, the same ones at each of S budgets.

    Attributes:
      budgets: simulations allowed, rising.
      regret: exact value given away, in reward units.
      mistake: whether it was more than nothing.
      simulations: spent; fewer than allowed where search proved the state before.
      seconds: wall time of all states together, in batches, compilation excluded.
    """

    budgets: Int[np.ndarray, " S"]
    regret: Float[np.ndarray, "S n"]
    mistake: Bool[np.ndarray, "S n"]
    simulations: Int[np.ndarray, "S n"]
    seconds: Float[np.ndarray, " S"]

    def of(self, rows: np.ndarray) -> "Frontier":
        """The same at some of the states; the seconds are still those of all."""
        return self._replace(
            regret=self.regret[:, rows], mistake=self.mistake[:, rows], simulations=self.simulations[:, rows]
        )


def measure_frontier(
    act_fn: ActFn,
    measured: Yardstick,
    budgets: Sequence[int],
    *,
    progress_fn: BudgetProgressFn | None = None,
) -> Frontier:
    """Lets an agent act at every state at every budget."""
    report = progress_fn or (lambda budget, done, total: None)
    made = [
        decide(
            act_fn,
            measured.states,
            budget,
            progress_fn=lambda done, total, budget=budget: report(budget, done, total),
        )
        for budget in sorted(budgets)
    ]
    return Frontier(
        np.array(sorted(budgets)),
        np.stack([regrets(each, measured.moves) for each in made]),
        np.stack([mistakes(each, measured.moves) for each in made]),
        np.stack([each.num_simulations for each in made]),
        np.array([each.seconds for each in made]),
    )


def frontier_rows(found: Frontier, counts: Int[np.ndarray, "R n"] | None) -> list[dict[str, Any]]:
    """Means of each budget, by the names of `xit frontier --json`.

    Args:
      counts: resamples of the states, for 95 % intervals; None where the states are all there are, and the
        means are exact.
    """
    samples = {
        "mean_regret": found.regret,
        "mistake_rate": found.mistake,
        "mean_simulations": found.simulations,
    }
    rows: list[dict[str, Any]] = [
        {
            "budget": int(budget),
            **{name: float(sample[index].mean()) for name, sample in samples.items()},
            "ms_per_state": 1e3 * float(found.seconds[index]) / found.regret.shape[1],
            "ci95": dict.fromkeys(samples),
        }
        for index, budget in enumerate(found.budgets)
    ]
    if counts is not None:
        for name, sample in samples.items():
            for row, means in zip(rows, resampled_means(sample, counts), strict=True):
                row["ci95"][name] = percentile_interval(means)
    return rows
