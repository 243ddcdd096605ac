"""How much play is learnt per second of a CPU, beside the recipe that Pgx publishes, on 6x7 Connect Four.

python benchmarks/learning.py [--json FILE] [--quick] [--minutes N] [--seeds N] [--arms ARM ...]
    [--until-even] [--sets DIR]

An arm is `pgx`, or a config of this project, or one with settings changed, as in
`connect_four:num_iterations=600`.
Each seed of each arm runs in a process of its own, one after another. Measured is the reflex: the share of
critical positions in which its move is a mistake, on sets that BitBully labelled (benchmarks/measuring/
position_sets.py says which); the clock, which counts CPU seconds of all threads and wall time, is stopped
while measuring and while compiling. The last lines tell how many CPU seconds `pgx` and every other arm of its
seed took to the rate that `pgx` has in the end, and to the lowest that it had, since its rates go up and
down. Nothing exact enters training.

Takes --minutes (20) for each arm and seed, and a quarter of an hour more the first time, to label the sets.
With --until-even every arm after `pgx` stops once it has been as good on each set as `pgx` ever was.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from measuring import position_sets
from measuring.connect_four import connect_four_exact

from exit.catalog import load_config, with_overrides
from exit.devices import use_all_cores
from exit.evaluate import Yardstick, rows_of
from exit.game import State
from exit.loop import init_run, iterate
from exit.network import make_network

_ROOT = Path(__file__).resolve().parent.parent
_PEER = "pgx"
_GROWTH = 1.15
"""Measurements are so much further apart than the ones before."""
_AT_ONCE = 1000


class Arm(NamedTuple):
    """A way to learn.

    Attributes:
      state: before the first iteration.
      step_fn: one iteration.
      logits_fn: policy logits `[B, A]` of the reflex at positions.
      positions: played in an iteration.
      num_iterations: after which there is nothing more to do; None goes on for ever.
    """

    state: Any
    step_fn: Callable[[Any], Any]
    logits_fn: Callable[[Any, State], jax.Array]
    positions: int
    num_iterations: int | None


def arm_of(name: str, seed: int) -> Arm:
    """An arm by its name, not yet compiled."""
    if name == _PEER:
        # Pgx starts JAX when it is imported, after which devices can no longer be chosen.
        from measuring import pgx_recipe

        recipe = pgx_recipe.RecipeConfig()
        return Arm(
            pgx_recipe.init(recipe, seed),
            lambda state: pgx_recipe.iterate(state, config=recipe),
            lambda state, states: pgx_recipe.reflex_logits(state, states, config=recipe),
            recipe.num_games * recipe.num_steps,
            None,
        )
    config_name, _, settings = name.partition(":")
    config = with_overrides(load_config(config_name), [item for item in settings.split(",") if item])
    config = replace(config, seed=seed)
    network = make_network(config.network, config.game)
    predict = jax.jit(
        lambda params, states: network.predict(params, jax.vmap(config.game.observe)(states))[0]
    )
    return Arm(
        jax.jit(init_run, static_argnums=0)(config),
        lambda state: iterate(state, config=config)[0],
        lambda state, states: predict(state.learner.averaged_params, states),
        config.self_play.num_games * config.self_play.num_steps,
        config.num_iterations,
    )


def run(
    name: str, seed: int, seconds: float, sets: dict[str, Yardstick], goals: dict[str, float]
) -> Iterator[dict[str, Any]]:
    """Learn for so many seconds of wall time, or until each set named in `goals` was once wrong that rarely.

    Yields figures as it goes, further and further apart.
    """
    arm = arm_of(name, seed)
    fresh = jax.device_get(arm.state)
    compiling = time.process_time()
    # The step may consume what it is given.
    jax.block_until_ready(arm.step_fn(arm.state))
    state = jax.device_put(fresh)
    rates = mistake_rates(arm, state, sets)
    yield {"iterations": 0, "positions": 0, "seconds": 0.0, "cpu_seconds": 0.0, **rates}
    compiling = time.process_time() - compiling
    wall = cpu = due = 0.0
    iterations = 0
    open_goals = set(goals)
    while wall < seconds and iterations != arm.num_iterations and (open_goals or not goals):
        wall_begun, cpu_begun = time.perf_counter(), time.process_time()
        state = jax.block_until_ready(arm.step_fn(state))
        wall += time.perf_counter() - wall_begun
        cpu += time.process_time() - cpu_begun
        iterations += 1
        if wall >= due or wall >= seconds or iterations == arm.num_iterations:
            due = max(wall * _GROWTH, wall + 2)
            positions = iterations * arm.positions
            rates = mistake_rates(arm, state, sets)
            open_goals -= {each for each in open_goals if rates[each] <= goals[each]}
            yield {
                "iterations": iterations,
                "positions": positions,
                "seconds": wall,
                "cpu_seconds": cpu,
                "compiling_cpu_seconds": compiling,
                **rates,
            }


def mistake_rates(arm: Arm, state: Any, sets: dict[str, Yardstick]) -> dict[str, float]:
    """Share of critical positions of each set in which the reflex's move is a mistake."""
    rates = {}
    for name, (states, moves) in sets.items():
        logits = []
        for start in range(0, len(moves.values), _AT_ONCE):
            # One size for all, whatever is left at the end.
            rows = np.arange(start, start + _AT_ONCE).clip(max=len(moves.values) - 1)
            logits.append(np.asarray(arm.logits_fn(state, rows_of(states, rows))))
        best = np.where(moves.legal, np.concatenate(logits)[: len(moves.values)], -np.inf).argmax(axis=1)
        wrong = ~moves.optimal[np.arange(len(best)), best]
        rates[name] = float(wrong[moves.critical].mean())
    return rates


