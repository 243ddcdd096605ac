"""Players for actors that need no JAX program: each misbehaves in its own way."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exit.errors import UsageError
from exit.fleet.batch import Batch, Weights, checksum_of
from exit.fleet.cluster import ActorGroup
from exit.fleet.ledger import Identity


@dataclass
class StandIn:
    """Delivers made-up batches, told apart by what they hold; its process is named in the figures."""

    number: int
    group: ActorGroup
    seconds: float = 0.01
    sequence: int = 0

    def play(self, weights: Weights) -> Batch:
        time.sleep(self.seconds)
        leaves = [np.full(8, self.number), np.arange(8.0) + self.sequence]
        batch = Batch(
            Identity(self.number, self.sequence),
            weights.version,
            leaves,
            checksum_of(leaves),
            {"pid": float(os.getpid())},
            num_games=2,
            seconds=self.seconds,
            values=np.zeros(0),
        )
        self.sequence += 1
        return batch


def first_is_slow(number: int, group: ActorGroup) -> StandIn:
    """Actor 0 takes a minute for a batch."""
    return StandIn(number, group, seconds=0.01 if number else 60.0)


class Crashing(StandIn):
    def play(self, weights: Weights) -> Batch:
        if self.sequence == 2:
            raise ValueError("the dice rolled off the table")
        return super().play(weights)


class Refusing(StandIn):
    def play(self, weights: Weights) -> Batch:
        raise UsageError("no such board; give another")


class Dying(StandIn):
    def play(self, weights: Weights) -> Batch:
        os._exit(3)


class Garbling(StandIn):
    """Every other batch is not what it was when it was sent."""

    def play(self, weights: Weights) -> Batch:
        batch = super().play(weights)
        return batch._replace(checksum=batch.checksum + batch.identity.sequence % 2)


class Repeating(StandIn):
    """Gives every batch twice, as a call made again would."""

    def play(self, weights: Weights) -> Batch:
        batch = super().play(weights)
        return batch._replace(identity=Identity(self.number, batch.identity.sequence // 2))


@dataclass
class Late(StandIn):
    """Weights reach it late: it plays four batches by those that it has."""

    kept: Weights | None = None

    def play(self, weights: Weights) -> Batch:
        if self.kept is None or self.sequence % 4 == 0:
            self.kept = weights
        return super().play(self.kept)


@dataclass
class Weighty(StandIn):
    """Its batches are large, and the third does not fit in a small object store at all."""

    def play(self, weights: Weights) -> Batch:
        batch = super().play(weights)
        leaves = [np.full((150 if batch.identity.sequence == 2 else 40) << 17, float(self.sequence))]
        return batch._replace(leaves=leaves, checksum=checksum_of(leaves))


@dataclass
class Mortal:
    """Acts as an agent would, with answers that tell their states; dies once, at the state 7."""

    marker: Path

    def act(self, states: np.ndarray, budgets: np.ndarray) -> Any:
        if 7 in states and not self.marker.exists():
            self.marker.touch()
            os._exit(3)
        import jax.numpy as jnp

        from exit.search import SearchResult

        doubled: Any = 2 * states
        every = SearchResult(*[doubled] * len(SearchResult._fields))
        return every._replace(num_simulations=jnp.asarray(budgets))

    def curve(self, states: np.ndarray, budgets: np.ndarray) -> Any:
        raise ValueError("no curve has been drawn")
