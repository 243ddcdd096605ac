"""Search speed beside mctx: the same network, game, states and machine, in one process, turn by turn.

python benchmarks/search_speed.py [--json FILE] [--quick] [--repeats N] [--rows 256x32,...]

Connect Four 6x7 with a network of 32 channels and 2 blocks; each row is states x simulations. mctx is run as
its users run it, on one device with its defaults; ours on all devices, on a CPU one for each core. `abreast`
searches below the root's actions side by side. `network` is the share of our time that the network alone
takes for as many evaluations, in the same batches on as many devices; `equal` the share of states whose visit
counts are mctx's. Simulations are those really spent: proofs end a search before its budget is.

A second table gives one batch different budgets. Takes about twenty minutes; --quick runs one row once.
"""

import argparse
import functools
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from measuring.mctx_policy import mctx_policy
from measuring.networks import evaluations_of, network_alone, perturbed, seconds

from exit.devices import use_all_cores
from exit.network import ConvConfig, Params, PredictFn, make_network
from exit.search import Gumbel, SearchConfig, SearchResult, search
from exit.search.api import plant_at
from exit.search.forest import num_rows
from exit.search.noise import Noise
from exit.selfplay import SelfPlayConfig, initial_states
from games.connect_four import ConnectFour

_ROWS = "256x32,32x1024,1x1024,1x16384"
_SHORT = 256
"""Simulations that the cost of one in a long search is held against."""
_LONG = 8192
"""Simulations from which on a row has two turns at most: mctx takes minutes."""
_LEAST_EQUAL = 0.9
"""Share of states with mctx's visit counts. In another batch the network may round differently, and a near
tie then falls to another action: not every state can be asked to be equal."""
_MIXED_STATES = 256
_MIXED_BUDGETS = (512, 32)
"""Budgets of an eighth of the states and of the others."""

_GAME = ConnectFour()
_NETWORK = make_network(ConvConfig(channels=32, num_blocks=2), _GAME)


@functools.cache
def _params() -> Params:
    return perturbed(_NETWORK)


@functools.cache
def _states(num_states: int) -> Any:
    play = SelfPlayConfig(num_games=num_states, max_random_plies=12)
    return jax.jit(functools.partial(initial_states, game=_GAME, config=play))(jax.random.key(1))


@functools.cache
def _program(config: SearchConfig, predict: PredictFn) -> Callable[..., SearchResult]:
    return jax.jit(functools.partial(search, game=_GAME, predict=predict, config=config))


def _run_ours(
    config: SearchConfig, num_states: int, budget: Any = None, predict: PredictFn = _NETWORK.predict
) -> SearchResult:
    budgets = jnp.full(num_states, config.max_simulations) if budget is None else jnp.asarray(budget)
    return _program(config, predict)(_params(), jax.random.key(2), _states(num_states), budgets)


def _configs(num_states: int, num_simulations: int) -> dict[str, SearchConfig]:
    """Our searches by name; the first does what mctx does."""
    configs = {
        "ours": SearchConfig(max_simulations=num_simulations, prove=False),
        "ours, proofs": SearchConfig(max_simulations=num_simulations),
    }
    if num_states == 1:
        abreast = Gumbel(side_by_side=True)
        configs["ours, abreast"] = SearchConfig(max_simulations=num_simulations, prove=False, policy=abreast)
    return configs


