"""How far older weights disagree with newer ones: games of one run, played by weights of forced ages."""

from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np

from exit.fleet.batch import Weights
from exit.fleet.player import Player, host_copy
from exit.fleet.training import disagreement_of
from exit.iteration import RunConfig, init_run, iterate

AGES = (0, 1, 2, 4, 8, 16, 32)


def measure(config: RunConfig, *, newest: tuple[int, ...], batches: int) -> list[dict[str, Any]]:
    """Drift and residual by age, at several iterations of one run.

    Args:
      newest: iterations whose weights learn; each above the greatest age.
      batches: of games that each age plays for each of them.
    """
    state, kept = jax.jit(init_run, static_argnames="config")(config), {}
    for iteration in range(max(newest) + 1):
        if any(iteration == last - age for last in newest for age in AGES):
            kept[iteration] = host_copy(state.learner.averaged_params)
        state, _, _ = iterate(state, config=config)
    player, rows = Player(0, config), []
    for last in newest:
        for age in AGES:
            played = [player.play(Weights(last - age, kept[last - age])) for _ in range(batches)]
            found = [disagreement_of(batch, kept[last], config=config) for batch in played]
            drift, residual = np.array(found).T
            rows.append(
                {
                    "iteration": last,
                    "age": age,
                    "drift": float(drift.mean()),
                    "residual": float(residual.mean()),
                    "residual_spread": float(residual.std(ddof=1) / np.sqrt(batches)),
                }
            )
    return rows


def draw(rows: list[dict[str, Any]], path: Path, *, title: str) -> None:
    """Residual against age, a line for each iteration."""
    figure, axis = plt.subplots(figsize=(7, 4))
    for iteration, marker in zip(sorted({row["iteration"] for row in rows}), "osv^", strict=False):
        some = [row for row in rows if row["iteration"] == iteration]
        ages = [row["age"] for row in some]
        spread = [2 * row["residual_spread"] for row in some]
        axis.errorbar(
            ages,
            [row["residual"] for row in some],
            spread,
            marker=marker,
            capsize=3,
            label=f"after {iteration} iterations",
        )
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    axis.set_xticks(AGES, [str(age) for age in AGES])
    axis.minorticks_off()
    axis.set_ylim(bottom=0)
    axis.set_xlabel("age of the weights that played (iterations)")
    axis.set_ylabel("residual of their values (reward units)")
    axis.set_title(title, loc="left")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def markdown(rows: list[dict[str, Any]]) -> str:
    """A table of the residual by age, a column for each iteration."""
    iterations = sorted({row["iteration"] for row in rows})
    head = " | ".join(f"after {iteration} iterations" for iteration in iterations)
    lines = [f"| age | {head} |", "|---" * (len(iterations) + 1) + "|"]
    for age in AGES:
        found = [row for row in rows if row["age"] == age]
        cells = (f"{row['residual']:.4f} (drift {row['drift']:.4f})" for row in found)
        lines.append(f"| {age} | {' | '.join(cells)} |")
    return "\n".join(lines)
