"""What thinking buys: regret against budget, operations and time, and against what training cost."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from exit.plots.style import BLACK, COLOURS, Panel, Row, Rows, finish, interval_line

_MARKERS = "osD^vP*X"


def plot_frontier(figures: Mapping[str, Any], path: Path | str) -> Path:
    """Regret and mistakes against budget, regret against operations and milliseconds; lines of equal regret.

    Args:
      figures: as `xit frontier --json` writes them.

    Returns:
      The path written.
    """
    figure, grid = plt.subplots(2, 3, figsize=(14, 7.4), layout="constrained")
    axes = grid.ravel().tolist()
    for axis, panel in zip(axes, frontier_panels(figures), strict=True):
        panel.draw(axis)
    title = f"{figures['game']}: what thinking buys, {figures['positions']['count']:,} critical positions"
    return finish(figure, axes, title, Path(path))


def frontier_panels(figures: Mapping[str, Any]) -> list[Panel]:
    """The same, one by one; the first has the legend for all, the last is empty for a single agent."""
    agents = figures["agents"]
    costs: tuple[tuple[str, Callable[[Row], float | None], str, float], ...] = (
        ("operations", lambda row: row["flops"], "million floating-point operations a position", 1e-6),
        ("time in batches", lambda row: row["ms_per_state"], "milliseconds a position, in batches", 1.0),
        (
            "time of a single call",
            lambda row: row["latency_ms"]["median"] if "latency_ms" in row else None,
            "milliseconds of a single call, median",
            1.0,
        ),
    )
    return [
        Panel("Mean regret against budget", partial(_against_budget, agents=agents)),
        Panel("Mistakes against budget", partial(_mistakes, agents=agents)),
        *(
            Panel(
                f"Mean regret against {name}",
                partial(_against, agents=agents, cost_fn=cost, label=label, scale=scale),
            )
            for name, cost, label, scale in costs
        ),
        Panel("Lines of equal regret over training and thinking", partial(_exchange, agents=agents)),
    ]


def _against_budget(axis: Axes, agents: Rows) -> None:
    for index, agent in enumerate(agents):
        colour, marker = _looks(index, len(agents))
        interval_line(axis, agent["budgets"], "mean_regret", 1.0, _label(agent, agents), colour, marker)
    axis.set_ylabel("mean regret (reward units)")
    _budgets(axis, [row["budget"] for row in agents[0]["budgets"]])


def _mistakes(axis: Axes, agents: Rows) -> None:
    for index, agent in enumerate(agents):
        # Labels that begin so are left out of the legend.
        interval_line(axis, agent["budgets"], "mistake_rate", 100.0, "_", *_looks(index, len(agents)))
    axis.set_ylabel("mistakes (% of critical positions)")
    _budgets(axis, [row["budget"] for row in agents[0]["budgets"]])


def _against(
    axis: Axes, agents: Rows, cost_fn: Callable[[Row], float | None], label: str, scale: float
) -> None:
    """Regret against what a position costs."""
    for index, agent in enumerate(agents):
        colour, marker = _looks(index, len(agents))
        points = [
            (scale * cost, row["mean_regret"])
            for row in agent["budgets"]
            if (cost := cost_fn(row)) is not None
        ]
        if points:
            axis.plot(*zip(*points, strict=True), color=colour, marker=marker, clip_on=False)
    axis.set_xscale("log")
    # Costs may span less than a decade, which would have no mark of its own.
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda cost, place: f"{cost:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(label)
    axis.set_ylabel("mean regret (reward units)")
    axis.set_ylim(bottom=0)


def _looks(index: int, num_agents: int) -> tuple[str, str]:
    """Colour and marker of an agent."""
    return _colour(index, num_agents), _MARKERS[index % len(_MARKERS)]


def _colour(index: int, num_agents: int) -> str:
    """Of distinct colours as long as there are enough; of a scale for more agents than that."""
    if num_agents <= len(COLOURS):
        return COLOURS[index]
    return to_hex(colormaps["viridis"](0.95 * index / (num_agents - 1)))


def _label(agent: Mapping[str, Any], agents: Rows) -> str:
    """What tells an agent from the others: its run, its iteration or both."""
    parts = []
    if len({each["run"] for each in agents}) > 1:
        parts.append(Path(agent["run"]).name)
    if len({each["iteration"] for each in agents}) > 1 or not parts:
        parts.append(f"{agent['iteration']} iteration{'s' * (agent['iteration'] != 1)}")
    return ", ".join(parts)


def _budgets(axis: Axes, budgets: Sequence[int]) -> None:
    axis.set_xlabel("budget (simulations per move; 0 is the reflex)")
    axis.set_xscale("symlog", base=2, linthresh=min(filter(None, budgets), default=1), linscale=0.5)
    shown = budgets if len(budgets) < 8 else [*budgets[:1], *budgets[1::2]]
    axis.set_xticks(shown, [str(budget) for budget in shown])
    axis.minorticks_off()
    axis.set_ylim(bottom=0)


def _exchange(axis: Axes, agents: Rows) -> None:
    """Lines of equal regret over what training and what a position cost."""
    axis.set_xlabel("training (floating-point operations)")
    axis.set_ylabel("a position (floating-point operations)")
    trained = [
        (agent["training"]["flops"], row["flops"], row["mean_regret"])
        for agent in agents
        if agent["training"]
        for row in agent["budgets"]
    ]
    if len({train for train, _, _ in trained}) < 2:
        axis.set_axis_off()
        axis.text(0.5, 0.5, "one agent: no training axis", ha="center", transform=axis.transAxes)
        return
    train, test, regret = map(list, zip(*trained, strict=True))
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.yaxis.set_minor_formatter(NullFormatter())
    dots = axis.scatter(train, test, c=regret, s=14, cmap="cividis_r")
    axis.figure.colorbar(dots, ax=axis, label="mean regret")
    for level in _levels(regret):
        points = [
            point for agent in agents if agent["training"] and (point := _crossing(agent, level)) is not None
        ]
        if len(points) > 1:
            axis.plot(*zip(*sorted(points), strict=True), color=BLACK, linewidth=0.9)
            axis.annotate(f"{level:.2g}", min(points), fontsize=7, ha="right")


def _levels(regret: Sequence[float]) -> list[float]:
    """Regrets of which a line is drawn: four steps of equal ratio between the greatest and the least."""
    positive = [each for each in regret if each > 0]
    if not positive:
        return []
    high, low = max(positive), min(positive)
    return [high * (low / high) ** (share / 5) for share in range(1, 5)]


def _crossing(agent: Mapping[str, Any], level: float) -> tuple[float, float] | None:
    """Training and least compute of a position with which an agent comes to a regret; None if it does not."""
    rows = agent["budgets"]
    for before, after in itertools.pairwise(rows):
        if before["mean_regret"] > level >= after["mean_regret"]:
            share = (before["mean_regret"] - level) / (before["mean_regret"] - after["mean_regret"])
            return agent["training"]["flops"], before["flops"] * (after["flops"] / before["flops"]) ** share
    return None
