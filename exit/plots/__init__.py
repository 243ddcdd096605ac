"""Pictures of figures. Each function writes one PNG."""

from exit.plots.bench import plot_bench
from exit.plots.coherence import plot_coherence
from exit.plots.compiling import plot_compiling
from exit.plots.frontier import plot_frontier
from exit.plots.probe import plot_boundary, plot_geometry
from exit.plots.report import plot_report
from exit.plots.training import plot_training

__all__ = [
    "plot_bench",
    "plot_boundary",
    "plot_coherence",
    "plot_compiling",
    "plot_frontier",
    "plot_geometry",
    "plot_report",
    "plot_training",
]
