"""An agent against exact values, at several budgets."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from exit.evaluate.adversary import adversarial_figures, by_ply, face
from exit.evaluate.decisions import ActFn, Decisions, decide, decide_at
from exit.evaluate.figures import measure, mistakes, regrets
from exit.evaluate.positions import Positions, positions_of
from exit.evaluate.walk import PolicyFn, recalled
from exit.evaluate.yardstick import Yardstick, yardstick
from exit.solve import Exact

BenchProgressFn = Callable[[int, int, int], None]
"""Told budget, positions done and positions in all, of which 0 means that their number is not known yet."""


class Benchmark(NamedTuple):
    """What was measured.

    Attributes:
      figures: by the names of `xit bench --json`.
      measured: the positions.
      decisions: by budget, what the agent did there.
    """

    figures: dict[str, Any]
    measured: Yardstick
    decisions: dict[int, Decisions]

    @property
    def always_wrong(self) -> Bool[np.ndarray, " n"]:
        """Where the agent is mistaken at every budget."""
        return np.all([mistakes(each, self.measured.moves) for each in self.decisions.values()], axis=0)


def benchmark(
    act_fn: ActFn,
    exact: Exact,
    budgets: Sequence[int],
    *,
    positions: Positions | None = None,
    max_reached: int = 0,
    progress_fn: BenchProgressFn | None = None,
) -> Benchmark:
    """Exact metrics at each budget.

    Args:
      positions: to measure on; all that a table knows, or a sample, if left out.
      max_reached: positions that the agent may be followed to from each seat, for exploitability and
        certificate; 0 leaves them out.

    Returns:
      Figures `positions`, `budgets` and `amortization_gap` (mean regret of the reflex minus that at the
      greatest budget; None unless both were measured); `ms_per_move` is wall time in batches of up to 1,024.
    """
    positions = positions or positions_of(exact)
    exhaustive = positions.kind == "all"
    measured = yardstick(exact, positions.keys)
    rows, made = [], {}
    for budget in budgets:

        def report(done: int, total: int, budget: int = budget) -> None:
            if progress_fn is not None:
                progress_fn(budget, done, total)

        made[budget] = decide(act_fn, measured.states, budget, progress_fn=report)
        row = measure(made[budget], measured.moves, budget, exhaustive=exhaustive)
        if positions.ply is not None:
            row["by_ply"] = by_ply(made[budget], measured.moves, positions.ply, exhaustive=exhaustive)
        faced = None
        if max_reached:
            known = recalled(positions.keys, made[budget].action) if exhaustive else None
            faced = face(
                exact,
                known or _searching(act_fn, exact, budget),
                max_positions=max_reached,
                progress_fn=lambda found, report=report: report(found, 0),
            )
        row |= adversarial_figures(exact, faced)
        rows.append(row)
    regret = {row["budget"]: row["mean_regret"] for row in rows}
    measured_both = 0 in regret and max(regret) > 0
    gap = regret[0] - regret[max(regret)] if measured_both else None
    critical = int(measured.moves.critical.sum())
    figures = {
        "positions": {"kind": positions.kind, "count": len(measured.moves.values), "critical": critical},
        "budgets": rows,
        "amortization_gap": gap,
    }
    return Benchmark(figures, measured, made)


def _searching(act_fn: ActFn, exact: Exact, budget: int) -> PolicyFn:
    """The policy that searches whenever it is asked."""
    return lambda keys: decide_at(act_fn, exact.game, keys, budget).action


def worst_first(bench: Benchmark, rows: np.ndarray) -> np.ndarray:
    """Rows in the order of what the agent gives away there at its greatest budget, the most first."""
    given_away = regrets(bench.decisions[max(bench.decisions)], bench.measured.moves)[rows]
    return rows[np.argsort(-given_away, kind="stable")]
