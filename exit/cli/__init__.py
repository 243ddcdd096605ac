"""The command line `xit`: one file a command, and the only place that prints."""

import os

# XLA writes lines of its own about programs taken from the disk; what matters it raises.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from exit.cli.app import main, run

__all__ = ["main", "run"]
