"""Learning curves of several runs."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from exit.plots.style import COLOURS, Panel, finish, time_unit
from exit.report import Group

_STROKES = ("-", "--", ":", "-.")


class _Figure(NamedTuple):
    """A figure of the reports: its name there, the factor it is shown with, and what it is."""

    name: str
    scale: float
    label: str


_REFLEX = _Figure("reflex_mistake_rate", 100.0, "mistakes of the reflex (% of critical)")
_SEARCH = _Figure("search_mistake_rate", 100.0, "mistakes of search (% of critical)")
_LOSS = _Figure("policy_loss", 1.0, "policy loss (nats)")
_SURPRISE = _Figure("value_surprise", 1.0, "value, network to search")
_OVERRIDDEN = _Figure("overridden", 100.0, "moves that search changed (%)")
_PROVEN = _Figure("proven", 100.0, "positions solved by search (%)")
_PICTURE = (_REFLEX, _SEARCH, _LOSS, _SURPRISE, _OVERRIDDEN, _PROVEN)
_CURVES = (
    _REFLEX,
    _SEARCH,
    _Figure("regret_at_0", 1.0, "mean regret of the reflex"),
    _Figure("amortized_depth", 1.0, "amortized depth (simulations)"),
    _LOSS,
    _Figure("value_loss", 1.0, "value loss"),
)
_DIAGNOSTICS = (
    _SURPRISE,
    _OVERRIDDEN,
    _PROVEN,
    _Figure("value_slope", 1.0, "slope of value targets over values"),
    _Figure("simulations", 1.0, "simulations a position"),
    _Figure("entropy", 1.0, "entropy of the reflex (nats)"),
    _Figure("top_weight", 1.0, "weight of search's best move"),
    _Figure("grad_norm", 1.0, "norm of the gradient"),
    _Figure("update_ratio", 100.0, "length of an update (% of the parameters')"),
    _Figure("target_age", 1.0, "age of the examples (iterations)"),
    _Figure("replay_proven", 100.0, "solved examples in the replay (%)"),
    _Figure("replay_distinct", 100.0, "positions for each example (%)"),
    _Figure("weights_age", 1.0, "age of the weights that played (iterations)"),
    _Figure("stale_residual", 1.0, "residual of what they played"),
)


def plot_report(groups: Sequence[Group], path: Path | str) -> Path:
    """Learning curves of several settings; a band from the least to the greatest of their seeds.

    Returns:
      The path written.
    """
    figure, grid = plt.subplots(2, 3, figsize=(14, 7.4), sharex=True, layout="constrained")
    axes = grid.ravel().tolist()
    for axis, shown in zip(axes, _PICTURE, strict=True):
        _draw(axis, groups, shown)
    for axis in axes[:3]:
        axis.set_xlabel("")
    # For the legend: a setting may have no curve in some of the axes.
    lines = [
        axes[0].plot([], [], color=colour, linestyle=stroke)[0]
        for colour, stroke in map(looks_of, range(len(groups)))
    ]
    labels = [group.label for group in groups]
    figure.legend(lines, labels, loc="outside lower center", ncols=2, frameon=False)
    return finish(figure, axes, "learning curves", Path(path))


def curve_panels(groups: Sequence[Group]) -> list[Panel]:
    """What was learnt over time; figures that no run reported are left out, names of the settings too."""
    return _panels(groups, _CURVES)


def diagnostic_panels(groups: Sequence[Group]) -> list[Panel]:
    """How learning went, in the same way."""
    return _panels(groups, _DIAGNOSTICS)


def looks_of(index: int) -> tuple[str, str]:
    """Colour and line style of a setting, by its place among them."""
    return COLOURS[index % len(COLOURS)], _STROKES[index // len(COLOURS) % len(_STROKES)]


def _panels(groups: Sequence[Group], figures: Sequence[_Figure]) -> list[Panel]:
    return [
        Panel(f"{shown.label} over training time", partial(_draw, groups=groups, shown=shown))
        for shown in figures
        if any(group.curve(shown.name) is not None for group in groups)
    ]


def _draw(axis: Axes, groups: Sequence[Group], shown: _Figure) -> None:
    unit, seconds = time_unit([row for group in groups for run in group.rows for row in run])
    for index, group in enumerate(groups):
        curve = group.curve(shown.name)
        if curve is None:
            continue
        (colour, stroke), times = looks_of(index), curve.seconds / seconds
        axis.plot(
            times,
            shown.scale * curve.mean,
            color=colour,
            linestyle=stroke,
            # A line of one point is none.
            marker="o" if len(times) == 1 else None,
            clip_on=False,
        )
        low, high = shown.scale * curve.low, shown.scale * curve.high
        axis.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.set_xlabel(f"training time ({unit})")
    axis.set_xlim(left=0)
    axis.set_ylabel(shown.label)
    axis.set_ylim(bottom=0)
