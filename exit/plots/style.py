"""How all pictures look: colours, axes that several share, and how a figure becomes a file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct to colour-blind readers and in grey.
BLACK, ORANGE, SKY, GREEN, BLUE, RED = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00"
COLOURS = (BLUE, RED, GREEN, ORANGE, SKY, BLACK)

Row = Mapping[str, Any]

Rows = Sequence[Row]
"""Reports as `exit.logs.read_metrics` returns them, or budgets as `xit bench --json` lists them."""


class Panel(NamedTuple):
    """What one pair of axes shows, beside others in a picture or alone on a page.

    Attributes:
      says: what is to be seen, in words.
      draw: draws it on axes that are empty.
    """

    says: str
    draw: Callable[[Axes], None]


def budget_axis(axis: Axes, budgets: Sequence[int]) -> None:
    """Makes the axis below one of budgets."""
    axis.set_xlabel("budget (simulations per move; 0 is the reflex)")
    # Budgets span decades and include 0, where a logarithm has no place.
    axis.set_xscale("symlog", linthresh=min(filter(None, budgets), default=1), linscale=0.5)
    axis.set_xticks(budgets, [str(budget) for budget in budgets])
    axis.minorticks_off()
    axis.set_ylim(bottom=0)


def interval_line(
    axis: Axes,
    rows: Rows,
    key: str,
    scale: float,
    label: str,
    colour: str,
    marker: str,
    along: str = "budget",
) -> None:
    """A figure of the rows with a band for its interval, against one of their columns."""
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


def time_unit(metrics: Rows) -> tuple[str, float]:
    """The unit in which the run's length reads well, and its seconds."""
    longest = max((row.get("seconds") or 0 for row in metrics), default=0)
    return ("s", 1.0) if longest < 180 else ("min", 60.0) if longest < 3 * 3600 else ("h", 3600.0)


def tidy(axis: Axes) -> None:
    """Gives axes their grid and legend."""
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)


def finish(figure: Figure, axes: Sequence[Axes], title: str, path: Path) -> Path:
    """Writes a figure with a grid, legends and a title above its first axes."""
    for axis in axes:
        tidy(axis)
    axes[0].set_title(title, loc="left")
    if figure.get_layout_engine() is None:
        figure.align_ylabels()
        figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
    return path
