"""The bench card's picture."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from exit.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    RED,
    Panel,
    Rows,
    budget_axis,
    finish,
    interval_line,
)


def plot_bench(bench: Mapping[str, Any], path: Path | str, *, title: str) -> Path:
    """The bench card's picture: regret and mistakes against budget and ply, calibration, overrides.

    Args:
      bench: as `xit bench --json` writes it.

    Returns:
      The path written.
    """
    figure, grid = plt.subplots(2, 3, figsize=(14, 7.4))
    axes = grid.ravel().tolist()
    for axis, panel in zip(axes, bench_panels(bench), strict=True):
        panel.draw(axis)
    return finish(figure, axes, title, Path(path))


def bench_panels(bench: Mapping[str, Any]) -> list[Panel]:
    """The same, one by one: three of play, two of calibration, one of overrides."""
    rows = sorted(bench["budgets"], key=lambda row: row["budget"])
    ends = rows[:1] if len(rows) == 1 else [rows[0], rows[-1]]
    return [
        Panel("Mean regret against budget", partial(_regret, rows=rows)),
        Panel("Mistakes against budget", partial(_mistakes, rows=rows)),
        Panel("Mistakes by ply", partial(_plies, ends=ends)),
        Panel("Exact value against the value the agent gives", partial(_values, ends=ends)),
        Panel("Share of best moves against the weight of the move played", partial(_weights, ends=ends)),
        Panel(
            "What overriding the reflex did, by simulation", partial(_overrides, report=bench["overrides"])
        ),
    ]


def _regret(axis: Axes, rows: Rows) -> None:
    interval_line(axis, rows, "mean_regret", 1.0, "all positions", BLUE, "o")
    axis.set_ylabel("mean regret (reward units)")
    budget_axis(axis, [row["budget"] for row in rows])


def _mistakes(axis: Axes, rows: Rows) -> None:
    interval_line(axis, rows, "mistake_rate", 100.0, "all positions", BLUE, "o")
    interval_line(axis, rows, "critical_mistake_rate", 100.0, "critical positions", RED, "s")
    axis.set_ylabel("mistakes (%)")
    budget_axis(axis, [row["budget"] for row in rows])


def _plies(axis: Axes, ends: Rows) -> None:
    for row, colour, marker in zip(ends, (RED, BLUE), "os", strict=False):
        _by_ply(axis, row, f"budget {row['budget']}", colour, marker)
    axis.set_xlabel("ply")
    axis.set_ylabel("mistakes (% of critical positions)")
    axis.set_ylim(bottom=0)


def _values(axis: Axes, ends: Rows) -> None:
    for row, colour, marker in zip(ends, (RED, BLUE), "os", strict=False):
        _reliability(axis, row["calibration"]["value"], f"budget {row['budget']}", colour, marker)
    axis.set_xlabel("value the agent gives the position")
    axis.set_ylabel("exact value, mean")


def _weights(axis: Axes, ends: Rows) -> None:
    for row, colour, marker in zip(ends, (RED, BLUE), "os", strict=False):
        _reliability(axis, row["calibration"]["policy"], f"budget {row['budget']}", colour, marker)
    axis.set_xlabel("weight of the move played (critical positions)")
    axis.set_ylabel("share of best moves")


def _by_ply(axis: Axes, row: Mapping[str, Any], label: str, colour: str, marker: str) -> None:
    plies = [each for each in row.get("by_ply") or () if each["critical"]]
    interval_line(axis, plies, "critical_mistake_rate", 100.0, label, colour, marker, along="ply")


def _reliability(axis: Axes, bins: Rows, label: str, colour: str, marker: str) -> None:
    """Truth against claim; the larger a marker, the more positions are behind it."""
    if not bins:
        return
    counts = [row["count"] for row in bins]
    ends = [bins[0]["from"], bins[-1]["to"]]
    axis.plot(ends, ends, color=BLACK, linewidth=0.8, linestyle=":")
    claimed, true = ([row[name] for row in bins] for name in ("claimed", "true"))
    axis.plot(claimed, true, color=colour, linewidth=1)
    sizes = [8 + 80 * (count / max(counts)) ** 0.5 for count in counts]
    axis.scatter(claimed, true, s=sizes, color=colour, marker=marker, label=label, alpha=0.8)


def _overrides(axis: Axes, report: Mapping[str, Any] | None) -> None:
    """What changing the move did to the regret, stretch by stretch of one search."""
    axis.set_xlabel("simulation at which search changed the move")
    axis.set_ylabel("change of mean regret")
    axis.axhline(0, color=BLACK, linewidth=0.8)
    rows = report["simulations"] if report else []
    places = range(len(rows))
    axis.bar(places, [-row["regret_removed"] for row in rows], color=GREEN, label="helped")
    axis.bar(places, [row["regret_added"] for row in rows], color=ORANGE, label="hurt")
    axis.set_xticks(places, [f"\u2264{row['to']}" for row in rows])
