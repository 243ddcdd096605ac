"""Runs side by side: what their reports say, seeds of one setting together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from exit.errors import UsageError
from exit.logs import read_metrics
from exit.rundir import read_info

Row = Mapping[str, float | int | None]


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone.

    Attributes:
      name: the configuration and its settings, without the seed.
      label: the same without the settings that all groups have.
      run_dirs: one for each seed.
      rows: reports of each run, oldest first.
    """

    name: str
    label: str
    run_dirs: tuple[Path, ...]
    rows: tuple[tuple[Row, ...], ...]

    def curve(self, figure: str) -> "Curve | None":
        """A figure over the reports that all runs have; None where it was never measured."""
        by_iteration = [
            {row["iteration"]: row for row in run if row.get(figure) is not None} for run in self.rows
        ]
        shared = sorted(set.intersection(*(set(run) for run in by_iteration)), key=lambda i: i or 0)
        if not shared:
            return None

        def column(name: str) -> Float[np.ndarray, "seeds n"]:
            return np.array([[float(run[i][name] or 0.0) for i in shared] for run in by_iteration])

        values = column(figure)
        return Curve(
            np.array(shared, float), column("seconds").mean(0), values.mean(0), values.min(0), values.max(0)
        )

    def last(self) -> list[dict[str, Any]]:
        """The figures in each run's last report that exist."""
        # Not an earlier report's where the last has none: an amortized depth is that of its own report.
        return [{name: value for name, value in run[-1].items() if value is not None} for run in self.rows]


@dataclass(frozen=True)
class Curve:
    """A figure over training, over the seeds of a group.

    Attributes:
      iteration: of each report.
      seconds: of training until then, mean over the seeds.
      mean: of the figure.
      low: its least.
      high: its greatest.
    """

    iteration: Float[np.ndarray, " n"]
    seconds: Float[np.ndarray, " n"]
    mean: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]


def groups_of(run_dirs: Sequence[Path]) -> list[Group]:
    """The runs of directories, seeds of one setting and commit together, in the order given, each once.

    Raises:
      UsageError: a directory holds no run, or one that has not reported yet; or two hold runs of the same
        settings, seed and commit, which would look like two seeds that agree.
      UserError: reports are damaged.
    """
    members: dict[tuple[str, ...], list[tuple[Path, tuple[Row, ...]]]] = {}
    same: dict[tuple[str | None, ...], Path] = {}
    given: dict[Path, Path] = {}
    for path in run_dirs:
        given.setdefault(path.resolve(), path)
    infos = {run_dir: read_info(run_dir) for run_dir in given.values()}
    several = len({info.commit for info in infos.values()}) > 1
    for run_dir, info in infos.items():
        rows = tuple(read_metrics(run_dir))
        if not rows:
            raise UsageError(f"the run in {run_dir} has not reported yet; wait for its first report")
        settings = [setting for setting in info.overrides if setting.partition("=")[0].strip() != "seed"]
        told = (info.config_name, json.dumps(info.settings, sort_keys=True), info.commit)
        if (other := same.setdefault(told, run_dir)) != run_dir:
            raise UsageError(
                f"{other} and {run_dir} are runs of the same settings, seed and commit; give one of them"
            )
        if several:
            settings.append(f"commit={info.commit}")
        members.setdefault((info.config_name, *settings), []).append((run_dir, rows))
    shared = set.intersection(*map(set, members)) if len(members) > 1 else set()
    groups = []
    for words, runs in members.items():
        label = " ".join([words[0], *(word for word in words[1:] if word not in shared)])
        run_dirs, rows = zip(*runs, strict=True)
        groups.append(Group(" ".join(words), label, run_dirs, rows))
    return groups
