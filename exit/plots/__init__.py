"""Pictures of figures: a PNG each, or panel by panel as SVG."""

from exit.plots.bench import bench_panels, plot_bench
from exit.plots.coherence import coherence_panels, plot_coherence
from exit.plots.compiling import plot_compiling
from exit.plots.foresight import foresight_panels, plot_foresight
from exit.plots.frontier import frontier_panels, plot_frontier
from exit.plots.probe import plot_boundary, plot_geometry
from exit.plots.report import curve_panels, diagnostic_panels, looks_of, plot_report
from exit.plots.style import Panel
from exit.plots.training import plot_training
from exit.plots.vector import svg_of

__all__ = [
    "Panel",
    "bench_panels",
    "coherence_panels",
    "curve_panels",
    "diagnostic_panels",
    "foresight_panels",
    "frontier_panels",
    "looks_of",
    "plot_bench",
    "plot_boundary",
    "plot_coherence",
    "plot_compiling",
    "plot_foresight",
    "plot_frontier",
    "plot_geometry",
    "plot_report",
    "plot_training",
    "svg_of",
]
