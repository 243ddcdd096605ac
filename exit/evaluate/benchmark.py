"""An agent against exact values, at several budgets."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt32

from exit.evaluate.decisions import ActFn, decide
from exit.evaluate.figures import measure
from exit.evaluate.yardstick import yardstick
from exit.solve import Exact, table_of, unfinished_keys


def benchmark(
    act_fn: ActFn,
    exact: Exact,
    budgets: Sequence[int],
    *,
    keys: UInt32[np.ndarray, "n K"] | None = None,
    kind: str = "all",
    progress_fn: Callable[[int, int, int], None] | None = None,
) -> dict[str, Any]:
    """Exact metrics at each budget.

    Args:
      keys: of the positions to measure on; None is every unfinished reachable state.
      kind: what the positions are: `all`, `sample` or `file`. Only `all` has no intervals.
      progress_fn: told budget, positions done and positions in all.

    Raises:
      UserError: all positions are asked for, and no table knows them.

    Returns:
      `positions`, `budgets` and `amortization_gap` (mean regret of the reflex minus that at the greatest
      budget; None unless both were measured) by the names of `xit bench --json`; `ms_per_move` is wall
      time in batches of up to 1,024.
    """
    if keys is None:
        keys = unfinished_keys(table_of(exact))
    measured = yardstick(exact, keys)
    rows = []
    for budget in budgets:

        def report(done: int, total: int, budget: int = budget) -> None:
            if progress_fn is not None:
                progress_fn(budget, done, total)

        decisions = decide(act_fn, measured.states, budget, progress_fn=report)
        rows.append(measure(decisions, measured.moves, budget, exhaustive=kind == "all"))
    regret = {row["budget"]: row["mean_regret"] for row in rows}
    measured_both = 0 in regret and max(regret) > 0
    gap = regret[0] - regret[max(regret)] if measured_both else None
    critical = int(measured.moves.critical.sum())
    return {
        "positions": {"kind": kind, "count": len(measured.moves.values), "critical": critical},
        "budgets": rows,
        "amortization_gap": gap,
    }
