"""`xit probe`: what a network that sees raw histories keeps of them."""

from exit.probe.report import NUM_HISTORIES, Boundary, Geometry, Probed, probe

__all__ = ["NUM_HISTORIES", "Boundary", "Geometry", "Probed", "probe"]
