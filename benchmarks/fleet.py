"""A fleet beside one process, the limits of its learner's side, what kills cost, and how it would scale.

python benchmarks/fleet.py [--json FILE] [--quick] [--parts NAME,...] [--turns N] [--kill-minutes M]

broadcast: seconds until each of 100 stand-ins has read a new version of a million parameters.
side_by_side: positions/s of `xit train connect_four_4x4` alone and with two actors on the same cores.
kills: the same run left alone and with an actor killed every few seconds; its accounts and its mistakes.
ingest: positions/s that the learner takes from stand-ins which deliver one recorded batch of games over and
over: with no updates, and with those of the configuration.
scale: stand-ins that deliver as fast as an actor plays, 10 and as many as fit, and a simulation by what was
measured for 10, 100 and 1,000; it measures broadcast and ingest too.
staleness: how far what old weights said of positions disagrees with new ones, by forced age.

--quick measures smaller broadcast and ingest alone, of tic-tac-toe.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from measuring import staleness as ages
from measuring.fleet import Receiver, actors_below
from measuring.learner_side import hired, ingest, played, scale

from exit.caches import keep_compiled_programs
from exit.catalog import load_config, with_overrides
from exit.devices import use_all_cores
from exit.fleet import ActorGroup, FleetConfig
from exit.fleet.batch import Weights
from exit.fleet.joining import joined
from exit.iteration import init_run
from exit.logs import read_metrics

_ROOT = Path(__file__).resolve().parent.parent
_CONFIG = "connect_four_4x4"


def process(run_dir: Path, config: str, settings: list[str], *, actors: int) -> subprocess.Popen[bytes]:
    """The command that trains; alone where there are no actors."""
    command = [sys.executable, "-m", "exit", "train", config, "--run-dir", str(run_dir)]
    for setting in settings:
        command += ["--set", setting]
    command += ["--fleet", "auto", "--actors", str(actors)] if actors else []
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(running: subprocess.Popen[bytes]) -> None:
    _, errors = running.communicate()
    if running.returncode:
        raise SystemExit(f"training failed: {errors.decode()}")


def rate(run_dir: Path) -> float:
    """Positions/s over all but the first quarter of a run, which also compiles and fills the queue."""
    rows: list[dict[str, Any]] = list(read_metrics(run_dir))
    first, last = rows[len(rows) // 4], rows[-1]
    return (last["positions"] - first["positions"]) / (last["seconds"] - first["seconds"])


def side_by_side(folder: Path, *, turns: int, iterations: int) -> dict[str, Any]:
    settings = [f"num_iterations={iterations}", "evaluation.exact=false", "report_every=2"]
    settings.append(f"checkpoint_every={iterations}")
    rows = []
    for turn in range(turns):
        rates = {}
        for name, actors in (("alone", 0), ("fleet", 2)):
            run_dir = folder / f"{name}_{turn}"
            finish(process(run_dir, _CONFIG, settings, actors=actors))
            rates[name] = rate(run_dir)
        rows.append(rates)
        print(
            f"  turn {turn + 1}: alone {rates['alone']:,.0f}, fleet {rates['fleet']:,.0f} positions/s",
            flush=True,
        )
    ratios = sorted(row["fleet"] / row["alone"] for row in rows)
    print(f"side by side: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) of alone")
    return {"rows": rows, "ratio": statistics.median(ratios), "ratios": ratios}


def staleness(picture: Path, *, quick: bool) -> dict[str, Any]:
    """Residual against forced ages, on one run of a small game."""
    config = with_overrides(load_config("tic_tac_toe"), ["evaluation.exact=false"])
    rows = ages.measure(config, newest=(32,) if quick else (40, 80, 120), batches=4 if quick else 16)
    picture.parent.mkdir(parents=True, exist_ok=True)
    ages.draw(rows, picture, title="tic-tac-toe: how stale may a distributed cache be?")
    print(f"staleness, drawn in {picture}:\n\n{ages.markdown(rows)}\n", flush=True)
    return {"rows": rows}


def broadcast(*, num_actors: int, num_parameters: int, turns: int) -> dict[str, Any]:
    """Seconds until all stand-ins have read new weights."""
    rng = np.random.default_rng(0)
    with joined(FleetConfig(groups=(ActorGroup(num_actors, cpus=0.01),))) as groups:
        crew = hired(Receiver, num_actors, groups, ahead=1)
        found = []
        for version in range(1, turns + 1):
            weights = Weights(version, {"w": rng.normal(size=num_parameters).astype(np.float32)})
            started, reached = time.perf_counter(), set()
            while len(reached) < num_actors:
                batch = crew.next_batch(weights)
                reached |= {batch.identity.actor} if batch.version == version else set()
            found.append(time.perf_counter() - started)
        crew.close()
    found.sort()
    print(
        f"broadcast of {num_parameters:,} parameters to {num_actors} stand-ins: "
        f"{statistics.median(found):.2f} s ({found[0]:.2f} to {found[-1]:.2f})",
        flush=True,
    )
    return {"actors": num_actors, "parameters": num_parameters, "seconds": found}


def kills(folder: Path, *, minutes: float, every: float) -> dict[str, Any]:
    """The same run left alone, as long as it is to take, and with an actor killed every few seconds."""
    probe = train_with_kills(folder / "probe", iterations=40, every=None)
    iterations = max(40, int(60 * minutes * probe["iterations_per_second"]))
    figures: dict[str, Any] = {"every_seconds": every}
    for name, pause in (("undisturbed", None), ("killed", every)):
        figures[name] = train_with_kills(folder / name, iterations=iterations, every=pause)
        print(f"  {name}: {figures[name]}", flush=True)
    both = (figures[name]["positions_per_second"] for name in ("killed", "undisturbed"))
    figures["ratio"] = next(both) / next(both)
    print(f"kills every {every:g} s: {figures['ratio']:.2f} of the positions/s of the run left alone")
    return figures


def train_with_kills(run_dir: Path, *, iterations: int, every: float | None) -> dict[str, Any]:
    """A run of tic-tac-toe on two actors, of which one is killed now and then; its last figures."""
    settings = [f"num_iterations={iterations}", "report_every=10", f"checkpoint_every={iterations}"]
    running, rng = process(run_dir, "tic_tac_toe", settings, actors=2), np.random.default_rng(0)
    count = 0
    while every is not None and running.poll() is None:
        time.sleep(every)
        actors = actors_below(running.pid)
        if actors and read_metrics(run_dir):
            os.kill(int(rng.choice(actors)), signal.SIGKILL)
            count += 1
    finish(running)
    rows: list[dict[str, Any]] = list(read_metrics(run_dir))
    last = rows[-1]
    settled = sum(last[f"batches_{fate}"] for fate in ("ingested", "stale", "lost", "out"))
    positions_per_second = rate(run_dir)
    return {
        "kills": count,
        "positions_per_second": positions_per_second,
        "iterations_per_second": positions_per_second * last["iteration"] / last["positions"],
        "balances": last["batches_asked"] == settled and not last["batches_refused"],
        **{key: last[key] for key in ("iteration", "actors_lost", "batches_lost", "seconds")},
        "mistake_rates": [row["reflex_mistake_rate"] for row in rows[-3:]],
    }


_PARTS = ("broadcast", "side_by_side", "kills", "ingest", "scale", "staleness")

_MINUTES = """\
expected minutes on two quiet cores: broadcast 3, side_by_side 4 a turn, kills twice --kill-minutes,
ingest 3, scale 9 (with the broadcast and ingest that it needs), staleness 3; --quick 4 in all."""


def main() -> None:
    options = _options()
    wanted: set[str] = set((options.parts or ",".join(_QUICK if options.quick else _PARTS)).split(","))
    if "scale" in wanted:
        wanted |= {"broadcast", "ingest"}
    use_all_cores()
    keep_compiled_programs()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # These have processes of their own.
        if "side_by_side" in wanted:
            figures["side_by_side"] = side_by_side(folder, turns=options.turns, iterations=options.iterations)
        if "kills" in wanted:
            figures["kills"] = kills(folder, minutes=options.kill_minutes, every=options.every)
        if wanted & {"broadcast", "ingest"}:
            # One Ray for all parts, started before JAX has threads.
            room = (ActorGroup(1), ActorGroup(options.actors, cpus=0.01))
            with joined(FleetConfig(groups=room)):
                with_stand_ins(folder, figures, wanted, options)
        if "staleness" in wanted:
            figures["staleness"] = staleness(options.picture, quick=options.quick)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


_QUICK = ("broadcast", "ingest")


def with_stand_ins(
    folder: Path, figures: dict[str, Any], wanted: set[str], options: argparse.Namespace
) -> None:
    """The parts that need a Ray in this process."""
    if "broadcast" in wanted:
        num_actors = 10 if options.quick else options.actors
        figures["broadcast"] = broadcast(num_actors=num_actors, num_parameters=1_000_000, turns=5)
    if "ingest" not in wanted:
        return
    name = "tic_tac_toe" if options.quick else _CONFIG
    config = with_overrides(load_config(name), ["evaluation.exact=false"])
    state = jax.jit(init_run, static_argnames="config")(config)
    path = folder / "batch.npz"
    figures["play_seconds"] = played(path, config, state)
    num_batches = 5 if options.quick else 40
    figures["ingest"] = ingest(path, config, state, num_batches=num_batches)
    if "scale" in wanted:
        figures["scale"] = scale(
            path,
            config,
            state,
            figures,
            num_actors=(10,) if options.quick else (10, options.actors),
            num_batches=num_batches,
            gigabits=options.gigabits,
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_MINUTES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="smaller parts, without those that train")
    parser.add_argument("--parts", metavar="NAME,...", help="default: all, or those of --quick")
    parser.add_argument(
        "--actors", type=int, default=100, metavar="N", help="stand-ins, where many are wanted"
    )
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="of the runs side by side")
    parser.add_argument("--iterations", type=int, default=60, metavar="N", help="of the runs side by side")
    parser.add_argument(
        "--kill-minutes", type=float, default=10.0, metavar="M", help="of the run with kills; default: 10"
    )
    parser.add_argument(
        "--every", type=float, default=5.0, metavar="SECONDS", help="between kills; default: 5"
    )
    parser.add_argument(
        "--gigabits",
        type=float,
        default=10.0,
        metavar="G",
        help="a second, of the network of `scale`; default: 10",
    )
    parser.add_argument(
        "--picture", type=Path, default=Path("runs/staleness.png"), metavar="FILE", help="of staleness"
    )
    options = parser.parse_args()
    if unknown := set((options.parts or _PARTS[0]).split(",")) - set(_PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    return options


if __name__ == "__main__":
    main()
