"""The bench card's figures: an agent against exact values, its opponent's best response and itself."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt32

from exit import __version__
from exit.agent import Agent
from exit.evaluate import (
    CHUNK,
    Acts,
    Benchmark,
    Plies,
    Positions,
    Yardstick,
    benchmark,
    earnings,
    override_report,
    plies,
    ply_of,
    positions_of,
    rows_of,
    shortest_lines,
    worst_first,
)
from exit.game import Game, action_name_of, render_of
from exit.rundir import commit
from exit.solve import Exact

MAX_REACHED = 100_000
"""Positions a seat that an agent is followed to; if there are more, `exploitability` is None."""

_MAX_LINES = 8_000_000
_MAX_OVERRIDES = 16 * CHUNK
_NUM_SHOWN = 12

ProgressFn = Callable[[str, int, int], None]
"""Told what is measured, positions done and positions in all, 0 if that is not known."""


def bench(
    agent: Agent,
    exact: Exact,
    budgets: Sequence[int],
    *,
    positions: Positions | None = None,
    max_reached: int = MAX_REACHED,
    acts: Acts | None = None,
    progress_fn: ProgressFn | None = None,
) -> dict[str, Any]:
    """What a bench card shows, by the names of `xit bench --json`.

    Args:
      budgets: simulations a move, each within the agent's capacity; 0 is the reflex.
      positions: to measure on; every unfinished reachable state if left out, or a sample of what random
        play leads to where no table knows them all.
      max_reached: positions that the agent is followed to from each seat; beyond it, and if it is 0,
        `exploitability` and `certified` are None.
      acts: who acts for the agent; it does itself if left out.

    Raises:
      UsageError: a budget is over the capacity.
    """
    started = time.perf_counter()
    report = progress_fn or (lambda what, done, total: None)
    acts = acts or Acts(agent.act, agent.curve)
    positions, reached = positions or positions_of(exact), _plies(exact)
    if reached is not None:
        positions = positions._replace(ply=ply_of(reached, positions.keys))
    found = benchmark(
        acts.act,
        exact,
        budgets,
        positions=positions,
        max_reached=max_reached,
        progress_fn=lambda budget, done, total: report(f"budget {budget}", done, total),
    )
    least = min(found.figures["budgets"], key=lambda row: row["budget"])
    returns = earnings(acts.act, exact, found, positions, report)
    overrides = _overrides(acts, found, max(budgets), report)
    wrong = np.flatnonzero(found.always_wrong)
    shown = worst_first(found, wrong)[:_NUM_SHOWN]
    return {
        "game": agent.game.name,
        "run": str(agent.source),
        "solver": exact.solver,
        "hardware": hardware(),
        **found.figures,
        "returns": returns,
        "exploitability": least["exploitability"],
        "certified": least["certified"],
        "overrides": overrides,
        "wrong_at_every_budget": {
            "count": len(wrong),
            "shown": _with_lines(_gallery(agent.game, acts, found, shown), reached, positions.keys[shown]),
        },
        "provenance": provenance(agent) | {"seconds": time.perf_counter() - started},
    }


def _plies(exact: Exact) -> Plies | None:
    """How all positions are reached; None where they are unknown or too many to be gone through again."""
    if exact.table is None or exact.table.num_states > _MAX_LINES:
        return None
    return plies(exact.game)


def _with_lines(
    shown: list[dict[str, Any]], reached: Plies | None, keys: UInt32[np.ndarray, "n K"]
) -> list[dict[str, Any]]:
    """Positions with a line that leads to each; None where that is unknown."""
    lines = [None] * len(shown) if reached is None else shortest_lines(reached, keys)
    return [each | {"line": line} for each, line in zip(shown, lines, strict=True)]


def _overrides(acts: Acts, found: Benchmark, budget: int, report: ProgressFn) -> dict[str, Any] | None:
    """The override report of the greatest budget, on a sample if there are very many positions."""
    measured = found.measured
    count = len(measured.moves.values)
    if not budget or not count:
        return None
    if count > _MAX_OVERRIDES:
        rows = np.sort(np.random.default_rng(0).choice(count, _MAX_OVERRIDES, replace=False))
        measured = Yardstick(rows_of(measured.states, rows), measured.moves.of(rows))
    return override_report(
        acts.curve, measured, budget, progress_fn=lambda done, total: report("overrides", done, total)
    )


def _gallery(game: Game, acts: Acts, found: Benchmark, rows: np.ndarray) -> list[dict[str, Any]]:
    """Some positions, with what reflex, search and perfect play make of each move."""
    if not len(rows):
        return []
    # Padded to the size that was measured, so that nothing new is compiled.
    padded = np.resize(rows, min(CHUNK, len(found.measured.moves.values)))
    states = rows_of(found.measured.states, padded)
    budgets = np.where(np.arange(len(padded)) < len(rows), max(found.decisions), 0)
    result = jax.device_get(acts.act(states, budgets))
    moves, shown = found.measured.moves.of(rows), []
    for place, row in enumerate(rows):
        state = jax.tree.map(lambda leaf, place=place: leaf[place], states)
        shown.append(
            {
                "board": render_of(game, state),
                "value": float(moves.values[place]),
                "played": {str(budget): int(each.action[row]) for budget, each in found.decisions.items()},
                "search_value": float(result.value[place]),
                "reflex_value": float(result.prior_value[place]),
                "actions": [
                    {
                        "action": int(action),
                        "name": action_name_of(game, int(action)),
                        "exact": float(moves.qvalues[place, action]),
                        "optimal": bool(moves.optimal[place, action]),
                        "prior": float(result.prior[place, action]),
                        "weight": float(result.action_weights[place, action]),
                        "qvalue": float(result.qvalues[place, action]),
                        "visits": int(result.visit_counts[place, action]),
                    }
                    for action in np.flatnonzero(moves.legal[place])
                ],
            }
        )
    return shown


def hardware() -> str:
    """What times are taken on."""
    kinds = ", ".join(sorted({device.device_kind for device in jax.devices()}))
    return f"{kinds}; {os.cpu_count()} CPU cores, {platform.machine()}; jax {jax.__version__}"


def provenance(agent: Agent) -> dict[str, Any]:
    """Whence the figures come: enough to have them again."""
    return {
        # The command line fills in by which command; from Python there is none.
        "command": None,
        "config": agent.info.config_name,
        "overrides": list(agent.info.overrides),
        "seed": agent.config.seed,
        "iteration": agent.step,
        "max_simulations": agent.search.max_simulations,
        "version": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S%z"),
    }
