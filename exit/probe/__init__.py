"""`xit probe`: what a network that sees raw histories keeps of them."""

from exit.probe.report import NUM_HISTORIES, Boundary, Geometry, Probed, probe
from exit.probe.told import playing_at, require_statistic

__all__ = [
    "NUM_HISTORIES",
    "Boundary",
    "Geometry",
    "Probed",
    "playing_at",
    "probe",
    "require_statistic",
]
