"""Search speed beside mctx: the same network, game, states and results, in one process, turn by turn.

python benchmarks/search_speed.py [--json FILE] [--quick] [--repeats N] [--rows 256x32,...]

Connect Four 6x7 with a network of 32 channels and 2 blocks. Each row is states x simulations; both trees
are compiled once, then timed in turn N times. `network` is the share of our time that evaluating as
many states alone takes. Takes about ten minutes; --quick runs one row.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from exit.network import ConvConfig, Network, make_network
from exit.search import SearchConfig, search
from exit.selfplay import SelfPlayConfig, initial_states
from games.connect_four import ConnectFour

_ROWS = "256x32,32x1024,1x1024"
_GAME = ConnectFour()


def _perturbed(network: Network) -> Any:
    """Parameters whose heads are not zero, so that trees have the shape that trained ones have."""
    key_init, key_noise = jax.random.split(jax.random.key(0))
    params = network.init(key_init)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key_noise, len(leaves))
    noisy = [leaf + 0.05 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, noisy)


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - started


def measure(num_states: int, num_simulations: int, repeats: int) -> dict[str, Any]:
    """One row: simulations per second of both trees, their ratio turn by turn, the network's share."""
    network = make_network(ConvConfig(channels=32, num_blocks=2), _GAME)
    params = _perturbed(network)
    play = SelfPlayConfig(num_games=num_states, max_random_plies=12)
    states = initial_states(jax.random.key(1), game=_GAME, config=play)
    observation = jax.vmap(_GAME.observe)(states)

    def searching(use_mctx: bool) -> Callable[[], Any]:
        config = SearchConfig(max_simulations=num_simulations, use_mctx=use_mctx)
        compiled = jax.jit(functools.partial(search, game=_GAME, predict=network.predict, config=config))
        budget = jnp.full(num_states, num_simulations)
        return lambda: compiled(params, jax.random.key(2), states, budget)

    def evaluate(_: Any, total: jax.Array) -> jax.Array:
        # The sum makes each evaluation wait for the one before, as in a search.
        return total + jnp.sum(network.predict(params, observation + 0 * total)[1])

    only_network = jax.jit(lambda: jax.lax.fori_loop(0, num_simulations, evaluate, jnp.float32(0)))
    ours, theirs = searching(use_mctx=False), searching(use_mctx=True)
    visits = [result.visit_counts for result in (ours(), theirs())]
    if not bool(jnp.all(visits[0] == visits[1])):
        raise SystemExit(f"{num_states} x {num_simulations}: the two trees differ in visit counts")
    jax.block_until_ready(only_network())
    turns = [(_seconds(ours), _seconds(theirs), _seconds(only_network)) for _ in range(repeats)]
    ratios = sorted(other / own for own, other, _ in turns)
    simulations = num_states * num_simulations
    return {
        "states": num_states,
        "simulations": num_simulations,
        "simulations_per_second": simulations / statistics.median(own for own, _, _ in turns),
        "mctx_simulations_per_second": simulations / statistics.median(other for _, other, _ in turns),
        "ratio": statistics.median(ratios),
        "ratio_min": ratios[0],
        "ratio_max": ratios[-1],
        "network_share": statistics.median(alone / own for own, _, alone in turns),
        "seconds": turns,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="one row, once")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--rows", default=_ROWS, metavar="STATESxSIMULATIONS,...")
    options = parser.parse_args()
    sizes = [tuple(map(int, row.split("x"))) for row in options.rows.split(",")]
    device = jax.devices()[0].device_kind
    print(f"{device}, jax {jax.__version__}")
    print(f"{'states x sims':>14}{'sims/s':>10}{'mctx':>10}{'ratio':>8}  (range){'':>7}network")
    rows = []
    for num_states, num_simulations in sizes[:1] if options.quick else sizes:
        row = measure(num_states, num_simulations, 1 if options.quick else options.repeats)
        rows.append(row)
        print(
            f"{f'{num_states} x {num_simulations}':>14}{row['simulations_per_second']:>10,.0f}"
            f"{row['mctx_simulations_per_second']:>10,.0f}{row['ratio']:>8.2f}  "
            f"({row['ratio_min']:.2f} to {row['ratio_max']:.2f}){row['network_share']:>9.0%}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"device": device, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
