"""Histories that an agent is probed on, what they say, and what its network makes of them."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, UInt32

from exit.agent import Agent
from exit.errors import UsageError
from exit.evaluate.histories import Histories, played_histories, replayed
from exit.game import Game, State, quantities_of, statistic_game_of, statistic_of
from exit.loop import acting_template
from exit.network import Params, make_network
from exit.solve import Exact

VALUE = "exact value"
"""The kind of what no game needs to name."""

_FITTED_LENGTHS = 0.75
"""Share of the lengths that probes are fitted on; the others are longer."""

_CHUNK = 4096


class Told(NamedTuple):
    """Distinct histories and what they say.

    Attributes:
      targets: by kind and name, `[n]` numbers.
    """

    histories: Histories
    states: State
    keys: UInt32[np.ndarray, "n K"]
    targets: dict[str, dict[str, Float[np.ndarray, " n"]]]


def require_statistic(game: Game) -> None:
    """Raise UsageError where the game names no sufficient statistic of its states."""
    if statistic_game_of(game) is None:
        raise UsageError(
            f"{game.name} names no sufficient statistic, so that there is nothing to probe for; "
            "probe an agent that sees histories, such as one of bandit_history_2_20"
        )


def playing_at(agent: Agent, game: Game) -> Agent:
    """The agent with the same parameters at another game."""
    require_statistic(game)
    config = dataclasses.replace(agent.config, game=game)
    try:
        fits = jax.tree.map(np.shape, acting_template(config)) == jax.tree.map(np.shape, agent.params)
    except ValueError as error:
        raise UsageError(f"the agent cannot play {game.name}: {error}") from error
    if not fits or game.observation_shape[0] <= agent.game.observation_shape[0]:
        raise UsageError(
            f"the agent of {agent.game.name} cannot be measured on longer histories in {game.name}; give a "
            "game with the same events and more of them"
        )
    return dataclasses.replace(agent, config=config)


def untrained(agent: Agent, seed: int) -> Params:
    """Parameters as they are before training, others than the agent began with."""
    network = make_network(agent.config.network, agent.game)
    return jax.jit(network.init)(jax.random.fold_in(jax.random.key(seed), agent.config.seed + 1))


def told_by(agent: Agent, exact: Exact, num: int, seed: int) -> Told:
    """Distinct histories of the agent's game."""
    game = agent.game
    predict = make_network(agent.config.network, game).predict
    histories = played_histories(
        agent.params,
        game=game,
        predict=predict,
        num=num,
        max_length=game.observation_shape[0],
        seed=seed,
    )
    states, _ = jax.device_get(replayed(game, *histories))
    keys = np.asarray(jax.jit(jax.vmap(game.encode))(states))
    _, rows = np.unique(keys, axis=0, return_index=True)
    rows.sort()
    states = jax.tree.map(lambda leaf: leaf[rows], states)
    statistic_game = statistic_game_of(game)
    assert statistic_game is not None
    found = jax.vmap(lambda state: quantities_of(statistic_game, statistic_of(game, state)))(states)
    # In the game's order, which maps over trees do not keep: beliefs come first.
    targets = {
        kind: {name: np.asarray(found[kind][name], np.float64) for name in named}
        for kind, named in quantities_of(statistic_game, statistic_game.init()).items()
    }
    value = {VALUE: {"value": exact.moves_fn(keys[rows]).values}}
    return Told(histories.of(rows), states, keys[rows], targets | value)


def some_rows(told: Told, rows: np.ndarray) -> Told:
    """Some of the histories."""
    states = jax.tree.map(lambda leaf: leaf[rows], told.states)
    targets = {
        kind: {name: each[rows] for name, each in named.items()} for kind, named in told.targets.items()
    }
    return Told(told.histories.of(rows), states, told.keys[rows], targets)


def splits_of(told: Told, seed: int) -> dict[str, np.ndarray]:
    """Histories to fit on, others of the same lengths, and longer ones."""
    length = told.histories.length
    short = length <= _FITTED_LENGTHS * length.max()
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(short))
    half = len(shuffled) // 2
    return {"fitted": shuffled[:half], "others": shuffled[half:], "longer": np.flatnonzero(~short)}


def activations_of(agent: Agent, params: Params, states: State) -> dict[str, Float[np.ndarray, "n D"]]:
    """What each layer makes of the states."""
    game = agent.game
    network = make_network(agent.config.network, game)
    names: list[str] = []

    @jax.jit
    def ask(states: State) -> list[Array]:
        found = network.activations(params, jax.vmap(game.observe)(states))
        # In the order in which they follow each other, which dictionaries lose on the way out.
        names[:] = found
        return [layer.reshape(layer.shape[0], -1) for layer in found.values()]

    num = len(jax.tree.leaves(states)[0])
    parts = []
    for start in range(0, num, _CHUNK):
        rows = np.arange(start, start + _CHUNK).clip(max=num - 1)
        some = jax.tree.map(lambda leaf, rows=rows: leaf[rows], states)
        parts.append([layer[: num - start].astype(np.float64) for layer in jax.device_get(ask(some))])
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))
