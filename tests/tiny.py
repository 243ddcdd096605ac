"""Small positions, networks and runs that the tests of the learning half share."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from exit.checkpoint import restore
from exit.evaluate import EvaluationConfig
from exit.game import Game, State
from exit.learner import LearnerConfig
from exit.loop import RunConfig, acting_template, init_run, train
from exit.network import MLPConfig, NetworkConfig, Params, make_network
from exit.replay import ReplayConfig
from exit.search import SearchConfig, SearchResult
from exit.selfplay import SelfPlayConfig
from exit.solve import Table, solve
from exit.targets import Targets
from games.tic_tac_toe import TicTacToe

NET = MLPConfig(width=16, num_blocks=1)


@functools.cache
def table_of(game: Game) -> Table:
    """Exact values, solved once a process."""
    return solve(game)


def stack(states: list[State]) -> State:
    """States along a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def row(tree: Any, index: int | tuple[int, ...]) -> Any:
    """One entry of every leaf."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


@functools.cache
def _rules(game: Game) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return jax.jit(game.legal_actions), jax.jit(game.apply)


def random_states(game: Game, num: int, max_plies: int, seed: int) -> State:
    """Unfinished positions after up to `max_plies` random moves."""
    rng = np.random.default_rng(seed)
    legal_fn, apply_fn = _rules(game)
    found = []
    while len(found) < num:
        state = game.init()
        for _ in range(rng.integers(0, max_plies + 1)):
            moves = np.flatnonzero(legal_fn(state))
            if not moves.size:
                break
            move, outcome = jnp.int32(rng.choice(moves)), 0
            if game.num_outcomes > 1:
                probs = np.asarray(game.outcome_probs(state, move), float)
                outcome = rng.choice(game.num_outcomes, p=probs / probs.sum())
            state, _ = apply_fn(state, move, jnp.int32(outcome))
        if np.any(legal_fn(state)):
            found.append(state)
    return stack(found)


def after(game: Game, *moves: int) -> State:
    """The position after these moves."""
    state = game.init()
    for move in moves:
        state, _ = _rules(game)[1](state, jnp.int32(move), jnp.int32(0))
    return state


def targets_of(state: State, action_weights: Any, value: Any, **others: Any) -> Targets:
    """Examples of no regret, of states that search has not solved, unless told otherwise."""
    weights, value = jnp.asarray(action_weights, jnp.float32), jnp.asarray(value, jnp.float32)
    unsolved, none = jnp.zeros(value.shape, bool), jnp.zeros(value.shape)
    return Targets(state, weights, value, unsolved, jnp.zeros(weights.shape), none)._replace(**others)


def random_params(game: Game, config: NetworkConfig = NET, *, scale: float = 0.3, seed: int = 0) -> Params:
    """Parameters whose heads, which start at zero, say something unless `scale` is 0.

    Drawn by NumPy: the network's own initialisation takes seconds to compile.
    """
    rng = np.random.default_rng(seed)

    def draw(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> jax.Array:
        first, last = path[0].key, path[-1].key
        noise = scale * rng.normal(size=leaf.shape)
        if last == "scale":
            return jnp.asarray(1 + noise, leaf.dtype)
        if last == "kernel" and first not in ("policy", "value"):
            noise += rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))
        return jnp.asarray(noise, leaf.dtype)

    init = make_network(config, game).init
    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(init, jax.random.key(0)))


def tiny_config(**changes: Any) -> RunConfig:
    """Four iterations of tic-tac-toe that take no time; fields of `RunConfig` may be changed."""
    config = RunConfig(
        game=TicTacToe(),
        network=MLPConfig(width=8, num_blocks=1),
        search=SearchConfig(max_simulations=4),
        self_play=SelfPlayConfig(num_games=4, num_steps=4, budget=2, max_random_plies=3),
        replay=ReplayConfig(capacity=64),
        learner=LearnerConfig(batch_size=8, num_updates=2),
        evaluation=EvaluationConfig(budget=2, exact=False),
        num_iterations=4,
        report_every=1,
        checkpoint_every=1,
        keep_checkpoints=3,
    )
    return replace(config, **changes)


def train_tiny(run_dir: Path, config: RunConfig | None = None, **options: Any) -> list[dict[str, Any]]:
    """Train, the tiny run unless told otherwise, and what was reported."""
    reports: list[dict[str, Any]] = []
    train(
        config or tiny_config(),
        run_dir,
        config_name="tiny",
        report_fn=lambda figures: reports.append(dict(figures)),
        **options,
    )
    return reports


def saved_state(run_dir: Path, iteration: int, config: RunConfig | None = None) -> dict[str, Any]:
    """All that a checkpoint holds."""
    config = config or tiny_config()
    templates = {"run": jax.eval_shape(lambda: init_run(config)), "acting": acting_template(config)}
    return restore(run_dir, iteration, templates)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_bits(left: Any, right: Any) -> None:
    """Every leaf of both trees has the same type, shape and bytes."""
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(
        map(np.asarray, jax.tree.leaves(left)), map(np.asarray, jax.tree.leaves(right)), strict=True
    ):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()


def told(result: SearchResult) -> dict[str, Any]:
    """What a search answered, by name, without what it was not asked for."""
    return {name: value for name, value in result._asdict().items() if value is not None}
