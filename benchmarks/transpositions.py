"""How many evaluations of a search repeat a state of the same call, and what sharing them could gain.

python benchmarks/transpositions.py [--json FILE] [--quick] [--repeats N]

64 random states of each game are searched with proofs by a random network. Counted are the states that the
network evaluated and whose value the search used: `tree` is the share that the same tree had already
evaluated, `batch` the share that any tree of the batch had. `network` is the network's share of the time, so
1 / (1 - share * network) bounds the gain in speed; `at most` is that bound for the batch, `with lookup` the
same with the time that looking each state up in a hash table takes. One device. Takes about ten minutes;
--quick leaves out long searches.
"""

import argparse
import functools
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from measuring.lookup import microseconds_per_step
from measuring.networks import evaluations_of, network_alone, perturbed, seconds

from exit.devices import use_all_cores
from exit.game import Game, State
from exit.network import ConvConfig, MLPConfig, Network, Params, PredictFn, make_network
from exit.search import SearchConfig
from exit.search.api import plant_at
from exit.search.forest import Forest, num_rows
from exit.search.grow import grow
from exit.search.noise import Noise
from exit.search.tree import OVER
from exit.selfplay import SelfPlayConfig, initial_states
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe

_NUM_STATES = 64
_BUDGETS = (32, 256, 1024)
_GAMES: tuple[tuple[Game, int], ...] = (
    (TicTacToe(), 8),
    (ConnectFour(4, 4), 15),
    (ConnectFour(), 30),
    (Nim((3, 4, 5)), 6),
)
"""Games and the most random plies before a start, as in training."""


class _Rig(NamedTuple):
    """One game, ready to be searched.

    Attributes:
      run: `run()` grows the forest, `run(predict)` with another network.
      observation: of the roots.
    """

    network: Network
    params: Params
    observation: Any
    run: Callable[..., Forest]


def _rig(game: Game, max_random_plies: int, max_simulations: int) -> _Rig:
    flat = len(game.observation_shape) != 3
    network = make_network(MLPConfig(width=128) if flat else ConvConfig(channels=32, num_blocks=2), game)
    play = SelfPlayConfig(num_games=_NUM_STATES, max_random_plies=max_random_plies)
    starts = jax.jit(functools.partial(initial_states, game=game, config=play))
    states = starts(jax.random.key(1))
    config = SearchConfig(max_simulations=max_simulations)
    params = perturbed(network)

    budget = jnp.full(_NUM_STATES, max_simulations)

    @functools.cache
    def program(predict: PredictFn) -> Callable[..., Forest]:
        return jax.jit(functools.partial(_grown, game=game, predict=predict, config=config))

    def run(predict: PredictFn = network.predict) -> Forest:
        return program(predict)(params, states, budget)

    return _Rig(network, params, jax.vmap(game.observe)(states), run)


def _grown(
    params: Params, states: State, budget: Any, *, game: Game, predict: PredictFn, config: SearchConfig
) -> Forest:
    """The whole forest of a search without noise, which `search` does not return."""
    nothing = jnp.zeros((_NUM_STATES, game.num_actions))
    rows = num_rows(_NUM_STATES, config.max_simulations, game)
    forest = plant_at(
        params, states, Noise(nothing, nothing), rows, game=game, predict=predict, config=config
    )
    return grow(params, forest, budget, game=game, predict=predict, config=config)


def repeats_in(forest: Forest, game: Game) -> dict[str, Any]:
    """How many states were evaluated, and how many of them once more in the same tree or in the batch."""
    size = int(forest.tree.size)
    nodes = jax.tree.map(lambda leaf: np.asarray(leaf)[:size], forest.tree.nodes)
    place, parent = np.arange(size), np.maximum(nodes.parent, 0)
    offset = place - nodes.child[parent, np.maximum(nodes.parent_action, 0)]
    # What a step wrote for a lane without a new node is no child of its parent.
    linked = (nodes.parent < 0) | ((offset >= 0) & (offset < game.num_outcomes))
    evaluated = linked & (nodes.next_action != OVER)
    keys = np.asarray(jax.jit(jax.vmap(game.encode))(nodes.state))[evaluated]
    owner = _owners(nodes.parent)[evaluated]
    num_evaluated = int(evaluated.sum())
    in_tree = len(np.unique(np.column_stack([owner, keys]), axis=0))
    return {
        "evaluated": num_evaluated,
        "finished": int((linked & ~evaluated).sum()),
        "repeated_in_tree": 1 - in_tree / num_evaluated,
        "repeated_in_batch": 1 - len(np.unique(keys, axis=0)) / num_evaluated,
    }


