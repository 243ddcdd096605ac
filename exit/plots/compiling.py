"""What programs of each size give away: trees, the agent's network, the table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from exit.plots.style import BLUE, GREEN, RED, finish


def plot_compiling(figures: Mapping[str, Any], path: Path | str) -> Path:
    """Exploitability and mean regret over all states, against the size of the program.

    Args:
      figures: as `xit compile --frontier --json` writes them.

    Returns:
      The path written.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    lost, regret = axes
    alone = figures["network"]["return"] is not None
    name = "value lost by its own play" if alone else "exploitability"
    _draw(lost, figures, "exploitability", f"{name} (reward units)")
    _draw(regret, figures, "mean_regret", "mean regret over all states (reward units)")
    title = f"{figures['game']}: what a program of each size gives away"
    return finish(figure, list(axes), title, Path(path))


def _draw(axis: Axes, figures: Mapping[str, Any], key: str, label: str) -> None:
    trees, network, table = figures["trees"], figures["network"], figures["table"]
    axis.plot(
        [row["nodes"] for row in trees],
        [row[key] for row in trees],
        color=BLUE,
        marker="o",
        label="tree (nodes)",
        clip_on=False,
    )
    agent = "network (parameters)" if not figures["agent_budget"] else "the agent (parameters)"
    axis.plot([network["parameters"]], [network[key]], "D", color=RED, label=agent, clip_on=False)
    axis.plot([table["states"]], [table[key]], "s", color=GREEN, label="table (states)", clip_on=False)
    positive = [row[key] for row in (*trees, network) if row[key] > 0]
    axis.set_xscale("log")
    # Programs that give nothing away have their place as well.
    axis.set_yscale("symlog", linthresh=min(positive, default=1e-3), linscale=0.4)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("size of the program")
    axis.set_ylabel(label)
