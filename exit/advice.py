"""The budget that a measured frontier speaks for, without measuring anything anew."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exit.errors import UserError

ENOUGH = 0.95
"""Share of the regret that thinking removes with which it is enough, where no limit is given."""

Row = Mapping[str, Any]


class Advice(NamedTuple):
    """A budget, and what speaks for it.

    Attributes:
      budget: simulations a move.
      iteration: of training, after which the agent that was measured stood.
      why: one or two sentences.
      mean_regret: at this budget, in reward units.
      mean_simulations: spent on a position.
      latency_ms: median of a single call on the machine that measured; None if none were timed.
    """

    budget: int
    iteration: int
    why: str
    mean_regret: float
    mean_simulations: float
    latency_ms: float | None


def advise(
    frontier: Mapping[str, Any],
    run: Path,
    *,
    max_regret: float | None = None,
    deadline_ms: float | None = None,
) -> Advice:
    """The budget to use for a run's agent.

    With `max_regret` it is the least of which that can be promised, with a deadline alone the one that gives
    away least in time, both as `xit recommend` has it; without limits the least that removes `ENOUGH` of the
    regret that thinking removes at all.

    Args:
      frontier: as `xit frontier --json` writes it.
      run: the run's directory; of several agents, its newest is meant.
      max_regret: mean regret allowed, in reward units.
      deadline_ms: time allowed for a single call, at its 95th percentile.

    Raises:
      UserError: nothing that was measured keeps to the limits, or what they need was not measured.
    """
    agent = measured_of(frontier, run)
    rows = budgets_of(agent)
    if max_regret is None and deadline_ms is None:
        chosen, why = _enough(rows)
    else:
        chosen, why = _within(rows, max_regret, deadline_ms)
    latency = chosen["latency_ms"]["median"] if "latency_ms" in chosen else None
    timed = "" if latency is None else f", {latency:.3g} ms a call"
    spent = (
        f"mean regret {chosen['mean_regret']:.4g}, {chosen['mean_simulations']:.3g} simulations a position"
    )
    return Advice(
        int(chosen["budget"]),
        int(agent["iteration"]),
        f"{why} ({spent}{timed}).",
        float(chosen["mean_regret"]),
        float(chosen["mean_simulations"]),
        latency,
    )


def measured_of(frontier: Mapping[str, Any], run: Path) -> Row:
    """The newest of a run's agents that was measured.

    Of an agent that went by another name, where none goes by the run's: directories are moved.
    """
    agents: Sequence[Row] = frontier["agents"]
    here = run.resolve()
    own = [agent for agent in agents if Path(agent["run"]).resolve() == here]
    own = own or [agent for agent in agents if Path(agent["run"]).name == here.name] or agents
    return max(own, key=lambda agent: agent["iteration"])


def budgets_of(agent: Row) -> list[Row]:
    """What was measured of an agent, least budget first."""
    return sorted(agent["budgets"], key=lambda row: row["budget"])


def _enough(rows: Sequence[Row]) -> tuple[Row, str]:
    first, best = rows[0]["mean_regret"], min(row["mean_regret"] for row in rows)
    if first == best:
        return rows[0], "More thinking removed no regret"
    bound = best + (1 - ENOUGH) * (first - best)
    chosen = next(row for row in rows if row["mean_regret"] <= bound)
    return chosen, f"The least budget that removes {ENOUGH:.0%} of the regret that thinking removes here"


def _within(rows: Sequence[Row], max_regret: float | None, deadline_ms: float | None) -> tuple[Row, str]:
    if any((deadline_ms is not None and "latency_ms" not in row) for row in rows):
        raise UserError("single calls were not timed; `xit frontier` without --calls 0 times them")
    if any((max_regret is not None and "promised_regret" not in row) for row in rows):
        raise UserError("the frontier was written by an older version; `xit frontier` writes it again")
    fitting = [
        row
        for row in rows
        if (deadline_ms is None or row["latency_ms"]["p95"] <= deadline_ms)
        and (max_regret is None or row["promised_regret"] <= max_regret)
    ]
    if not fitting:
        raise UserError(f"no budget from {rows[0]['budget']} to {rows[-1]['budget']} keeps to the limits")
    if max_regret is None:
        return min(fitting, key=lambda row: row["mean_regret"]), "Gives away least in time"
    return fitting[0], "The least budget of which that regret can be promised"
