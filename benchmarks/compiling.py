"""Agents compiled: the smallest trees that give (almost) nothing away, and networks in other formats.

python benchmarks/compiling.py [--json FILE] [--quick] [--games NAME ...] [--runs DIR]

Trains each configuration unless DIR has its run, and compiles the reflex: to trees of rising size, certified
over all states, to StableHLO and to ONNX, whose outputs are compared with the network's in every state.
Of tic-tac-toe also the tree that is right in its own play alone, and the one that is right in every state.
Takes about half an hour on one core, most of it for training; --quick compiles perfect play of small games
and a network that nobody trained.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_GAMES = ("bandit_2_20", "sequential_test_4_6", "tic_tac_toe")
_QUICK = (("bandit_2_4", "bandit_2_4"), ("nim_1_2_3", "nim_3_4_5"))
_NODE_SHARE, _VALUE_SHARE = 0.01, 0.001
_ATTEMPTS = 8


def measure(name: str, runs: Path, quick_config: str | None) -> dict[str, Any]:
    """Train one configuration, or take the run there is, and compile it in every way."""
    agent = _trained(name, runs) if quick_config is None else _untrained(name, quick_config)
    from exit.bench import hardware, provenance
    from exit.compile import subject_of, tree_frontier
    from exit.solve import exact_of

    exact = exact_of(agent.game)
    found = subject_of(agent, exact)
    if quick_config is not None:
        found = dataclasses.replace(found, action=found.moves.optimal.argmax(axis=1))
    started = time.perf_counter()
    figures, _ = tree_frontier(found)
    assert exact.table is not None
    return {
        "game": name,
        "states": exact.table.num_states,
        "unfinished": len(found.keys),
        "frontier": figures,
        "frontier_seconds": time.perf_counter() - started,
        "goal": _goal(figures, exact.table.num_states),
        "whole": {str(everywhere): _whole(found, everywhere) for everywhere in (False, True)},
        "networks": _networks(agent, found.keys),
        "hardware": hardware(),
        "provenance": provenance(agent),
    }


def _trained(name: str, runs: Path) -> Any:
    command = [sys.executable, "-m", "exit", "train", name, "--run-dir", str(runs / name)]
    command += ["--set", "evaluation.exact=false"] if not (runs / name).exists() else []
    if not (runs / name / "training.png").exists():
        subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
    from exit.agent import Agent

    return Agent.load(runs / name)


def _untrained(name: str, config_name: str) -> Any:
    import jax
    import numpy as np

    from exit.agent import Agent
    from exit.catalog import load_config, load_game
    from exit.loop import init_run
    from exit.rundir import RunInfo

    config = dataclasses.replace(load_config(config_name), game=load_game(name))
    rng = np.random.default_rng(0)
    # A network's heads start at zero and would say nothing.
    params = jax.tree.map(
        lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32),
        init_run(config).learner.averaged_params,
    )
    return Agent(config, config.search, params, 0, RunInfo(config_name, (), {}), Path("untrained"))


def _goal(figures: dict[str, Any], num_states: int) -> dict[str, Any] | None:
    """The smallest tree within both bounds; None where there is an opponent, and no share to lose."""
    rows = [row for row in figures["trees"] if row["lost_share"] is not None]
    if not rows:
        return None
    within = [row for row in rows if row["lost_share"] <= _VALUE_SHARE]
    smallest = min(within, key=lambda row: row["nodes"], default=None)
    nodes = None if smallest is None else smallest["nodes"]
    return {
        "max_nodes": _NODE_SHARE * num_states,
        "max_lost_share": _VALUE_SHARE,
        "nodes": nodes,
        "lost_share": None if smallest is None else smallest["lost_share"],
        "reached": nodes is not None and nodes <= _NODE_SHARE * num_states,
    }


def _whole(found: Any, everywhere: bool) -> dict[str, Any]:
    """The smallest tree found that gives away no more than the agent."""
    from exit.compile import certify
    from exit.compile.reach import reach_of
    from exit.compile.tree import extract, objective_of, play, statistics_at

    started, statistics = time.perf_counter(), statistics_at(found.game, found.keys)
    objective = objective_of(found, reach_of(found.game, found.keys), everywhere=everywhere)
    tree = extract(statistics, objective, num_attempts=_ATTEMPTS)
    figures = {"nodes": tree.num_nodes, "leaves": tree.num_leaves, "seconds": time.perf_counter() - started}
    return figures | certify(found, play(tree, statistics))


def _networks(agent: Any, keys: Any) -> dict[str, Any]:
    """How far other formats' outputs are from the network's, at most, over all unfinished states."""
    import jax
    import numpy as np

    from exit.compile import onnx, stablehlo
    from exit.compile.reflex import network_fn_of
    from exit.solve import states_of

    states = states_of(agent.game, keys)
    seen = np.asarray(jax.jit(jax.vmap(agent.game.observe))(states))
    expected = network_fn_of(agent)(seen)
    runs = {
        "stablehlo": stablehlo.run_of(stablehlo.exported(agent)),
        "onnx": onnx.run_of(onnx.onnx_of(agent)),
    }
    rows = {}
    for name, run in runs.items():
        pairs = list(zip(run(seen), expected, strict=True))
        apart = [float(np.abs(mine - its).max()) for mine, its in pairs]
        share = [float((np.abs(mine - its) / np.maximum(np.abs(its), 1)).max()) for mine, its in pairs]
        rows[name] = {"prior_logits": apart[0], "value": apart[1], "relative": max(share)}
    return rows


def _show(row: dict[str, Any]) -> None:
    print(f"\n{row['game']}: {row['states']:,} states, {row['unfinished']:,} unfinished")
    for tree in row["frontier"]["trees"]:
        lost = "" if tree["lost_share"] is None else f", {100 * tree['lost_share']:.4f} % of the value lost"
        print(
            f"  tree of {tree['nodes']:>4} nodes: {tree['mistakes']:,} mistakes in all states, mean regret "
            f"{tree['mean_regret']:.5f}, exploitability {tree['exploitability']:.5g}{lost}"
        )
    if row["goal"] is not None:
        print(f"  goal: {row['goal']}")
    for everywhere, tree in row["whole"].items():
        where = "right in every state" if everywhere == "True" else "right in its own play"
        print(
            f"  {where}: {tree['nodes']} nodes, {tree['mistakes']:,} mistakes in all states, "
            f"{tree['met']:,} met, certified: {tree['certified']}; {tree['seconds']:.0f} s"
        )
    for name, apart in row["networks"].items():
        print(f"  {name}: outputs at most {max(apart.values()):.2g} from the network's", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--games", nargs="+", metavar="NAME", default=_GAMES, help="default: all three")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="untrained agents of small games, for a moment")
    parser.add_argument("--runs", type=Path, default=_ROOT / "runs" / "compiling", help="folder of the runs")
    options = parser.parse_args()
    asked = _QUICK if options.quick else [(name, None) for name in options.games]
    rows = []
    for name, config_name in asked:
        rows.append(measure(name, options.runs.absolute(), config_name))
        _show(rows[-1])
        if options.json:
            options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