def _owners(parent: np.ndarray) -> np.ndarray:
    """The root above each row."""
    owner = np.where(parent < 0, np.arange(len(parent)), parent)
    while not np.array_equal(owner, owner[owner]):
        owner = owner[owner]
    return owner


def measure(game: Game, max_random_plies: int, budget: int, repeats: int) -> dict[str, Any]:
    """One row: what is repeated, the network's share of the time, and what sharing could gain."""
    rig = _rig(game, max_random_plies, budget)
    forest = jax.block_until_ready(rig.run())
    predict = rig.network.predict
    # Lanes whose trees are proven early evaluate nothing of use.
    evaluations = evaluations_of(rig.run, predict, _NUM_STATES, None)
    alone = network_alone(rig.params, rig.observation, evaluations, predict)
    turns = [(seconds(rig.run), alone()) for _ in range(repeats)]
    share = min(1.0, statistics.median(network / whole for whole, network in turns))
    (num_lanes, num_steps) = list(evaluations.steps.items())[-1]
    step_micros = 1e6 * statistics.median(whole for whole, _ in turns) / num_steps
    found = repeats_in(forest, game)
    saved = {where: share * found[f"repeated_in_{where}"] for where in ("tree", "batch")}
    lookup_micros = _lookup_micros(num_lanes, budget)
    paid = lookup_micros / step_micros
    return {
        "game": game.name,
        "budget": budget,
        "spent": int(forest.spent.sum()),
        **found,
        "network_share": share,
        "step_micros": step_micros,
        "lookup_micros": lookup_micros,
        **{f"most_gain_in_{where}": 1 / max(1e-9, 1 - part) for where, part in saved.items()},
        **{f"gain_in_{where}_with_lookup": 1 / (1 - part + paid) for where, part in saved.items()},
        "turns": turns,
    }


@functools.cache
def _lookup_micros(num_lanes: int, budget: int) -> float:
    """Time of a step's lookups, in a table of twice as many places as the whole search has simulations."""
    num_simulations = _NUM_STATES * budget
    return microseconds_per_step(num_lanes, num_simulations // num_lanes, 2 * num_simulations)


def _print_row(row: dict[str, Any]) -> None:
    print(
        f"{row['game']:<18}{row['budget']:>6}{row['spent']:>9,}{row['evaluated']:>10,}"
        f"{row['repeated_in_tree']:>7.1%}{row['repeated_in_batch']:>7.1%}{row['network_share']:>8.0%}"
        f"{row['step_micros']:>9,.0f}{row['lookup_micros']:>8.1f}{row['most_gain_in_tree']:>7.2f}"
        f"{row['most_gain_in_batch']:>8.2f}{row['gain_in_batch_with_lookup']:>12.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="the smallest budget of two games, once")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    options = parser.parse_args()
    use_all_cores()
    games, budgets, repeats = _GAMES, _BUDGETS, options.repeats
    if options.quick:
        games, budgets, repeats = _GAMES[:2], _BUDGETS[:1], 1
    device = jax.devices()[0].device_kind
    print(f"one {device}, jax {jax.__version__}, {_NUM_STATES} states")
    print(
        f"{'game':<18}{'budget':>6}{'spent':>9}{'evaluated':>10}{'tree':>7}{'batch':>7}{'network':>8}"
        f"{'step us':>9}{'lookup':>8}{'gain':>7}{'at most':>8}{'with lookup':>12}"
    )
    rows = []
    for game, max_random_plies in games:
        for budget in budgets:
            rows.append(measure(game, max_random_plies, budget, repeats))
            _print_row(rows[-1])
    if options.json:
        options.json.write_text(json.dumps({"device": device, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
