"""Pictures of figures: training against time, and play against budget. Each function writes one PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct to colour-blind readers and in grey.
_BLACK, _ORANGE, _SKY, _GREEN, _BLUE, _RED = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00"

Rows = Sequence[Mapping[str, Any]]
"""Reports as `exit.logs.read_metrics` returns them, or budgets as `xit bench --json` lists them."""


def plot_training(metrics: Rows, path: Path | str, *, title: str) -> Path:
    """Mistakes, where the game has exact values, and losses against training time.

    Returns:
      The path written.
    """
    measured = any(row.get("reflex_mistake_rate") is not None for row in metrics)
    figure, axes = plt.subplots(
        1 + measured, 1, sharex=True, figsize=(7, 3.2 * (1 + measured)), squeeze=False
    )
    *upper, losses = axes[:, 0]
    unit, seconds = _time_unit(metrics)
    for axis in upper:
        _line(axis, metrics, "reflex_mistake_rate", seconds, 100.0, "reflex (budget 0)", _RED, "o")
        _line(axis, metrics, "search_mistake_rate", seconds, 100.0, "search", _BLUE, "s")
        axis.set_ylabel("mistakes (% of critical positions)")
        axis.set_ylim(bottom=0)
    _line(losses, metrics, "policy_loss", seconds, 1.0, "policy loss (nats)", _ORANGE, "^")
    _line(losses, metrics, "value_loss", seconds, 1.0, "value loss", _GREEN, "v")
    _line(losses, metrics, "entropy", seconds, 1.0, "policy entropy (nats)", _BLACK, "x")
    losses.set_ylabel("loss")
    losses.set_xlim(left=0)
    losses.set_xlabel(f"training time ({unit})")
    return _finish(figure, axes[:, 0].tolist(), title, Path(path))


def plot_bench(bench: Mapping[str, Any], path: Path | str, *, title: str) -> Path:
    """Regret and mistakes against budget, with 95% intervals.

    Args:
      bench: as `xit bench --json` writes it.

    Returns:
      The path written.
    """
    rows = sorted(bench["budgets"], key=lambda row: row["budget"])
    figure, (regret, mistakes) = plt.subplots(2, 1, sharex=True, figsize=(7, 6.4))
    _interval_line(regret, rows, "mean_regret", 1.0, "all positions", _BLUE, "o")
    regret.set_ylabel("mean regret (reward units)")
    _interval_line(mistakes, rows, "mistake_rate", 100.0, "all positions", _BLUE, "o")
    _interval_line(mistakes, rows, "critical_mistake_rate", 100.0, "critical positions", _RED, "s")
    mistakes.set_ylabel("mistakes (%)")
    mistakes.set_xlabel("budget (simulations per move; 0 is the reflex)")
    budgets = [row["budget"] for row in rows]
    for axis in (regret, mistakes):
        # Budgets span decades and include 0, where a logarithm has no place.
        axis.set_xscale("symlog", linthresh=min(filter(None, budgets), default=1), linscale=0.5)
        axis.set_xticks(budgets, [str(budget) for budget in budgets])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
    return _finish(figure, [regret, mistakes], title, Path(path))


def _time_unit(metrics: Rows) -> tuple[str, float]:
    """The unit in which the run's length reads well, and its seconds."""
    longest = max((row.get("seconds") or 0 for row in metrics), default=0)
    return ("s", 1.0) if longest < 180 else ("min", 60.0) if longest < 3 * 3600 else ("h", 3600.0)


def _line(
    axis: Axes, metrics: Rows, key: str, seconds: float, scale: float, label: str, colour: str, marker: str
) -> None:
    points = [(row["seconds"] / seconds, scale * row[key]) for row in metrics if row.get(key) is not None]
    if points:
        times, values = zip(*points, strict=True)
        every = max(1, len(points) // 12)
        axis.plot(
            times,
            values,
            color=colour,
            marker=marker,
            markevery=every,
            markersize=4,
            label=label,
            clip_on=False,
        )


def _interval_line(
    axis: Axes, rows: Rows, key: str, scale: float, label: str, colour: str, marker: str
) -> None:
    rows = [row for row in rows if row.get(key) is not None]
    if not rows:
        return
    budgets = [row["budget"] for row in rows]
    axis.plot(
        budgets, [scale * row[key] for row in rows], color=colour, marker=marker, label=label, clip_on=False
    )
    intervals = [row.get("ci95", {}).get(key) or (row[key], row[key]) for row in rows]
    low, high = ([scale * interval[side] for interval in intervals] for side in (0, 1))
    axis.fill_between(budgets, low, high, color=colour, alpha=0.2, linewidth=0)


def _finish(figure: Figure, axes: Sequence[Axes], title: str, path: Path) -> Path:
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False)
    axes[0].set_title(title, loc="left")
    figure.align_ylabels()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
    return path
