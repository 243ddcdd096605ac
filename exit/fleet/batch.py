"""What goes between the learner and its actors; no JAX, so that whoever passes it on need not load that."""

import zlib
from typing import Any, NamedTuple

import numpy as np

from exit.fleet.ledger import Identity


class Weights(NamedTuple):
    """Parameters to play by.

    Attributes:
      version: iterations of learning that they have seen.
      params: as NumPy arrays.
    """

    version: int
    params: Any


class Batch(NamedTuple):
    """The games of one call.

    Attributes:
      version: of the weights that played them.
      leaves: of the `Targets` in the order of JAX; the classes of a game's states stay where they are.
      checksum: of the leaves.
      figures: of `PlayFigures`, by name.
      num_games: that ended within the batch.
      seconds: that the actor took.
      values: what the network, by these weights, says of the states that `looked_at` names.
    """

    identity: Identity
    version: int
    leaves: list[np.ndarray]
    checksum: int
    figures: dict[str, float]
    num_games: int
    seconds: float
    values: np.ndarray


def checksum_of(leaves: list[np.ndarray]) -> int:
    """CRC-32 of arrays in their order."""
    checksum = 0
    for leaf in leaves:
        checksum = zlib.crc32(np.ascontiguousarray(leaf).data, checksum)
    return checksum
