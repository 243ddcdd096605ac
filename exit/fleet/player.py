"""What an actor does: play the games of the single-machine loop, a batch a call, and say which it was."""

import functools
import time
import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from exit.fleet.ledger import Identity
from exit.game import State
from exit.loop import RunConfig, play
from exit.network import Params
from exit.selfplay import PlayFigures, initial_states
from exit.targets import Targets, make_targets

_STREAM = 2**32 - 1
"""Folded into a run's key for its actors, where the loop folds the iteration."""


class Weights(NamedTuple):
    """Parameters to play by.

    Attributes:
      version: iterations of learning that they have seen.
      params: as NumPy arrays.
    """

    version: int
    params: Params


class Batch(NamedTuple):
    """The games of one call.

    Attributes:
      version: of the weights that played them.
      leaves: of the `Targets` in the order of JAX; the classes of a game's states stay where they are.
      checksum: of the leaves.
      figures: of `PlayFigures`, by name.
      num_games: that ended within the batch.
      seconds: that the actor took.
    """

    identity: Identity
    version: int
    leaves: list[np.ndarray]
    checksum: int
    figures: dict[str, float]
    num_games: int
    seconds: float


def checksum_of(leaves: list[np.ndarray]) -> int:
    """CRC-32 of arrays in their order."""
    checksum = 0
    for leaf in leaves:
        checksum = zlib.crc32(np.ascontiguousarray(leaf).data, checksum)
    return checksum


class Player:
    """Plays on in its own B games; every batch depends on the seed, its identity and the weights so far."""

    def __init__(self, number: int, config: RunConfig) -> None:
        self._number, self._config = number, config
        self._sequence = 0
        self._games: State | None = None

    def play(self, weights: Weights) -> Batch:
        """Play the next batch."""
        started = time.perf_counter()
        key_starts, key_games = _keys(self._config.seed, self._number)
        if self._games is None:
            self._games = _starts(key_starts, config=self._config)
        key_play = jax.random.fold_in(key_games, self._sequence)
        self._games, targets, figures, num_games = _play(
            self._games, weights.params, key_play, config=self._config
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
        )


@functools.partial(jax.jit, static_argnames="config")
def _starts(rng_key: Array, *, config: RunConfig) -> State:
    return initial_states(rng_key, game=config.game, config=config.self_play)


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def _play(
    games: State, params: Params, rng_key: Array, *, config: RunConfig
) -> tuple[State, Targets, PlayFigures, Int[Array, ""]]:
    """Positions to go on from, examples, figures, and how many games ended."""
    games, played, figures = play(games, params, rng_key, config=config)
    targets = make_targets(played, return_weight=config.return_weight)
    return games, targets, figures, jnp.sum(played.discount == 0)


def _keys(seed: int, number: int) -> tuple[Array, Array]:
    """An actor's keys, of its first positions and of its games."""
    key_actors = jax.random.fold_in(jax.random.key(seed), _STREAM)
    key_starts, key_games = jax.random.split(jax.random.fold_in(key_actors, number))
    return key_starts, key_games


def host_copy(params: Any) -> Any:
    """Parameters as NumPy arrays."""
    return jax.tree.map(np.asarray, params)
