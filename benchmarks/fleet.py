"""A fleet beside one process, the limits of its learner's side, and what kills cost it.

python benchmarks/fleet.py [--json FILE] [--quick] [--parts NAME,...] [--turns N] [--every SECONDS]

side_by_side: positions/s of `xit train connect_four_4x4` alone and with two actors on the same cores.
ingest: positions/s that the learner takes from stand-ins which deliver one recorded batch of games over and
over: with no updates, and with those of the configuration.
broadcast: seconds until each of 100 stand-ins has read a new version of a million parameters.
kills: the same run left alone and with an actor killed every few seconds; its accounts and its mistakes.

The whole takes about half an hour on two cores; --quick measures smaller ingest and broadcast alone.
"""

import argparse
import functools
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
from measuring.fleet import Receiver, Recorded, actors_below, record

from exit.catalog import load_config, with_overrides
from exit.devices import use_all_cores
from exit.fleet import ActorGroup, FleetConfig
from exit.fleet.batch import Weights
from exit.fleet.cluster import joined
from exit.fleet.ledger import Ledger
from exit.fleet.player import Player, host_copy
from exit.fleet.training import remember
from exit.iteration import RunConfig, RunState, init_run, update
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


def hired(make_player: Any, num_actors: int, groups: tuple[ActorGroup, ...], *, ahead: int) -> Any:
    """A crew, every actor of which has delivered something."""
    from exit.fleet.crew import Crew

    fleet = FleetConfig(groups=groups, ahead=ahead)
    crew = Crew(make_player, groups, fleet=fleet, ledger=Ledger(), warn_fn=print)
    delivered = set()
    while len(delivered) < num_actors:
        delivered.add(crew.next_batch(Weights(0, {})).identity.actor)
    return crew


def ingest(
    folder: Path, config: RunConfig, state: RunState, *, num_actors: int, num_batches: int
) -> dict[str, Any]:
    """Positions/s of the learner's side, with updates and without."""
    path = folder / "batch.npz"
    record(Player(0, config).play(Weights(0, host_copy(state.learner.averaged_params))).leaves, path)
    fleet = FleetConfig(groups=(ActorGroup(num_actors, cpus=0.01),))
    figures: dict[str, Any] = {"actors": num_actors, "batches": num_batches}
    with joined(fleet) as groups:
        crew = hired(functools.partial(Recorded, path=path), num_actors, groups, ahead=2)
        for name, updates, repeats in (("alone", False, 10), ("with_updates", True, 1)):
            replay = remember(jax.tree.map(np.asarray, state.replay), crew.next_batch(Weights(0, {})).leaves)
            state, _ = update(state._replace(replay=replay), config=config)
            weights = Weights(0, host_copy(state.learner.averaged_params))
            started, used = time.perf_counter(), time.process_time()
            for version in range(repeats * num_batches):
                batch = crew.next_batch(weights._replace(version=version + 1))
                state = state._replace(replay=remember(state.replay, batch.leaves))
                if updates:
                    state, _ = update(state, config=config)
            jax.block_until_ready(state)
            seconds = time.perf_counter() - started
            positions = repeats * num_batches * config.self_play.num_examples
            figures[name] = positions / seconds
            figures[f"{name}_per_cpu_second"] = positions / (time.process_time() - used)
        crew.close()
    for name, what in (("alone", "without updates"), ("with_updates", f"with those of {_CONFIG}")):
        print(
            f"ingest from {num_actors} stand-ins {what}: {figures[name]:,.0f} positions/s, "
            f"{figures[f'{name}_per_cpu_second']:,.0f} to a CPU second of the learner's process",
            flush=True,
        )
    return figures


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


def kills(folder: Path, *, iterations: int, every: float) -> dict[str, Any]:
    """The same run left alone and with an actor killed every few seconds."""
    settings = [f"num_iterations={iterations}", "report_every=10", f"checkpoint_every={iterations}"]
    figures: dict[str, Any] = {"every_seconds": every}
    for name in ("undisturbed", "killed"):
        run_dir, count = folder / name, 0
        running, rng = process(run_dir, "tic_tac_toe", settings, actors=2), np.random.default_rng(0)
        while name == "killed" and running.poll() is None:
            time.sleep(every)
            actors = actors_below(running.pid)
            if actors and read_metrics(run_dir):
                os.kill(int(rng.choice(actors)), signal.SIGKILL)
                count += 1
        finish(running)
        last: dict[str, Any] = dict(read_metrics(run_dir)[-1])
        settled = sum(last[f"batches_{fate}"] for fate in ("ingested", "stale", "lost", "out"))
        figures[name] = {
            "kills": count,
            "positions_per_second": rate(run_dir),
            "balances": last["batches_asked"] == settled and not last["batches_refused"],
            **{key: last[key] for key in ("actors_lost", "batches_lost", "seconds", "reflex_mistake_rate")},
        }
        print(f"  {name}: {figures[name]}", flush=True)
    both = (figures[name]["positions_per_second"] for name in ("killed", "undisturbed"))
    figures["ratio"] = next(both) / next(both)
    print(f"kills every {every:g} s: {figures['ratio']:.2f} of the positions/s of the run left alone")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="smaller ingest and broadcast alone")
    parser.add_argument("--parts", default="side_by_side,ingest,broadcast,kills", metavar="NAME,...")
    parser.add_argument("--actors", type=int, default=100, metavar="N", help="stand-ins that weights go to")
    parser.add_argument("--turns", type=int, default=3, metavar="N")
    parser.add_argument("--iterations", type=int, default=60, metavar="N", help="of the runs side by side")
    parser.add_argument(
        "--kill-iterations", type=int, default=1000, metavar="N", help="of the runs with kills"
    )
    parser.add_argument(
        "--every", type=float, default=5.0, metavar="SECONDS", help="between kills; default: 5"
    )
    options = parser.parse_args()
    parts = {"ingest", "broadcast"} if options.quick else set(options.parts.split(","))
    use_all_cores()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # What starts Ray in this process comes before JAX has threads, where it can.
        if "broadcast" in parts:
            num_actors = 10 if options.quick else options.actors
            figures["broadcast"] = broadcast(num_actors=num_actors, num_parameters=1_000_000, turns=5)
        if "side_by_side" in parts:
            figures["side_by_side"] = side_by_side(folder, turns=options.turns, iterations=options.iterations)
        if "kills" in parts:
            figures["kills"] = kills(folder, iterations=options.kill_iterations, every=options.every)
        if "ingest" in parts:
            config = with_overrides(load_config(_CONFIG), ["evaluation.exact=false"])
            state = jax.jit(init_run, static_argnames="config")(config)
            num_batches = 5 if options.quick else 50
            figures["ingest"] = ingest(folder, config, state, num_actors=2, num_batches=num_batches)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
