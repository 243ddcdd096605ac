"""A grid of settings, each trained in a directory of its own."""

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exit.catalog import load_config, with_overrides
from exit.errors import UsageError
from exit.loop import ReportFn, train
from exit.rundir import holds_a_run, read_info, require_settings, settings_of


class Point(NamedTuple):
    """One run of a sweep; everything that another process must know to train it.

    Attributes:
      config_name: as `exit.catalog.load_config` takes it.
      overrides: settings and the seed.
      run_dir: where it trains.
    """

    config_name: str
    overrides: tuple[str, ...]
    run_dir: Path


def grid(config_name: str, assignments: Sequence[str], num_seeds: int | None, folder: Path) -> list[Point]:
    """All combinations of the values in assignments such as `network.width=32,64`, each with every seed.

    A value with commas of its own stands in brackets: `game.heaps=(3,4,5),(1,2)`. Directories are named
    for what varies.

    Args:
      num_seeds: seeds from 0; None keeps the configuration's.

    Raises:
      UsageError: no such configuration or setting, or a value that it refuses.
    """
    settings = [_alternatives(assignment) for assignment in assignments]
    names = [choices[0].partition("=")[0] for choices in settings]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is set twice; give all its values at once, as in {name}=A,B")
    if num_seeds is not None:
        if "seed" in names:
            raise UsageError("seeds are given twice; set seed or give their number, not both")
        settings.append([f"seed={seed}" for seed in range(num_seeds)])
    varied = [len(choices) > 1 for choices in settings]
    config, points = load_config(config_name), []
    for chosen in itertools.product(*settings):
        named = [text for text, varies in zip(chosen, varied, strict=True) if varies]
        name = re.sub(r"[^\w.=,()+-]+", "_", ",".join(named)) or "run"
        points.append(Point(config_name, chosen, folder / name))
    told = {json.dumps(settings_of(with_overrides(config, point.overrides))) for point in points}
    if len({point.run_dir for point in points}) < len(points) or len(told) < len(points):
        raise UsageError("a value is given twice; give each once")
    return points


def require_free(points: Sequence[Point]) -> None:
    """Raises UsageError where a directory holds a run of other settings, before anything is trained."""
    for point in points:
        if holds_a_run(point.run_dir):
            config = with_overrides(load_config(point.config_name), point.overrides)
            require_settings(point.run_dir, read_info(point.run_dir), config)


def train_point(point: Point, report_fn: ReportFn | None = None) -> None:
    """Train one run of a sweep, from the start or from where it stopped.

    Raises:
      UserError: as `exit.loop.train` does.
    """
    config: Any = with_overrides(load_config(point.config_name), point.overrides)
    train(
        config, point.run_dir, config_name=point.config_name, overrides=point.overrides, report_fn=report_fn
    )


def _alternatives(assignment: str) -> list[str]:
    """`a=1,2` as `a=1` and `a=2`."""
    name, equals, values = assignment.partition("=")
    if not equals:
        raise UsageError(f"{assignment!r} is no assignment; write a.b=value,value")
    # Commas within brackets belong to a value.
    parts = re.split(r",(?![^(\[]*[)\]])", values)
    return [f"{name.strip()}={part.strip()}" for part in parts]
