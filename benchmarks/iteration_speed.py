"""How long an iteration of training takes under different settings, in one process, turn by turn.

python benchmarks/iteration_speed.py [ARM ...] [--json FILE] [--quick] [--turns N] [--iterations N]

An arm is a config, or one with settings changed: `connect_four:overlap=false,network.bfloat16=false`. All
arms are compiled first; then each turn runs --iterations (5) of every arm, one arm after another. Told are
the median milliseconds of an iteration, wall time and CPU time of all threads, and the ratio of wall times to
the first arm's of the same turn: median, least and greatest. Without arms: `connect_four` in float32, in
bfloat16, and so while games are played and learnt from at once.

Takes about five minutes; --quick runs two arms of tic-tac-toe.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from exit.catalog import load_config, with_overrides
from exit.devices import use_all_cores
from exit.errors import UserError
from exit.loop import RunConfig, init_run, iterate

_ARMS = (
    "connect_four:network.bfloat16=false,overlap=false",
    "connect_four:overlap=false",
    "connect_four",
)
_QUICK_ARMS = ("tic_tac_toe", "tic_tac_toe:overlap=true")


def config_of(arm: str) -> RunConfig:
    name, _, settings = arm.partition(":")
    return with_overrides(load_config(name), tuple(item for item in settings.split(",") if item))


def seconds_of(state: Any, config: RunConfig, iterations: int) -> tuple[Any, float, float]:
    """The state after so many iterations, and wall and CPU seconds of one."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(iterations):
        state, metrics, _ = iterate(state, config=config)
        # As in training, where every iteration's loss is looked at.
        float(metrics.policy_loss)
    jax.block_until_ready(state)
    return state, (time.perf_counter() - wall) / iterations, (time.process_time() - cpu) / iterations


def compare(
    arms: Sequence[str], configs: Sequence[RunConfig], turns: int, iterations: int
) -> list[dict[str, Any]]:
    # The second iteration may begin with arrays lying elsewhere than the first, and compile once more.
    states = [seconds_of(init_run(config), config, 3)[0] for config in configs]
    taken: list[list[tuple[float, float]]] = [[] for _ in arms]
    for _ in range(turns):
        for index, config in enumerate(configs):
            states[index], wall, cpu = seconds_of(states[index], config, iterations)
            taken[index].append((wall, cpu))
    rows = []
    for arm, turns_of_arm in zip(arms, taken, strict=True):
        ratios = [wall / first for (wall, _), (first, _) in zip(turns_of_arm, taken[0], strict=True)]
        rows.append(
            {
                "arm": arm,
                "milliseconds": [1e3 * wall for wall, _ in turns_of_arm],
                "cpu_milliseconds": [1e3 * cpu for _, cpu in turns_of_arm],
                "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("arms", nargs="*", metavar="ARM")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="two arms of tic-tac-toe, two turns")
    parser.add_argument("--turns", type=int, default=5, metavar="N")
    parser.add_argument("--iterations", type=int, default=5, metavar="N", help="of a turn of an arm")
    options = parser.parse_args()
    for name in ("turns", "iterations"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; give at least 1")
    arms = options.arms or (_QUICK_ARMS if options.quick else _ARMS)
    # A config may look at its game, which starts JAX.
    use_all_cores()
    try:
        configs = [config_of(arm) for arm in arms]
    except UserError as error:
        parser.error(str(error))
    rows = compare(arms, configs, 2 if options.quick else options.turns, options.iterations)
    print(f"{jax.device_count()} devices: {jax.devices()[0].device_kind}")
    print(f"{'ms':>8}{'CPU ms':>9}  ratio (least to greatest)")
    for row in rows:
        wall, cpu = (statistics.median(row[name]) for name in ("milliseconds", "cpu_milliseconds"))
        middle, least, greatest = row["ratio"]
        print(f"{wall:>8.0f}{cpu:>9.0f}  {middle:.2f} ({least:.2f} to {greatest:.2f})  {row['arm']}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