def _child(
    name: str, seed: int, seconds: float, folder: Path, num: int, goals: dict[str, float], out: Path
) -> None:
    """One arm in this process; its rows go to a file and to the terminal."""
    use_all_cores()
    sets = load_sets(folder, num)
    rows = []
    for row in run(name, seed, seconds, sets, goals):
        rows.append(row)
        rates = "".join(f"{row[name]:>10.2%}" for name in sets)
        print(
            f"{row['iterations']:>10}{row['positions']:>12,}{row['seconds']:>9.1f}{row['cpu_seconds']:>9.1f}{rates}",
            flush=True,
        )
        out.write_text(json.dumps(rows))


def load_sets(folder: Path, num: int) -> dict[str, Yardstick]:
    """The main sets, made if they are not there yet."""
    names = position_sets.MAIN_SETS
    return {name: position_sets.load_or_make(name, connect_four_exact, folder, num) for name in names}


def seconds_to(rows: list[dict[str, Any]], name: str, rate: float) -> float | None:
    """CPU seconds of learning until a set's mistake rate was at most so much; None if it never was."""
    return next((row["cpu_seconds"] for row in rows[1:] if row[name] <= rate), None)


def _rates_of_peer(runs: list[dict[str, Any]], seed: int) -> dict[str, float]:
    """Lowest mistake rate on each set that the peer of that seed had; empty where it did not run."""
    found = [run["rows"] for run in runs if run["arm"] == _PEER and run["seed"] == seed]
    return {name: _lowest(rows, name) for rows in found for name in position_sets.MAIN_SETS}


def _lowest(rows: list[dict[str, Any]], name: str) -> float:
    return min(row[name] for row in rows[1:])


def _compare(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """CPU seconds of each other arm to the last and lowest rates of the peer of its seed, and the peer's."""
    peers = {run["seed"]: run["rows"] for run in runs if run["arm"] == _PEER}
    compared = []
    for found in runs:
        peer = peers.get(found["seed"])
        if found["arm"] == _PEER or not peer:
            continue
        for name in position_sets.MAIN_SETS:
            for which, rate in (("last", peer[-1][name]), ("lowest", _lowest(peer, name))):
                # The first time for either, since either may have gone up again.
                took, needed = (seconds_to(rows, name, rate) for rows in (peer, found["rows"]))
                compared.append(
                    {
                        "arm": found["arm"],
                        "seed": found["seed"],
                        "set": name,
                        "which": which,
                        "peer_rate": rate,
                        "peer_cpu_seconds": took,
                        "cpu_seconds": needed,
                        "times_faster": None if needed is None or took is None else took / needed,
                    }
                )
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="ten seconds an arm, sets of 50 positions")
    parser.add_argument("--minutes", type=float, default=20.0, metavar="N", help="wall time of each arm")
    parser.add_argument("--seeds", type=int, default=1, metavar="N")
    parser.add_argument("--arms", nargs="+", default=[_PEER, "connect_four"], metavar="ARM")
    parser.add_argument(
        "--sets", type=Path, default=_ROOT / "runs" / "benchmarks" / "connect_four_sets", metavar="DIR"
    )
    parser.add_argument(
        "--until-even",
        action="store_true",
        help="stop arms after pgx once they have been as good on each set as pgx ever was",
    )
    parser.add_argument("--child", nargs=4, metavar=("ARM", "SEED", "GOALS", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    num, seconds = (50, 10.0) if options.quick else (2000, 60 * options.minutes)
    if options.child:
        name, seed, goals, out = options.child
        _child(name, int(seed), seconds, options.sets, num, json.loads(goals), Path(out))
        return
    if options.until_even and options.arms[0] != _PEER:
        parser.error(f"--until-even compares with {_PEER}; name it as the first of --arms")
    if seconds <= 0:
        parser.error(f"--minutes is {options.minutes:g}; it must be more than 0")
    load_sets(options.sets, num)
    runs: list[dict[str, Any]] = []
    compared: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        for name in options.arms:
            print(f"{name}, seed {seed}")
            names = "".join(f"{name:>10}" for name in position_sets.MAIN_SETS)
            print(f"{'iterations':>10}{'positions':>12}{'seconds':>9}{'CPU s':>9}{names}", flush=True)
            with tempfile.TemporaryDirectory() as scratch:
                out = Path(scratch, "rows.json")
                goals = _rates_of_peer(runs, seed) if options.until_even else {}
                passed_on = [*sys.argv[1:], "--child", name, str(seed), json.dumps(goals), str(out)]
                subprocess.run([sys.executable, __file__, *passed_on], cwd=_ROOT, check=True)
                runs.append({"arm": name, "seed": seed, "rows": json.loads(out.read_text())})
            compared = _compare(runs)
            if options.json:
                options.json.write_text(json.dumps({"runs": runs, "compared": compared}, indent=1) + "\n")
    _print_compared(compared)


def _print_compared(compared: list[dict[str, Any]]) -> None:
    for row in compared:
        reached = (
            "never"
            if row["times_faster"] is None
            else f"{row['cpu_seconds']:.0f}, {row['times_faster']:.1f} times fewer"
        )
        print(
            f"{row['arm']}, seed {row['seed']}, {row['set']}: {row['peer_rate']:.2%}, the {row['which']} of "
            f"pgx, takes it {row['peer_cpu_seconds']:.0f} CPU s, here {reached}"
        )


if __name__ == "__main__":
    main()
