"""Mirror images of what a network sees: symmetries that undo themselves and go in any order."""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from exit.game import Game, symmetric_observations_of, symmetries_of


class Mirrors(NamedTuple):
    """G = 2^k symmetries, the identity first; that of number a after that of number b is number a xor b.

    Attributes:
      entries: where each entry of an image's flattened observation is found in the state's.
      actions: the image of each action.
    """

    entries: Int[np.ndarray, "G N"]
    actions: Int[np.ndarray, "G A"]


@functools.cache
def mirrors_of(game: Game, num_images: int) -> Mirrors:
    """So many of a game's symmetries.

    Raises:
      ValueError: the game does not say how its symmetries move an observation, or has fewer of this kind.
    """
    entries = symmetric_observations_of(game)
    if entries is None:
        raise ValueError(
            f"network.images is {num_images}, but {game.name} has no `symmetric_observations`; leave it out"
        )
    with jax.ensure_compile_time_eval():
        actions = np.asarray(symmetries_of(game, game.init())[1])
    # Observation and actions side by side: one permutation for each symmetry.
    size = entries.shape[1]
    moves = np.concatenate([entries, size + actions], axis=1).astype(np.int32)
    chosen = [moves[0]]
    for move in moves[1:]:
        own_inverse = np.array_equal(move[move], moves[0])
        in_any_order = all(np.array_equal(move[other], other[move]) for other in chosen)
        if own_inverse and in_any_order and not any(np.array_equal(move, other) for other in chosen):
            chosen += [other[move] for other in chosen]
    if num_images > len(chosen):
        raise ValueError(
            f"network.images is {num_images}; {game.name} has {len(chosen)} mirror images, itself included"
        )
    found = np.stack(chosen[:num_images])
    return Mirrors(found[:, :size], found[:, size:] - size)
