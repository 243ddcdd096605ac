"""Figures of a run on disk: one JSON line a report, and the same for TensorBoard.

`metrics.jsonl` belongs to the run, not to a process: a run that resumes at iteration i first drops the
lines after i, so that a continued run and an uninterrupted one leave the same iterations behind.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tensorboardX import SummaryWriter

from exit.errors import UserError

Metrics = Mapping[str, float | int | None]
"""Figures of one report by name, `iteration` among them; None where a figure does not exist for the game."""

_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class MetricsWriter:
    """Where a running run reports to; made by `open_metrics`, to be closed by `close`."""

    lines: TextIO
    tensorboard: SummaryWriter

    def write(self, metrics: Metrics) -> None:
        """Adds one report and hands it to the operating system, so that a killed process loses no other.

        A figure that is not finite is written as null, for which JSON has no word; TensorBoard gets none.

        Raises:
          UserError: the disk is full.
        """
        row = {name: _plain(value) for name, value in metrics.items()}
        try:
            self.lines.write(json.dumps(row, allow_nan=False) + "\n")
            self.lines.flush()
        except OSError as error:
            raise UserError(
                f"cannot write {self.lines.name} ({error.strerror}); free space, "
                "then run the same command again"
            ) from error
        for name, value in row.items():
            if value is not None and name != "iteration":
                self.tensorboard.add_scalar(name, float(value), int(row["iteration"] or 0))

    def close(self) -> None:
        """Writes out what is buffered; the writer is of no use afterwards."""
        self.lines.close()
        self.tensorboard.close()


def open_metrics(run_dir: Path | str, resume_iteration: int = 0) -> MetricsWriter:
    """A writer that continues the reports of a run after `resume_iteration`; 0 starts them anew."""
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / _FILE
    kept = [row for row in read_metrics(run_dir) if _iteration(row) <= resume_iteration]
    _replace(path, "".join(json.dumps(row) + "\n" for row in kept))
    tensorboard = SummaryWriter(str(run_dir / "tensorboard"), purge_step=resume_iteration + 1, flush_secs=10)
    return MetricsWriter(lines=path.open("a", encoding="utf-8"), tensorboard=tensorboard)


def read_metrics(run_dir: Path | str) -> list[dict[str, float | int | None]]:
    """The reports of a run, oldest first; none if it has not reported yet.

    A last line that was cut short, as a killed process leaves it, is left out.

    Raises:
      UserError: another line is damaged.
    """
    path = Path(run_dir) / _FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        row = _parsed(line)
        if row is not None:
            rows.append(row)
        elif number < len(lines):
            raise UserError(f"{path} is damaged in line {number}; delete that line and try again")
    return rows


def _parsed(line: str) -> dict[str, float | int | None] | None:
    """The report on a line; None if it is not a whole one."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "iteration" in row else None


def _iteration(row: Metrics) -> int:
    return int(row["iteration"] or 0)


def _plain(value: float | int | None) -> float | int | None:
    """The number, or None where JSON has no word for it."""
    return value if value is not None and math.isfinite(value) else None


def _replace(path: Path, text: str) -> None:
    """Writes a file so that a process killed meanwhile leaves the old or the new one."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
