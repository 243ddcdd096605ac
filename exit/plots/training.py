"""Mistakes and losses of one run against training time."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from exit.plots.style import BLACK, BLUE, GREEN, ORANGE, RED, Rows, finish, time_unit


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
    unit, seconds = time_unit(metrics)
    for axis in upper:
        _line(axis, metrics, "reflex_mistake_rate", seconds, 100.0, "reflex (budget 0)", RED, "o")
        _line(axis, metrics, "search_mistake_rate", seconds, 100.0, "search", BLUE, "s")
        axis.set_ylabel("mistakes (% of critical positions)")
        axis.set_ylim(bottom=0)
    _line(losses, metrics, "policy_loss", seconds, 1.0, "policy loss (nats)", ORANGE, "^")
    _line(losses, metrics, "value_loss", seconds, 1.0, "value loss", GREEN, "v")
    _line(losses, metrics, "entropy", seconds, 1.0, "policy entropy (nats)", BLACK, "x")
    losses.set_ylabel("loss")
    losses.set_xlim(left=0)
    losses.set_xlabel(f"training time ({unit})")
    return finish(figure, axes[:, 0].tolist(), title, Path(path))


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
