"""The states of a game as the solver counts them: one by one, or one for all images of each other."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped, UInt32

from exit.game import Game, State, symmetries_of

DeviceKey = Shaped[Array, "..."]
"""A packed key inside a compiled program: a number where one holds it, else its words."""


QUICK_COMPILATION = {"xla_backend_optimization_level": 0}
"""For programs that run once."""


@dataclass(frozen=True)
class Space:
    """A game whose states are told apart up to its symmetries.

    Attributes:
      num_images: of each state under the symmetries, the state itself included; 1 takes every state for
        itself.
    """

    game: Game
    num_images: int = 1

    @property
    def reduced(self) -> bool:
        """Whether one state stands for all its images."""
        return self.num_images > 1


def space_of(game: Game, *, use_symmetries: bool = True) -> Space:
    """The smallest space in which the reachable states can be told by those that are kept.

    What can be reached is closed under the symmetries where the initial state is its own image under all
    of them, and images of images are images where the symmetries form a group, which shows in what they do
    to actions. Anything else is solved state by state.
    """
    if not use_symmetries or not hasattr(game, "symmetries"):
        return Space(game)
    with jax.enable_x64(True):
        keys, actions = jax.device_get(_initial_images(game))
    alike = bool((keys == keys[0]).all())
    return Space(game, len(actions) if alike and _is_closed(actions) else 1)


@partial(jax.jit, static_argnames="game", compiler_options=QUICK_COMPILATION)
def _initial_images(game: Game) -> tuple[UInt32[Array, "S K"], Int[Array, "S A"]]:
    images, actions = symmetries_of(game, game.init())
    return jax.vmap(game.encode)(images), actions


def _is_closed(actions: Int[np.ndarray, "S A"]) -> bool:
    """Whether permutations, one a row, contain every one that is two of them after one another."""
    rows = set(map(tuple, actions.tolist()))
    return all(tuple(second[first]) in rows for first in actions for second in actions)


def device_key(game: Game, state: State) -> DeviceKey:
    """The packed key of one state."""
    words = game.encode(state).astype(jnp.uint32)
    if len(words) == 1:
        return words[0]
    if len(words) == 2:
        return words[0].astype(jnp.uint64) | (words[1].astype(jnp.uint64) << np.uint64(32))
    return words


def device_words(key: DeviceKey) -> UInt32[Array, " K"]:
    """The words of one packed key."""
    if key.dtype == jnp.uint64:
        return jnp.stack([key, key >> np.uint64(32)]).astype(jnp.uint32)
    return jnp.atleast_1d(key)


def image_keys(space: Space, state: State) -> DeviceKey:
    """Packed keys of the images of one state, along a new leading axis."""
    if not space.reduced:
        return device_key(space.game, state)[None]
    images, _ = symmetries_of(space.game, state)
    return jax.vmap(lambda image: device_key(space.game, image))(images)


def least(keys: DeviceKey) -> tuple[Int[Array, ""], DeviceKey]:
    """Which of several packed keys stands for all of them: its index, and the key."""
    index, best = jnp.int32(0), keys[0]
    for candidate in range(1, len(keys)):
        less = _less(keys[candidate], best)
        index = jnp.where(less, candidate, index)
        best = jnp.where(less, keys[candidate], best)
    return index, best


def _less(left: DeviceKey, right: DeviceKey) -> Bool[Array, ""]:
    """Whether one packed key comes before another, later words counting most."""
    if left.ndim == 0:
        return left < right
    less = jnp.bool_(False)
    for a, b in zip(left, right, strict=True):
        less = (a < b) | ((a == b) & less)
    return less


def is_same_key(keys: DeviceKey, key: DeviceKey) -> Bool[Array, " S"]:
    """Which of several packed keys are a given one."""
    return jnp.all(keys == key, axis=tuple(range(1, keys.ndim)))


def is_same_state(left: State, right: State) -> Bool[Array, ""]:
    """Whether two states agree in every number; not a number agrees with itself."""

    def equal(a: Any, b: Any) -> Bool[Array, ""]:
        agree = a == b
        if jnp.issubdtype(a.dtype, jnp.inexact):
            agree |= jnp.isnan(a) & jnp.isnan(b)
        return jnp.all(agree)

    leaves = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return jnp.all(jnp.stack([equal(a, b) for a, b in leaves]))
