"""`xit sweep`: a grid of settings, one after another or side by side on a fleet."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.fleet import FleetOptions, fleet_options, max_age_option
from exit.cli.options import Invocation, config_argument, debug_option, json_option, manual
from exit.cli.report import STANDING, cells
from exit.errors import UserError

if TYPE_CHECKING:
    from exit.sweep import Point


@click.command(
    epilog=manual(
        "xit sweep tic_tac_toe --set network.width=32,64 --seeds 3 --fleet auto",
        reads="CONFIG, and the runs below DIR that are there already",
        writes="a run directory below DIR for each combination, the last figures to --json",
    )
)
@config_argument
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE,...",
    help="Values of a setting to try, for example network.width=32,64. May be repeated.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train each with seeds 0 to N-1. Default: the seed of CONFIG alone.",
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory of the runs. Default: runs/CONFIG-sweep.",
)
@max_age_option
@fleet_options
@json_option
@debug_option
@click.pass_obj
def sweep(
    invocation: Invocation,
    config_name: str,
    assignments: tuple[str, ...],
    seeds: int | None,
    run_dir: Path | None,
    fleet: FleetOptions,
    json_path: Path | None,
) -> None:
    """Train CONFIG with every combination of the values, each in a directory below DIR.

    The same command goes on where it stopped: runs that are complete are not trained again.
    """
    from exit.sweep import grid, require_free

    fleet.check()
    folder = run_dir or Path("runs") / f"{Path(config_name).stem}-sweep"
    if config_name.endswith(".py"):
        config_name = str(Path(config_name).resolve())
    points = grid(config_name, assignments, seeds, folder.absolute())
    require_free(points)
    console.prepare_json(json_path)
    console.say(f"training {console.counted(len(points), 'run')} of {config_name} in {folder}")
    invocation.when_interrupted = lambda: (
        "interrupted; the same command goes on with the runs that are not complete"
    )
    failures: dict[int, UserError] = {}
    with console.Progress("sweep") as progress:
        ended: set[int] = set()

        def say() -> None:
            progress.update(*_standing(points, ended))

        say()
        for index, error in _trained(points, fleet, say):
            if error is not None:
                failures[index] = error
                console.warn(f"{points[index].run_dir.name}: {error}")
            ended.add(index)
            say()
    _show([point for index, point in enumerate(points) if index not in failures], folder, json_path)
    if failures:
        raise UserError(f"{len(failures)} of {len(points)} runs failed; the same command tries them again")


def _standing(points: "list[Point]", ended: Collection[int]) -> tuple[str, float]:
    """Where the runs are, by their last reports, and the share of all work that is done."""
    from exit.logs import read_metrics

    text, share = f"{len(ended)}/{len(points)} runs", float(len(ended))
    for index, point in enumerate(points):
        if index not in ended and (rows := read_metrics(point.run_dir)):
            text += f"  {point.run_dir.name} {rows[-1]['iteration']}/{rows[-1]['num_iterations']}"
            share += (rows[-1]["iteration"] or 0) / (rows[-1]["num_iterations"] or 1)
    return text, share / len(points)


def _trained(
    points: "list[Point]", fleet: FleetOptions, say_fn: Callable[[], None]
) -> "Iterator[tuple[int, UserError | None]]":
    """Trains all; the index of each and what it failed with, as they end.

    Args:
      say_fn: called on the way, to say where the runs are.
    """
    from exit.sweep import train_point

    config = fleet.config()
    if config is not None:
        from exit.fleet.joining import joined

        with joined(config) as groups:
            # Only now: what Ray binds to is decided before it is imported.
            from exit.fleet.tasks import each_on_fleet

            yield from each_on_fleet(train_point, points, groups, say_fn)
        return
    for index, point in enumerate(points):
        try:
            train_point(point, lambda metrics: say_fn())
        except UserError as error:
            yield index, error
        else:
            yield index, None


def _show(points: "list[Point]", folder: Path, json_path: Path | None) -> None:
    """The last figures of every setting, its seeds together."""
    from exit.report import groups_of

    groups = groups_of([point.run_dir for point in points])
    if groups:
        rows = [[group.label, str(len(group.run_dirs)), *cells(group, STANDING)] for group in groups]
        console.show_table("where they stand", ("run", "seeds", *STANDING), rows)
        console.say(f"`xit report {folder}/*` draws their learning curves")
    found: list[dict[str, Any]] = [
        {"name": group.name, "runs": list(map(str, group.run_dirs)), "last": group.last()} for group in groups
    ]
    console.write_json(json_path, {"groups": found})