def measure(num_states: int, num_simulations: int, repeats: int) -> list[dict[str, Any]]:
    """One row: mctx and each of our searches, timed in turn."""
    configs = _configs(num_states, num_simulations)
    policy = mctx_policy(_GAME, _NETWORK.predict, num_simulations)
    # Compiled for the one device that its inputs are on.
    compiled, inputs = (
        jax.jit(policy),
        jax.device_put((_params(), jax.random.key(2), _states(num_states)), jax.devices()[0]),
    )
    runs = {"mctx": functools.partial(compiled, *inputs)}
    runs |= {name: functools.partial(_run_ours, config, num_states) for name, config in configs.items()}
    _progress(f"{num_states} x {num_simulations}: compiling")
    found = {name: jax.block_until_ready(run()) for name, run in runs.items()}
    num_spent = {name: int(found[name].num_simulations.sum()) for name in configs}
    num_spent["mctx"] = num_states * num_simulations
    watches = {name: _network_alone(name, configs[name], num_states, num_spent[name]) for name in configs}
    turns = []
    for turn in range(repeats):
        _progress(f"{num_states} x {num_simulations}: turn {turn + 1} of {repeats}")
        turns.append(
            {name: (seconds(run), watches[name]() if name in watches else 0.0) for name, run in runs.items()}
        )
    tree = jax.eval_shape(policy, *inputs).search_tree
    memory = {name: _tree_bytes(config, num_states) for name, config in configs.items()} | {
        "mctx": _bytes(tree)
    }
    equal = _share_equal(found["ours"], found["mctx"])
    if equal < _LEAST_EQUAL:
        raise SystemExit(f"{num_states} x {num_simulations}: only {equal:.0%} of the visit counts are mctx's")
    return [
        {"states": num_states, "simulations": num_simulations, "search": name, "bytes": memory[name]}
        | _figures(name, num_spent, turns)
        | ({"equal": equal} if name == "ours" else {})
        for name in runs
    ]


def _network_alone(name: str, config: SearchConfig, num_states: int, num_spent: int) -> Callable[[], float]:
    """A stopwatch for the evaluations of one of our searches."""
    watched = functools.partial(_run_ours, config, num_states, None)
    # Trees proven early, and actions side by side, leave rows of a batch empty.
    num_rows_used = num_spent if name == "ours" else None
    evaluations = evaluations_of(watched, _NETWORK.predict, num_states, num_rows_used)
    observation = jax.vmap(_GAME.observe)(_states(num_states))
    return network_alone(_params(), observation, evaluations, _NETWORK.predict)


