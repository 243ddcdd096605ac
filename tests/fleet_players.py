"""Players for actors that need no JAX program: each misbehaves in its own way."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

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
class Mortal:
    """Acts as an agent would, with answers that tell their states; dies once, at the state 7."""

    marker: Path

    def act(self, states: np.ndarray, budgets: np.ndarray) -> dict[str, np.ndarray]:
        if 7 in states and not self.marker.exists():
            self.marker.touch()
            os._exit(3)
        return {"double": 2 * states, "budget": budgets}

    def curve(self, states: np.ndarray, budgets: np.ndarray) -> dict[str, np.ndarray]:
        raise ValueError("no curve has been drawn")
