"""What an actor does: play the games of the single-machine loop, a batch a call, and say which it was."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from exit.caches import keep_compiled_programs
from exit.devices import use_cores
from exit.diagnostics import PlayFigures
from exit.fleet.batch import Batch, Weights, checksum_of
from exit.fleet.cluster import ActorGroup
from exit.fleet.ledger import Identity
from exit.fleet.staleness import looked_at
from exit.iteration import play, teach
from exit.network import Params, make_network
from exit.programs import kept
from exit.runconfig import RunConfig, of_playing, return_weight_at
from exit.selfplay import Games, initial_games
from exit.targets import Targets

_STREAM = 2**32 - 1
"""Folded into a run's key for its actors, where the loop folds the iteration."""


def make_player(number: int, group: ActorGroup, *, config: RunConfig) -> "Player":
    """The player of an actor, which has its process for itself."""
    use_resources(group)
    return Player(number, config)


def use_resources(group: ActorGroup) -> None:
    """Make JAX use what a process of the group asked for and no more; before it has run anything."""
    if not group.gpus:
        jax.config.update("jax_platforms", "cpu")
    use_cores(max(1, int(group.cpus)))
    keep_compiled_programs()


class Player:
    """Plays on in its own B games; every batch depends on the seed, its identity and the weights so far."""

    def __init__(self, number: int, config: RunConfig) -> None:
        self._number, self._config, self._playing = number, config, of_playing(config)
        self._sequence = 0
        self._games: Games | None = None

    def play(self, weights: Weights) -> Batch:
        """Play the next batch."""
        started = time.perf_counter()
        key_starts, key_games = _keys(self._config.seed, self._number)
        if self._games is None:
            self._games = _starts(key_starts, config=self._playing)
        key_play = jax.random.fold_in(key_games, self._sequence)
        self._games, targets, figures, num_games, values = _play(
            self._games,
            weights.params,
            key_play,
            return_weight_at(weights.version, config=self._config),
            config=self._playing,
        )
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(targets)]
        self._sequence += 1
        return Batch(
            Identity(self._number, self._sequence - 1),
            weights.version,
            leaves,
            checksum_of(leaves),
            {name: float(value) for name, value in figures._asdict().items()},
            int(num_games),
            time.perf_counter() - started,
            np.asarray(values),
        )


@kept(static=("config",))
def _starts(rng_key: Array, *, config: RunConfig) -> Games:
    return initial_games(rng_key, game=config.game, config=config.self_play)


@kept(static=("config",), donate=("games",))
def _play(
    games: Games, params: Params, rng_key: Array, return_weight: Array, *, config: RunConfig
) -> tuple[Games, Targets, PlayFigures, Int[Array, ""], Float[Array, " n"]]:
    """The games to go on with, examples, figures, how many games ended, and the values of some examples."""
    games, played = play(games, params, rng_key, config=config)
    targets, figures = teach(played, return_weight, config=config)
    rows = looked_at(config.game, config.self_play.num_examples)
    some = jax.tree.map(lambda leaf: leaf[rows], targets.state)
    _, values = make_network(config.network, config.game).predict(params, jax.vmap(config.game.observe)(some))
    return games, targets, figures, jnp.sum(played.discount == 0), values


def _keys(seed: int, number: int) -> tuple[Array, Array]:
    """An actor's keys, of its first positions and of its games."""
    key_actors = jax.random.fold_in(jax.random.key(seed), _STREAM)
    key_starts, key_games = jax.random.split(jax.random.fold_in(key_actors, number))
    return key_starts, key_games


def host_copy(params: Any) -> Any:
    """Parameters as NumPy arrays."""
    return jax.tree.map(np.asarray, params)
