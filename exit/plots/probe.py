"""Pictures of what a network keeps of histories, and of the rule that it has become."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes

from exit.plots.style import finish

if TYPE_CHECKING:
    # Probing fits with scikit-learn, seconds of importing for whoever draws another picture.
    from exit.probe import Boundary, Geometry


def plot_geometry(geometry: "Geometry", path: Path | str) -> Path:
    """Activations on the plane in which they differ most, coloured by what the histories say.

    Returns:
      The path of the picture.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    points = None
    for axis, plane, title in zip(
        axes, (geometry.trained, geometry.control), ("trained", "untrained"), strict=True
    ):
        points = axis.scatter(*plane.T, c=geometry.colour, s=5, cmap="viridis", linewidths=0)
        axis.set_xlabel(f"{title}, first principal component")
        axis.set_ylabel("second")
    if points is not None:
        figure.colorbar(points, ax=axes, label=geometry.colour_name)
    return finish(figure, list(axes), f"what the layer '{geometry.layer}' makes of histories", Path(path))


def plot_boundary(boundary: "Boundary", path: Path | str) -> Path:
    """The network's action by two counts, beside the exact one.

    Returns:
      The path of the picture.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharex=True, sharey=True)
    for axis, actions, title in zip(
        axes, (boundary.played, boundary.optimal), ("network", "exact"), strict=True
    ):
        _draw_actions(axis, boundary, actions)
        axis.set_xlabel(f"{boundary.names[0]} ({title})")
    axes[0].set_ylabel(boundary.names[1])
    same = float(np.mean(boundary.played == boundary.optimal))
    title = f"the decision rule over {' and '.join(boundary.names)}: {100 * same:.1f} % alike"
    return finish(figure, list(axes), title, Path(path))


def _draw_actions(axis: Axes, boundary: "Boundary", actions: Int[np.ndarray, " m"]) -> None:
    for action, name in enumerate(boundary.actions):
        here = actions == action
        axis.scatter(*boundary.counts[here].T, s=12, marker="s", linewidths=0, label=name)
