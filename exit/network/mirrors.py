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
      entries: where each entry of an image's flattened observation is found in the state's:
        `observe(image).ravel() == observe(state).ravel()[entries[g]]`.
      actions: the image of each action.
    """

    entries: Int[np.ndarray, "G N"]
    actions: Int[np.ndarray, "G A"]


def mirrors_of(game: Game, num_images: int) -> Mirrors:
    """The first so many of the game's mirror images, by the order in which it names its symmetries.

    Raises:
      ValueError: the game does not say how its symmetries move an observation, or has fewer of this kind.
    """
    found = _all_mirrors(game)
    if found is None:
        raise ValueError(
            f"network.images is {num_images}, but {game.name} declares no symmetries that a network can know "
            "(`symmetric_observations`); set network.images=none"
        )
    most = len(found.actions)
    if num_images > most:
        allowed = ", ".join(str(1 << power) for power in range(most.bit_length()))
        raise ValueError(
            f"network.images is {num_images}, but {game.name} has {most} symmetries that a network can know "
            f"together (each its own inverse, in any order the same); set it to one of {allowed}"
        )
    return Mirrors(found.entries[:num_images], found.actions[:num_images])


@functools.cache
def _all_mirrors(game: Game) -> Mirrors | None:
    entries = symmetric_observations_of(game)
    if entries is None:
        return None
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
    found = np.stack(chosen)
    return Mirrors(found[:, :size], found[:, size:] - size)
