"""Expert iteration held to exact values: search, distil, and measure against the truth."""

__version__ = "0.1.0"
