"""Pictures of figures: training against time, and play against budget. Each function writes one PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from exit.report import Group

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
    """The bench card's picture: regret and mistakes against budget and ply, calibration, overrides.

    Args:
      bench: as `xit bench --json` writes it.

    Returns:
      The path written.
    """
    rows = sorted(bench["budgets"], key=lambda row: row["budget"])
    figure, axes = plt.subplots(2, 3, figsize=(14, 7.4))
    (regret, mistakes, plies), (value, policy, overrides) = axes
    _interval_line(regret, rows, "mean_regret", 1.0, "all positions", _BLUE, "o")
    regret.set_ylabel("mean regret (reward units)")
    _interval_line(mistakes, rows, "mistake_rate", 100.0, "all positions", _BLUE, "o")
    _interval_line(mistakes, rows, "critical_mistake_rate", 100.0, "critical positions", _RED, "s")
    mistakes.set_ylabel("mistakes (%)")
    for axis in (regret, mistakes):
        _budget_axis(axis, [row["budget"] for row in rows])
    ends = rows[:1] if len(rows) == 1 else [rows[0], rows[-1]]
    for row, colour, marker in zip(ends, (_RED, _BLUE), "os", strict=False):
        label = f"budget {row['budget']}"
        _by_ply(plies, row, label, colour, marker)
        _reliability(value, row["calibration"]["value"], label, colour, marker)
        _reliability(policy, row["calibration"]["policy"], label, colour, marker)
    plies.set_xlabel("ply")
    plies.set_ylabel("mistakes (% of critical positions)")
    plies.set_ylim(bottom=0)
    value.set_xlabel("value the agent gives the position")
    value.set_ylabel("exact value, mean")
    policy.set_xlabel("weight of the move played (critical positions)")
    policy.set_ylabel("share of best moves")
    _overrides(overrides, bench["overrides"])
    return _finish(figure, axes.ravel().tolist(), title, Path(path))


_PANELS = (
    ("reflex_mistake_rate", 100.0, "mistakes of the reflex (% of critical)"),
    ("search_mistake_rate", 100.0, "mistakes of search (% of critical)"),
    ("policy_loss", 1.0, "policy loss (nats)"),
    ("value_surprise", 1.0, "value, network to search"),
    ("overridden", 100.0, "moves that search changed (%)"),
    ("proven", 100.0, "positions solved by search (%)"),
)
_COLOURS = (_BLUE, _RED, _GREEN, _ORANGE, _SKY, _BLACK)


def plot_report(groups: Sequence[Group], path: Path | str) -> Path:
    """Learning curves of several settings; a band from the least to the greatest of their seeds.

    Returns:
      The path written.
    """
    figure, grid = plt.subplots(2, 3, figsize=(14, 7.4), sharex=True)
    axes = grid.ravel().tolist()
    unit, seconds = _time_unit([row for group in groups for run in group.rows for row in run])
    for axis, (name, scale, label) in zip(axes, _PANELS, strict=True):
        for index, group in enumerate(groups):
            curve = group.curve(name)
            if curve is None:
                continue
            colour, times = _COLOURS[index % len(_COLOURS)], curve.seconds / seconds
            axis.plot(times, scale * curve.mean, color=colour, label=group.name, clip_on=False)
            axis.fill_between(
                times, scale * curve.low, scale * curve.high, color=colour, alpha=0.2, linewidth=0
            )
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    for axis in axes[3:]:
        axis.set_xlabel(f"training time ({unit})")
    return _finish(figure, axes, "learning curves", Path(path))


def _budget_axis(axis: Axes, budgets: Sequence[int]) -> None:
    axis.set_xlabel("budget (simulations per move; 0 is the reflex)")
    # Budgets span decades and include 0, where a logarithm has no place.
    axis.set_xscale("symlog", linthresh=min(filter(None, budgets), default=1), linscale=0.5)
    axis.set_xticks(budgets, [str(budget) for budget in budgets])
    axis.minorticks_off()
    axis.set_ylim(bottom=0)


def _by_ply(axis: Axes, row: Mapping[str, Any], label: str, colour: str, marker: str) -> None:
    plies = [each for each in row.get("by_ply") or () if each["critical"]]
    _interval_line(axis, plies, "critical_mistake_rate", 100.0, label, colour, marker, along="ply")


def _reliability(axis: Axes, bins: Rows, label: str, colour: str, marker: str) -> None:
    """Truth against claim; the larger a marker, the more positions are behind it."""
    if not bins:
        return
    counts = [row["count"] for row in bins]
    ends = [bins[0]["from"], bins[-1]["to"]]
    axis.plot(ends, ends, color=_BLACK, linewidth=0.8, linestyle=":")
    claimed, true = ([row[name] for row in bins] for name in ("claimed", "true"))
    axis.plot(claimed, true, color=colour, linewidth=1)
    sizes = [8 + 80 * (count / max(counts)) ** 0.5 for count in counts]
    axis.scatter(claimed, true, s=sizes, color=colour, marker=marker, label=label, alpha=0.8)


def _overrides(axis: Axes, report: Mapping[str, Any] | None) -> None:
    """What changing the move did to the regret, stretch by stretch of one search."""
    axis.set_xlabel("simulation at which search changed the move")
    axis.set_ylabel("change of mean regret")
    axis.axhline(0, color=_BLACK, linewidth=0.8)
    rows = report["simulations"] if report else []
    places = range(len(rows))
    axis.bar(places, [-row["regret_removed"] for row in rows], color=_GREEN, label="helped")
    axis.bar(places, [row["regret_added"] for row in rows], color=_ORANGE, label="hurt")
    axis.set_xticks(places, [f"\u2264{row['to']}" for row in rows])


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
    axis: Axes,
    rows: Rows,
    key: str,
    scale: float,
    label: str,
    colour: str,
    marker: str,
    along: str = "budget",
) -> None:
    rows = [row for row in rows if row.get(key) is not None]
    if not rows:
        return
    places = [row[along] for row in rows]
    axis.plot(
        places, [scale * row[key] for row in rows], color=colour, marker=marker, label=label, clip_on=False
    )
    intervals = [row.get("ci95", {}).get(key) or (row[key], row[key]) for row in rows]
    low, high = ([scale * interval[side] for interval in intervals] for side in (0, 1))
    axis.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)


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
