"""Games of chance and of beliefs, learnt: what the reflex and search earn, exactly, beside perfect play.

python benchmarks/belief_learning.py [--json FILE] [--quick] [--games NAME ...] [--seeds N] [--runs DIR]

Trains each configuration with each seed, in a process of its own, and computes what the agent earns at
budgets 0 and 64 over all that it and chance may do (against perfect play where there is an opponent), beside
the game's rules of thumb and the untrained network; and in how many of all states the reflex is wrong. Runs
are kept in DIR and continued from there, so that finished ones are only measured. Takes about an hour on one
core; --quick trains a small bandit for a moment.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_GAMES = (
    "bandit_2_20",
    "bandit_2_40",
    "sequential_test_4_6",
    "kelly_beta_3_2_20",
    "kelly_25_250_300",
    "pig_100",
)
_QUICK = ("bandit_2_4", ("num_iterations=2", "self_play.budget=8", "learner.num_updates=1"))
_BUDGET = 64

_MAX_SEARCHED = 5_000_000
"""States times actions times outcomes up to which the games are searched: what takes some minutes."""


def measure(name: str, seed: int, runs: Path, settings: tuple[str, ...]) -> dict[str, Any]:
    """Train one configuration with one seed, or continue it, and measure what it earns."""
    run_dir = (runs / name / f"seed_{seed}").absolute()
    cpu_seconds = _train(name, run_dir, (f"seed={seed}", *settings))
    # Not before: the processes above are to have the cores to themselves.
    from exit.agent import Agent
    from exit.bench import bench
    from exit.evaluate import decide_at, expected_return, gap_closed, perfect_policy
    from exit.game import baselines_of
    from exit.loop import init_run
    from exit.solve import exact_of

    agent = Agent.load(run_dir)
    game, exact = agent.game, exact_of(agent.game)
    card = bench(agent, exact, [0], max_reached=0)
    returns, reflex = card["returns"], card["budgets"][0]
    yardstick = next(iter(returns["baselines"].values()))["expected_return"]
    fresh = dataclasses.replace(agent, params=init_run(agent.config).learner.averaged_params)
    size = card["positions"]["count"] * game.num_actions * game.num_outcomes

    def earned(agent: Agent, budget: int) -> dict[str, Any] | None:
        if budget and size > _MAX_SEARCHED:
            return None
        value = expected_return(
            game,
            lambda keys: decide_at(agent.act, game, keys, budget).action,
            opponent_fn=perfect_policy(exact),
        ).value
        closed = gap_closed(value, baseline=yardstick, optimal=returns["optimal"])
        return {"expected_return": value, "gap_closed": closed}

    last = json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "game": name,
        "seed": seed,
        "training_seconds": last["seconds"],
        "cpu_seconds": cpu_seconds,
        "cores": len(os.sched_getaffinity(0)),
        "iterations": last["iteration"],
        "positions": last["positions"],
        "optimal": returns["optimal"],
        "reflex": {key: reflex[key] for key in ("expected_return", "gap_closed")},
        "search": earned(agent, _BUDGET),
        "untrained": {"reflex": earned(fresh, 0), "search": earned(fresh, _BUDGET)},
        "baselines": returns["baselines"],
        "yardstick": next(iter(baselines_of(game))),
        "states": card["positions"],
        "reflex_over_all_states": {
            key: reflex[key]
            for key in ("mistake_rate", "critical_mistake_rate", "mean_regret", "max_regret", "value_mae")
        },
        "hardware": card["hardware"],
        "provenance": card["provenance"],
    }


def _train(name: str, run_dir: Path, settings: tuple[str, ...]) -> float | None:
    """CPU seconds of `xit train`, compilation included; None where the run was there already."""
    finished = (run_dir / "metrics.jsonl").exists()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "exit", "train", name, "--run-dir", str(run_dir)]
    for setting in (*settings, "evaluation.exact=false"):
        command += ["--set", setting]
    subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return None if finished else spent


def _show(row: dict[str, Any]) -> None:
    """One line of figures for each policy, perfect play's first."""
    states = f"{row['states']['count']:,}"
    seconds = "-" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:.0f}"
    print(
        f"\n{row['game']}, seed {row['seed']}: {row['training_seconds']:.0f} s of training, "
        f"{seconds} CPU seconds with compilation; reflex wrong in "
        f"{100 * row['reflex_over_all_states']['mistake_rate']:.2f} % of all {states} states"
    )
    policies = {
        "reflex": row["reflex"],
        f"search at {_BUDGET}": row["search"],
        "untrained reflex": row["untrained"]["reflex"],
        f"untrained at {_BUDGET}": row["untrained"]["search"],
        **row["baselines"],
    }
    print(f"  {'policy':<18}{'exact return':>14}{'of perfect':>12}{'gap closed':>12}")
    print(f"  {'perfect play':<18}{row['optimal']:>14.6f}{1:>12.5f}{1:>12.4f}")
    for policy, found in policies.items():
        if found is None:
            print(f"  {policy:<18}{'too many states to search them all':>38}")
            continue
        value, closed = found["expected_return"], found["gap_closed"]
        print(f"  {policy:<18}{value:>14.6f}{value / row['optimal']:>12.5f}{closed:>12.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--games", nargs="+", metavar="NAME", default=_GAMES, help="default: all six")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each game")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="a small bandit, for a moment")
    parser.add_argument(
        "--runs", type=Path, default=_ROOT / "runs" / "belief_learning", help="folder of the runs"
    )
    options = parser.parse_args()
    if options.quick:
        from measuring.quickly import compile_quickly

        compile_quickly()
    games, settings = ((_QUICK[0],), _QUICK[1]) if options.quick else (options.games, ())
    rows = []
    for name in games:
        for seed in range(options.seeds):
            rows.append(measure(name, seed, options.runs, settings))
            _show(rows[-1])
            if options.json:
                options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
