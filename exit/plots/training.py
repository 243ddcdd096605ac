"""Mistakes, regret, what was amortized, and losses of one run against training time."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from exit.plots.style import BLACK, BLUE, GREEN, ORANGE, RED, SKY, Rows, finish, time_unit


def plot_training(metrics: Rows, path: Path | str, *, title: str) -> Path:
    """Losses against training time; above them, where the game has exact values, what moves give away.

    That is mistakes, mean regret of the reflex and of search at up to three budgets, and the amortized depth;
    for a run on a fleet, how far what older weights said disagrees with the present ones.

    Returns:
      The path written.
    """
    unit, seconds = time_unit(metrics)
    upper = {name: draw for name, draw in _UPPER.items() if any(row.get(name) is not None for row in metrics)}
    num_panels = len(upper) + 1
    figure, axes = plt.subplots(
        num_panels, 1, sharex=True, figsize=(7, 1.2 + 2.4 * num_panels), squeeze=False
    )
    for axis, draw in zip(axes[:, 0], upper.values(), strict=False):
        draw(axis, metrics, seconds)
        axis.set_ylim(bottom=0)
    losses = axes[-1, 0]
    _line(losses, metrics, "policy_loss", seconds, 1.0, "policy loss (nats)", ORANGE, "^")
    _line(losses, metrics, "value_loss", seconds, 1.0, "value loss", GREEN, "v")
    _line(losses, metrics, "entropy", seconds, 1.0, "policy entropy (nats)", BLACK, "x")
    losses.set_ylabel("loss")
    losses.set_xlim(left=0)
    losses.set_xlabel(f"training time ({unit})")
    return finish(figure, axes[:, 0].tolist(), title, Path(path))


def _draw_mistakes(axis: Axes, metrics: Rows, seconds: float) -> None:
    _line(axis, metrics, "reflex_mistake_rate", seconds, 100.0, "reflex (budget 0)", RED, "o")
    _line(axis, metrics, "search_mistake_rate", seconds, 100.0, "search", BLUE, "s")
    axis.set_ylabel("mistakes (% of critical)")


def _draw_regrets(axis: Axes, metrics: Rows, seconds: float) -> None:
    """The reflex and search at three budgets, spread over those that were looked at."""
    named = {key for row in metrics for key in row if key.startswith(_REGRET)}
    looks = sorted(int(key.removeprefix(_REGRET)) for key in named)
    spread = sorted({looks[round(share * (len(looks) - 1))] for share in (0, 1 / 3, 2 / 3, 1)})
    for look, colour, marker in zip(spread, (RED, SKY, GREEN, BLUE), "ov^s", strict=False):
        label = f"{look} simulations" if look else "reflex (budget 0)"
        _line(axis, metrics, f"{_REGRET}{look}", seconds, 1.0, label, colour, marker)
    axis.set_ylabel("mean regret (exact play: 0)")


def _draw_depth(axis: Axes, metrics: Rows, seconds: float) -> None:
    label = "earlier search that the reflex equals"
    _line(axis, metrics, "amortized_depth", seconds, 1.0, label, BLACK, "o")
    axis.set_ylabel("amortized depth (simulations)")


def _draw_staleness(axis: Axes, metrics: Rows, seconds: float) -> None:
    """The residual of all batches, and of up to three ages of the weights that played them."""
    named = {key for row in metrics for key in row if key.startswith(_STALE)}
    ages = sorted(int(key.removeprefix(_STALE)) for key in named)
    _line(axis, metrics, "stale_residual", seconds, 1.0, "any age of weights", BLACK, "o")
    for age, colour, marker in zip(ages[-3:], (SKY, GREEN, RED), "^sv", strict=False):
        label = f"age {age} to {2 * age - 1}" if age > 1 else f"age {age}"
        _line(axis, metrics, f"{_STALE}{age}", seconds, 1.0, label, colour, marker)
    axis.set_ylabel("residual of what is played")


_REGRET = "regret_at_"
_STALE = "stale_residual_at_age_"
_UPPER = {
    "reflex_mistake_rate": _draw_mistakes,
    f"{_REGRET}0": _draw_regrets,
    "amortized_depth": _draw_depth,
    "stale_residual": _draw_staleness,
}


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
