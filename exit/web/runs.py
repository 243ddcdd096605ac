"""What a run directory has to show: files of fixed names, and no others."""

from pathlib import Path
from typing import Any

from exit.advice import advise, budgets_of, measured_of
from exit.agent import Agent
from exit.errors import UserError
from exit.figures import read_figures
from exit.logs import read_metrics

_MAX_ROWS = 2000
_MAX_CARD_BYTES = 16 << 20


def learning_curves(agent: Agent) -> list[dict[str, float | int | None]]:
    """The reports of the agent's run so far, thinned where they are many; none of an agent that is a file."""
    if not agent.source.is_dir():
        return []
    rows = read_metrics(agent.source)
    step = -(-len(rows) // _MAX_ROWS) or 1
    kept = rows[::step]
    return kept if not rows or kept[-1] is rows[-1] else [*kept, rows[-1]]


def figures(agent: Agent, name: str) -> Any:
    """What `xit NAME` left in the run's directory.

    Raises:
      UserError: it is not there, or damaged; says how to make it.
    """
    return read_figures(_folder(agent), name)


def advice(agent: Agent, max_regret: float | None, deadline_ms: float | None) -> dict[str, Any]:
    """Regret at each budget, and the budget that it speaks for under limits.

    Raises:
      UserError: the frontier is not there, or damaged, or nothing in it keeps to the limits.
    """
    found = figures(agent, "frontier")
    try:
        chosen = advise(found, agent.source, max_regret=max_regret, deadline_ms=deadline_ms)
        rows = [
            {name: float(row[name]) for name in ("budget", "mean_regret", "mistake_rate")}
            | {"interval": row["ci95"]["mean_regret"]}
            for row in budgets_of(measured_of(found, agent.source))
        ]
        positions = {"count": int(found["positions"]["count"]), "kind": str(found["positions"]["kind"])}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(
            f"the frontier.json of this run is damaged; `xit frontier {agent.source}` writes it again"
        ) from error
    return {"recommended": chosen._asdict(), "positions": positions, "budgets": rows}


def card(agent: Agent) -> str:
    """The bench card; raises UserError where there is none."""
    path = _folder(agent) / "bench.html"
    if not path.is_file():
        raise UserError(f"there is no {path.name} yet; `xit bench {agent.source}` makes it")
    if path.stat().st_size > _MAX_CARD_BYTES:
        raise UserError(f"{path.name} of this run is over {_MAX_CARD_BYTES:,} bytes; it is not shown")
    return path.read_text(encoding="utf-8", errors="replace")


def _folder(agent: Agent) -> Path:
    if not agent.source.is_dir():
        raise UserError("this agent is one file, without a run directory; nothing was recorded with it")
    return agent.source