def _figures(name: str, num_spent: dict[str, int], turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Speed of one search, its ratio to mctx's turn by turn, the network's share."""
    speeds = [num_spent[name] / turn[name][0] for turn in turns]
    ratios = [
        speed / (num_spent["mctx"] / turn["mctx"][0]) for speed, turn in zip(speeds, turns, strict=True)
    ]
    shares = [turn[name][1] / turn[name][0] for turn in turns]
    return {
        "spent": num_spent[name],
        "simulations_per_second": statistics.median(speeds),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "network_share": None if name == "mctx" else statistics.median(shares),
        "seconds": [turn[name][0] for turn in turns],
    }


def _share_equal(ours: SearchResult, theirs: Any) -> float:
    """Share of states in which every root action has as many visits in both."""
    visits = theirs.search_tree.children_visits[:, theirs.search_tree.ROOT_INDEX]
    return float(np.mean(np.all(np.asarray(ours.visit_counts) == np.asarray(visits), axis=-1)))


def _tree_bytes(config: SearchConfig, num_states: int) -> int:
    """Bytes of the trees of all states on all devices."""
    nothing = jnp.zeros((num_states, _GAME.num_actions))
    rows = num_rows(num_states, config.max_simulations, _GAME)
    planted = functools.partial(
        plant_at,
        rows=rows,
        game=_GAME,
        predict=_NETWORK.predict,
        config=config,
        max_visits=config.max_simulations,
    )
    return _bytes(jax.eval_shape(planted, _params(), _states(num_states), Noise(nothing, nothing)))


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def growth(num_simulations: int, repeats: int) -> dict[str, Any]:
    """What a simulation costs in one state's long search, as a multiple of its cost in a short one."""
    long, short = (SearchConfig(max_simulations=budget, prove=False) for budget in (num_simulations, _SHORT))
    for config in (long, short):
        jax.block_until_ready(_run_ours(config, 1))
    turns = [[seconds(lambda c=config: _run_ours(c, 1)) for config in (long, short)] for _ in range(repeats)]
    ratios = [(own / num_simulations) / (other / _SHORT) for own, other in turns]
    return {"simulations": num_simulations, "against": _SHORT, "cost_ratio": statistics.median(ratios)}


def mixed(num_states: int, repeats: int) -> list[dict[str, Any]]:
    """Time of a batch of different budgets, over that of the same simulations in equal shares."""
    most, least = _MIXED_BUDGETS
    config = SearchConfig(max_simulations=most, prove=False)
    place = np.arange(num_states)
    deep = {
        "every eighth state": place % 8 == 0,
        "the first eighth": place < num_states // 8,
    }
    budgets = {name: np.where(where, most, least) for name, where in deep.items()}
    share = (most + 7 * least) // 8
    budgets["equal shares"] = np.full(num_states, share)
    runs = {
        name: functools.partial(_run_ours, config, num_states, budget) for name, budget in budgets.items()
    }
    for run in runs.values():
        jax.block_until_ready(run())
    turns = [{name: seconds(run) for name, run in runs.items()} for _ in range(repeats)]
    rows = []
    for name in deep:
        ratios = [turn[name] / turn["equal shares"] for turn in turns]
        rows.append(
            {"states": num_states, "deep": name, "budgets": _MIXED_BUDGETS, "equal_share": share}
            | {"time_ratio": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
            | {"simulations": int(budgets[name].sum()), "turns": turns}
        )
    return rows


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_row(row: dict[str, Any]) -> None:
    share, equal = row["network_share"], row.get("equal")
    print(
        f"{row['states']:>6} x {row['simulations']:<6}{row['search']:<14}{row['spent']:>8,}"
        f"{row['simulations_per_second']:>10,.0f}{row['ratio']:>7.2f} "
        f"{'({:.2f} to {:.2f})'.format(row['ratio_min'], row['ratio_max']):<18}"
        f"{'' if share is None else f'{share:.0%}':>7}{'' if equal is None else f'{equal:.0%}':>7}"
        f"{row['bytes'] / 2**20:>9.1f}",
        flush=True,
    )


def _print_mixed(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        most, least = row["budgets"]
        print(
            f"{row['states']} states, {most} simulations in {row['deep']} and {least} in the others: "
            f"{row['time_ratio']:.2f} ({row['min']:.2f} to {row['max']:.2f}) times as long "
            f"as {row['equal_share']} in each",
            flush=True,
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="one row, once")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--rows", default=_ROWS, metavar="STATESxSIMULATIONS,...")
    return parser.parse_args()


def main() -> None:
    options = _options()
    use_all_cores()
    sizes = [tuple(map(int, row.split("x"))) for row in options.rows.split(",")]
    sizes, repeats = (sizes[:1], 1) if options.quick else (sizes, options.repeats)
    device = f"{len(jax.devices())} x {jax.devices()[0].device_kind}"
    print(f"{device}, jax {jax.__version__}")
    print(
        f"{'states x simulations':<29}{'spent':>8}{'sims/s':>10}{'x mctx':>7} {'(range)':<18}"
        f"{'network':>7}{'equal':>7}{'tree MB':>9}"
    )
    rows = []
    for num_states, num_simulations in sizes:
        turns = min(repeats, 2) if num_simulations >= _LONG else repeats
        for row in measure(num_states, num_simulations, turns):
            rows.append(row)
            _print_row(row)
    report = {"device": device, "jax": jax.__version__, "rows": rows}
    longest = max((simulations for states, simulations in sizes if states == 1), default=0)
    if longest > _SHORT:
        report["growth"] = growth(longest, repeats)
        ratio = report["growth"]["cost_ratio"]
        print(f"a simulation at 1 x {longest} costs {ratio:.2f} times one at 1 x {_SHORT}", flush=True)
    if not options.quick:
        report["mixed"] = mixed(_MIXED_STATES, repeats)
        _print_mixed(report["mixed"])
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
