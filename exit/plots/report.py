"""Learning curves of several runs."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from exit.plots.style import COLOURS, finish, time_unit
from exit.report import Group

_PANELS = (
    ("reflex_mistake_rate", 100.0, "mistakes of the reflex (% of critical)"),
    ("search_mistake_rate", 100.0, "mistakes of search (% of critical)"),
    ("policy_loss", 1.0, "policy loss (nats)"),
    ("value_surprise", 1.0, "value, network to search"),
    ("overridden", 100.0, "moves that search changed (%)"),
    ("proven", 100.0, "positions solved by search (%)"),
)


def plot_report(groups: Sequence[Group], path: Path | str) -> Path:
    """Learning curves of several settings; a band from the least to the greatest of their seeds.

    Returns:
      The path written.
    """
    figure, grid = plt.subplots(2, 3, figsize=(14, 7.4), sharex=True)
    axes = grid.ravel().tolist()
    unit, seconds = time_unit([row for group in groups for run in group.rows for row in run])
    for axis, (name, scale, label) in zip(axes, _PANELS, strict=True):
        for index, group in enumerate(groups):
            curve = group.curve(name)
            if curve is None:
                continue
            colour, times = COLOURS[index % len(COLOURS)], curve.seconds / seconds
            axis.plot(times, scale * curve.mean, color=colour, label=group.name, clip_on=False)
            axis.fill_between(
                times, scale * curve.low, scale * curve.high, color=colour, alpha=0.2, linewidth=0
            )
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    for axis in axes[3:]:
        axis.set_xlabel(f"training time ({unit})")
    return finish(figure, axes, "learning curves", Path(path))
