"""What a setting of training is worth: the same runs with and without it, exact mistakes against CPU time.

python benchmarks/ablation.py [--json FILE] [--quick] [--config NAME] [--iterations N] [--seeds N]
    [--first-seed N] [--measurements N] [--set A=B ...] [--arms NAME:A=B,C=D ...]

An arm is a name and the settings that make it, none for the config as it is (with what --set changes for all
arms). Every seed trains every arm, in turn, each in a process of its own. Measured are the mistakes of the
reflex over all states of the game, so many times along a run; the clock counts CPU seconds of all threads and
is stopped while measuring and while compiling. Nothing exact enters training. The last table sets every arm
beside the first one, seed by seed: mistakes after the last iteration, CPU seconds of a run, and CPU seconds
until there are as few mistakes as the first arm has in the end (linear between measurements).

The arms that are compared if none are given: old positions searched again, chosen in four ways; examples
drawn by regret, or evenly over positions; moves that are only tried; no proofs. Takes a quarter of an hour
for a seed; --quick trains tic-tac-toe for a few iterations.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from exit.caches import keep_compiled_programs
from exit.catalog import load_config, with_overrides
from exit.devices import use_all_cores
from exit.loop import RunConfig, init_run, iterate
from exit.network import Params, make_network
from exit.solve import ExactMoves, exact_of, table_of, unfinished_keys

_ROOT = Path(__file__).resolve().parent.parent
_AT_ONCE = 1 << 14
_ARMS = (
    "base",
    "uniform:reanalysis.num_positions=1024",
    "age:reanalysis.num_positions=1024,reanalysis.priority=age",
    "incoherence:reanalysis.num_positions=1024,reanalysis.priority=incoherence",
    "regret:reanalysis.num_positions=1024,reanalysis.priority=regret",
    "focus:learner.focus=0.5",
    "rarity:replay.rarity=1.0",
    "tried:self_play.random_moves=0.5",
    "no proofs:search.prove=false",
)


class Arm(NamedTuple):
    """A way to train: its name and the settings that make it."""

    name: str
    settings: tuple[str, ...]


def arm_of(text: str) -> Arm:
    """An arm from `NAME:A=B,C=D`.

    Raises:
      ArgumentTypeError: it has no name, or something in it is no setting.
    """
    name, _, settings = text.partition(":")
    parts = tuple(part for part in settings.split(",") if part)
    bad = [part for part in parts if "=" not in part.strip("=")]
    if not name or bad:
        wrong = f"{bad[0]!r} is no setting" if bad else "it has no name"
        raise argparse.ArgumentTypeError(
            f"bad arm {text!r}: {wrong}; write NAME, or NAME:learner.focus=0.5 with the settings it changes"
        )
    return Arm(name, parts)


def arms_of(texts: Sequence[str]) -> list[Arm]:
    """Arms of different names.

    Raises:
      ArgumentTypeError: one is badly written, or two have the same name.
    """
    arms = [arm_of(text) for text in texts]
    names = [arm.name for arm in arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise argparse.ArgumentTypeError(f"two arms are called {twice!r}; give every arm a name of its own")
    return arms


def run(config: RunConfig, num_measurements: int) -> Iterator[dict[str, Any]]:
    """Train in this process; figures at evenly spaced iterations."""
    exact = exact_of(config.game)
    keys = unfinished_keys(table_of(exact))
    moves = exact.moves_fn(keys)
    # In the others nothing can go wrong.
    keys, moves = keys[moves.critical], moves.of(moves.critical)
    init = jax.jit(init_run, static_argnums=0)
    state = init(config)
    for _ in range(2):
        state = iterate(state, config=config)[0]
    mistakes(state.learner.averaged_params, keys, moves, config)
    state = jax.block_until_ready(init(config))
    last = config.num_iterations
    due = {round(last * (k + 1) / num_measurements) for k in range(num_measurements)}
    cpu = 0.0
    for iteration in range(1, last + 1):
        begun = time.process_time()
        state = jax.block_until_ready(iterate(state, config=config)[0])
        cpu += time.process_time() - begun
        if iteration in due:
            wrong = mistakes(state.learner.averaged_params, keys, moves, config)
            yield {"iteration": iteration, "cpu_seconds": cpu, "mistakes": wrong, "critical": len(keys)}


def mistakes(params: Params, keys: np.ndarray, moves: ExactMoves, config: RunConfig) -> int:
    """States, of those with these keys, in which the reflex's move is a mistake."""
    wrong = 0
    for start in range(0, len(keys), _AT_ONCE):
        # One size for all, whatever is left at the end.
        rows = np.arange(start, start + _AT_ONCE).clip(max=len(keys) - 1)
        action = np.asarray(_reflex(params, jnp.asarray(keys[rows]), config))
        played = moves.optimal[rows, action]
        wrong += int((~played[: len(keys) - start]).sum())
    return wrong


@functools.partial(jax.jit, static_argnames="config")
def _reflex(params: Params, keys: jax.Array, config: RunConfig) -> jax.Array:
    """The likeliest legal action at the states with these keys."""
    game = config.game
    states = jax.vmap(game.decode)(keys)
    logits, _ = make_network(config.network, game).predict(params, jax.vmap(game.observe)(states))
    return jnp.argmax(jnp.where(jax.vmap(game.legal_actions)(states), logits, -jnp.inf), axis=1)


