"""`xit train`: self-play, search and learning, until the reflex has absorbed what search finds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.fleet import FleetOptions, fleet_options, max_age_option
from exit.cli.options import Invocation, config_argument, debug_option, json_option, manual, set_option

_PICTURE = "training.png"


@click.command(
    epilog=manual(
        "xit train tic_tac_toe --set learner.learning_rate=0.002 --run-dir runs/mine",
        "xit train connect_four_4x4 --fleet auto --actors 4",
        reads="CONFIG, and the checkpoints of a run that goes on",
        writes="into the run directory: config.json, checkpoints, metrics.jsonl, TensorBoard files, "
        "training.png; with snapshots=true agents as files",
    )
)
@config_argument
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory of the run. Default: runs/CONFIG.",
)
@set_option("search.max_simulations=64")
@max_age_option
@fleet_options
@json_option
@debug_option
@click.pass_obj
def train(
    invocation: Invocation,
    config_name: str,
    run_dir: Path | None,
    assignments: tuple[str, ...],
    fleet: FleetOptions,
    json_path: Path | None,
) -> None:
    """Train an agent as CONFIG says: a name of `configs`, or a Python file with `config()`.

    The same command continues a run that was interrupted.
    """
    from exit.catalog import load_config, with_overrides

    fleet.check()
    config = with_overrides(load_config(config_name), assignments)
    run_dir = run_dir or Path("runs") / Path(config_name).stem
    if config_name.endswith(".py"):
        # The run is read from other directories too.
        config_name = str(Path(config_name).resolve())
    console.prepare_json(json_path)
    of_game = "" if Path(config_name).stem == config.game.name else f" (game {config.game.name})"
    # Only now, since importing the training program takes seconds.
    from exit.checkpoint import steps
    from exit.logs import read_metrics
    from exit.plots import plot_training
    from exit.rundir import read_info, require_settings

    if saved := steps(run_dir):
        require_settings(run_dir, read_info(run_dir), config)
    console.say(f"training {config_name}{of_game} in {run_dir}")
    if saved:
        console.say(f"continuing after iteration {saved[-1]}")
    latest: dict[str, float | int | None] = {}
    invocation.when_interrupted = lambda: _when_interrupted(latest, steps(run_dir))
    with console.Progress("training") as progress:
        progress.update("compiling, which takes longest the first time")

        def report(metrics: Mapping[str, float | int | None]) -> None:
            latest.clear()
            latest.update({name: value for name, value in metrics.items() if value is not None})
            progress.update(_line(latest), (metrics["iteration"] or 0) / (metrics["num_iterations"] or 1))

        invocation.ending_fn = _say_that_it_ends
        fleet.train_fn(progress.update)(
            config,
            run_dir,
            config_name=config_name,
            overrides=assignments,
            report_fn=report,
            warn_fn=console.warn,
            stop_fn=lambda: bool(invocation.interrupted),
        )
    if invocation.interrupted and (latest.get("iteration") or 0) < config.num_iterations:
        raise KeyboardInterrupt
    if not latest:
        console.say("the run was complete already")
    rows = read_metrics(run_dir)
    _conclude(rows, run_dir, json_path)
    console.show_picture(lambda: plot_training(rows, run_dir / _PICTURE, title=f"{run_dir}: training"))


def _say_that_it_ends() -> None:
    console.warn("interrupted: stopping after this iteration, with a checkpoint; again stops at once")


def _when_interrupted(latest: Mapping[str, float | int | None], saved: Sequence[int]) -> str:
    """How far the run was seen to come, and from where it will go on."""
    reported = f" after the report of iteration {latest['iteration']}" if latest else ""
    goes_on = f"continues after iteration {saved[-1]}, the last checkpoint" if saved else "starts again"
    return f"interrupted{reported}; the same command {goes_on}"


def _line(metrics: Mapping[str, float | int | None]) -> str:
    """One report as a line; figures that the report lacks are left out."""
    parts = [f"{metrics['iteration']}/{metrics['num_iterations']}"]
    for name, text in _FIGURES.items():
        value = metrics.get(name)
        if value is not None and (said := text(value)):
            parts.append(said)
    return "  ".join(parts)


_FIGURES = {
    "seconds_left": lambda value: f"{console.duration(value)} left",
    "positions_per_second": lambda value: f"{value:,.0f} positions/s",
    "policy_loss": lambda value: f"loss: policy {value:.3f}",
    "value_loss": lambda value: f"value {value:.4f}",
    "reflex_mistake_rate": lambda value: f"mistakes: reflex {console.percent(value)}",
    "search_mistake_rate": lambda value: f"search {console.percent(value)}",
    "amortized_depth": lambda value: f"absorbed {console.counted(round(value), 'simulation')}",
    "actors_alive": lambda value: f"actors {value:.0f}",
    "actors_starting": lambda value: f"starting {value:.0f}" if value else "",
    "actors_lost": lambda value: f"lost {value:.0f}",
}


def _conclude(rows: list[dict[str, Any]], run_dir: Path, json_path: Path | None) -> None:
    """Says where the run stands, with the figures of its last report."""
    last = {name: value for name, value in (rows[-1] if rows else {}).items() if value is not None}
    if last:
        console.say(
            f"trained {console.counted(last['iteration'], 'iteration')}, "
            f"{console.counted(last['positions'], 'position')}, "
            f"in {console.duration(last['seconds'])} without compiling and measuring"
        )
    if "reflex_mistake_rate" in last:
        reflex, search = (console.percent(last.get(f"{kind}_mistake_rate")) for kind in ("reflex", "search"))
        console.say(f"mistakes in a sample of critical positions: reflex {reflex}, search {search}")
    console.say(f"run: {run_dir}")
    console.write_json(json_path, {"run": str(run_dir), **last})
