"""The command line `xit`: one file a command, and the only place that prints."""

from exit.cli.app import main, run

__all__ = ["main", "run"]