def compare(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every arm beside the first, over the seeds that both have: ratios, their geometric mean and spread.

    Args:
      runs: with `arm`, `seed` and the `rows` of `run`; the others are held against the first one's arm.

    Returns:
      For each arm `mistakes`, those after the last iteration by seed, and of the ratios to the first arm
      `mistakes_ratio`, `cpu_ratio` and `times_faster`, each `[geometric mean, least, greatest]`. Mistakes are
      counted from 1 there, so that none is still a number. `times_faster` is None where a seed never gets
      there.
    """
    by_arm: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for each in runs:
        by_arm.setdefault(each["arm"], {})[each["seed"]] = each["rows"]
    first = by_arm[runs[0]["arm"]]
    rows = []
    for name, own in by_arm.items():
        pairs = [(own[seed], first[seed]) for seed in own if seed in first]
        reached = [_cpu_seconds_to(mine, base[-1]["mistakes"]) for mine, base in pairs]
        faster = [base[-1]["cpu_seconds"] / cpu for cpu, (_, base) in zip(reached, pairs, strict=True) if cpu]
        rows.append(
            {
                "arm": name,
                "seeds": len(pairs),
                "mistakes": [mine[-1]["mistakes"] for mine, _ in pairs],
                "mistakes_ratio": _spread(
                    [(mine[-1]["mistakes"] + 1) / (base[-1]["mistakes"] + 1) for mine, base in pairs]
                ),
                "cpu_ratio": _spread(
                    [mine[-1]["cpu_seconds"] / base[-1]["cpu_seconds"] for mine, base in pairs]
                ),
                "times_faster": _spread(faster) if len(faster) == len(pairs) else None,
            }
        )
    return rows


def _cpu_seconds_to(rows: Sequence[dict[str, Any]], mistakes: int) -> float | None:
    """CPU seconds until there were no more mistakes than these; None where that never was."""
    cpu, wrong = (np.array([row[name] for row in rows], float) for name in ("cpu_seconds", "mistakes"))
    there = np.flatnonzero(wrong <= mistakes)
    if not there.size:
        return None
    after = int(there[0])
    if after == 0:
        return float(cpu[0])
    return float(np.interp(-mistakes, -wrong[after - 1 : after + 1], cpu[after - 1 : after + 1]))


def _spread(ratios: Sequence[float]) -> list[float]:
    """Geometric mean, least and greatest."""
    return [float(np.exp(np.mean(np.log(ratios)))), min(ratios), max(ratios)]


def _child(config_name: str, settings: Sequence[str], num_measurements: int, out: Path) -> None:
    """One run in this process; its rows go to a file and to the terminal."""
    use_all_cores()
    keep_compiled_programs()
    rows = []
    for row in run(with_overrides(load_config(config_name), list(settings)), num_measurements):
        rows.append(row)
        rate = row["mistakes"] / max(1, row["critical"])
        spent = f"{row['iteration']:>11}{row['cpu_seconds']:>8.1f} CPU s"
        print(f"{spent}{row['mistakes']:>9,} mistakes, {rate:.3%}", flush=True)
    out.write_text(json.dumps(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument(
        "--quick", action="store_true", help="tic-tac-toe, two arms, one seed, few iterations"
    )
    parser.add_argument("--config", default="connect_four_4x4", metavar="NAME")
    parser.add_argument("--iterations", type=int, default=60, metavar="N")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="the others follow")
    parser.add_argument("--measurements", type=int, default=6, metavar="N", help="of each run")
    parser.add_argument("--set", nargs="+", default=[], metavar="A=B", help="settings of all arms")
    parser.add_argument("--arms", nargs="+", default=list(_ARMS), metavar="ARM", help="NAME:A=B,C=D")
    parser.add_argument("--child", nargs=2, metavar=("SETTINGS", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        from measuring.quickly import compile_quickly

        compile_quickly()
        options.config, options.iterations, options.seeds, options.measurements = "tic_tac_toe", 6, 1, 2
        options.arms = options.arms if options.arms != list(_ARMS) else ["base", "focus:learner.focus=0.5"]
    for name in ("iterations", "seeds", "measurements"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; give at least 1")
    try:
        options.arms = arms_of(options.arms)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    return options


def main() -> None:
    options = _options()
    if options.child:
        settings, out = options.child
        _child(options.config, json.loads(settings), options.measurements, Path(out))
        return
    runs: list[dict[str, Any]] = []
    compared: list[dict[str, Any]] = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for arm in options.arms:
            print(f"{arm.name}, seed {seed}", flush=True)
            settings = [*options.set, *arm.settings, f"seed={seed}", f"num_iterations={options.iterations}"]
            with tempfile.TemporaryDirectory() as scratch:
                out = Path(scratch, "rows.json")
                passed_on = [*sys.argv[1:], "--child", json.dumps(settings), str(out)]
                subprocess.run([sys.executable, __file__, *passed_on], cwd=_ROOT, check=True)
                runs.append(
                    {**arm._asdict(), "arm": arm.name, "seed": seed, "rows": json.loads(out.read_text())}
                )
            compared = compare(runs)
            if options.json:
                written = {"config": options.config, "set": options.set, "runs": runs, "compared": compared}
                options.json.write_text(json.dumps(written, indent=1) + "\n")
    for row in compared:
        print(f"{row['arm']}: {', '.join(map(str, row['mistakes']))} mistakes; {_sentence(row)}")


def _sentence(row: dict[str, Any]) -> str:
    mistakes, cpu, faster = (
        "" if of is None else f"{of[0]:.2f} ({of[1]:.2f} to {of[2]:.2f})"
        for of in (row["mistakes_ratio"], row["cpu_ratio"], row["times_faster"])
    )
    as_few = "never as few" if row["times_faster"] is None else f"as few {faster} times sooner"
    return f"{mistakes} times the first arm's, in {cpu} times the CPU seconds; {as_few}"


if __name__ == "__main__":
    main()
