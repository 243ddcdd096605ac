"""Where a cache disagrees with itself: by ply, by depth, and what that says of its mistakes."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from exit.plots.style import BLACK, BLUE, GREEN, ORANGE, RED, Panel, finish


def plot_coherence(figures: Mapping[str, Any], path: Path | str) -> Path:
    """Residuals and mistakes by ply, residuals by depth, and how well each measure detects mistakes.

    Args:
      figures: as `xit coherence --json` writes them.

    Returns:
      The path written.
    """
    figure, (plies, depths, areas) = plt.subplots(
        1, 3, figsize=(15, 5), layout="constrained", width_ratios=(1, 1, 1.4)
    )
    axes = [plies, depths, areas]
    for axis, panel in zip(axes, coherence_panels(figures), strict=True):
        panel.draw(axis)
    count = figures["positions"]["all"]["count"]
    title = f"{figures['game']}: coherence of the cache, {count:,} critical positions"
    return finish(figure, axes, title, Path(path))


def coherence_panels(figures: Mapping[str, Any]) -> list[Panel]:
    """The same, one by one."""
    return [
        Panel("Value residual and mistakes of the reflex by ply", partial(_plies, rows=figures["by_ply"])),
        Panel("Distances of value, backup and truth by depth", partial(_depths, figures=figures)),
        Panel("How well each measure tells mistakes", partial(_areas, detection=figures["detection"])),
    ]


def _depths(axis: Axes, figures: Mapping[str, Any]) -> None:
    rows = figures["depths"]
    places = [row["depth"] for row in rows]
    for name, label, colour, marker in (
        ("mean_abs_value_residual", "value, from its backup", BLUE, "o"),
        ("value_mae", "value, from the truth", RED, "s"),
        ("backup_mae", "backup, from the truth", GREEN, "^"),
    ):
        axis.plot(places, [row[name] for row in rows], color=colour, marker=marker, label=label)
    control = [row["mean_abs_value_residual"] for row in figures["control"]["depths"]]
    axis.plot(places, control, color=BLACK, linestyle=":", marker="x", label="a value of 0, from its backup")
    axis.set_xlabel("depth of the look ahead (moves)")
    axis.set_xticks(places)
    axis.set_ylabel("mean distance (reward units)")
    axis.set_ylim(bottom=0)


def _plies(axis: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    places = [row["ply"] for row in rows]
    residual, mistakes = ([row[name] for row in rows] for name in ("mean_abs_value_residual", "mistake_rate"))
    axis.plot(places, residual, color=BLUE, marker="o", label="value residual, depth 1 (reward units)")
    axis.plot(places, mistakes, color=RED, marker="s", label="mistakes of the reflex (share)")
    axis.set_xlabel("ply")
    axis.set_ylim(bottom=0)


def _areas(axis: Axes, detection: Mapping[str, Any]) -> None:
    """Bars of the area under the curve, states of all kinds beside the agent's own."""
    names = [row["measure"] for row in detection["all"]["measures"]]
    for index, (kind, colour) in enumerate((("all", BLUE), ("own", ORANGE))):
        rows = {row["measure"]: row for row in detection.get(kind, {"measures": []})["measures"]}
        places = [place + 0.4 * index for place, name in enumerate(names) if name in rows]
        found = [rows[name]["auc"] for name in names if name in rows]
        spans = [rows[name]["ci95"]["auc"] for name in names if name in rows]
        off = [
            [max(0.0, value - low) for value, (low, _) in zip(found, spans, strict=True)],
            [max(0.0, high - value) for value, (_, high) in zip(found, spans, strict=True)],
        ]
        label = {"all": "all states", "own": "the agent's own"}[kind]
        if found:
            axis.barh(places, found, 0.38, xerr=off, color=colour, label=label, error_kw={"linewidth": 0.8})
    axis.set_yticks([place + 0.2 for place in range(len(names))], names, fontsize=8)
    axis.invert_yaxis()
    axis.axvline(0.5, color=BLACK, linewidth=0.8, linestyle=":")
    axis.set_xlim(0, 1)
    axis.set_xlabel("mistakes of the reflex detected (area under the curve)")
