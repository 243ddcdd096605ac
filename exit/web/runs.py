"""What a run directory has to show: files of fixed names, and no others."""

import json
from pathlib import Path
from typing import Any

from exit.agent import Agent
from exit.errors import UserError
from exit.logs import read_metrics

_MAX_ROWS = 2000
_MAX_BYTES = 16 << 20


def learning_curves(agent: Agent) -> list[dict[str, float | int | None]]:
    """The reports of the agent's run so far, thinned where they are many; none of an agent that is a file."""
    if not agent.source.is_dir():
        return []
    rows = read_metrics(agent.source)
    step = -(-len(rows) // _MAX_ROWS) or 1
    kept = rows[::step]
    return kept if not rows or kept[-1] is rows[-1] else [*kept, rows[-1]]


def figures(agent: Agent, name: str) -> Any:
    """What `xit NAME --json DIR/NAME.json` left in the run's directory.

    Raises:
      UserError: it is not there; says how to make it.
    """
    path = _file(agent, f"{name}.json", f"`xit {name} {agent.source} --json {agent.source}/{name}.json`")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path.name} of this run is damaged; write it again with `xit {name}`") from error


def card(agent: Agent) -> str:
    """The bench card; raises UserError where there is none."""
    path = _file(agent, "bench.html", f"`xit bench {agent.source}`")
    return path.read_text(encoding="utf-8", errors="replace")


def _file(agent: Agent, name: str, remedy: str) -> Path:
    if not agent.source.is_dir():
        raise UserError("this agent is one file, without a run directory; nothing was recorded with it")
    path = agent.source / name
    if not path.is_file():
        raise UserError(f"there is no {name} yet; {remedy} makes it")
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{name} of this run is over {_MAX_BYTES:,} bytes; it is not shown")
    return path
