"""Reliability diagrams: what was foreseen of searches, and what came of them."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from exit.plots.style import BLACK, BLUE, ORANGE, Panel, finish


def plot_foresight(figures: Mapping[str, Any], path: Path | str) -> Path:
    """Each thing that is foreseen: the mean of what was found over that of what was foreseen, bin by bin.

    Args:
      figures: as `xit foresee --json` writes them.

    Returns:
      The path written.
    """
    panels = foresight_panels(figures)
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 5), layout="constrained")
    for axis, panel in zip(axes, panels, strict=True):
        panel.draw(axis)
        axis.set_xlabel(f"{panel.says}, foreseen")
    count = figures["positions"]["all"]["count"]
    title = (
        f"{figures['game']}: what search finds, foreseen at {count:,} positions; shares of the value's range"
    )
    return finish(figure, list(axes), title, Path(path))


def foresight_panels(figures: Mapping[str, Any]) -> list[Panel]:
    """The same, one by one."""
    gains = [(f"gain_{budget}", f"Gain of {budget} simulations") for budget in figures["budgets"]]
    return [
        Panel(says, partial(_reliability, calibration=figures["calibration"], name=name))
        for name, says in (("value_error", "Error of the value"), *gains)
    ]


def _reliability(axis: Axes, calibration: Mapping[str, Any], name: str) -> None:
    most = 0.0
    for kind, colour, marker in (("all", BLUE, "o"), ("own", ORANGE, "s")):
        rows = calibration[kind][name]["bins"]
        foreseen, found = ([row[column] for row in rows] for column in ("predicted", "found"))
        off = [
            [max(0.0, row["found"] - row["ci95"]["found"][0]) for row in rows],
            [max(0.0, row["ci95"]["found"][1] - row["found"]) for row in rows],
        ]
        label = f"{kind} states, error {calibration[kind][name]['error']:.4f}"
        axis.errorbar(foreseen, found, yerr=off, color=colour, marker=marker, capsize=2, label=label)
        most = max(most, *foreseen, *found)
    axis.plot([0, most], [0, most], color=BLACK, linestyle=":", label="as foreseen")
    axis.set_xlabel("foreseen, share of the value's range")
    axis.set_ylabel("found, by exact values")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
