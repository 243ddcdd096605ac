"""All successors of many states, from the game's own rules, as NumPy arrays.

Programs run in double precision, whatever the caller's setting, so that rewards and probabilities are as
exact as the rules state them. States are the last axis of what they return: work on one action of many
states then runs through memory in order.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from exit.errors import UserError
from exit.game import Game, State, symmetries_of
from exit.solve.coding import is_small, shared_key
from exit.solve.keys import Keys, pack, unpack
from exit.solve.space import (
    QUICK_COMPILATION,
    DeviceKey,
    Space,
    device_key,
    device_words,
    image_keys,
    is_same_key,
    is_same_state,
    least,
)


class Reached(NamedTuple):
    """What is known of n states once it is known where they lead.

    Attributes:
      keys: packed keys of the next states, unsorted and repeated.
      num_states: of the states themselves, their images included.
      num_finished: those in which no action is legal.
    """

    keys: Keys
    num_states: int
    num_finished: int


class Successors(NamedTuple):
    """What may follow each of n states, after each action A and chance outcome C.

    Attributes:
      legal: which actions are.
      keys: packed keys of the next states; meaningless where the action is illegal.
      probs: of each outcome; 0 where the action is illegal.
      rewards: to the player to move in the state.
      discounts: as in `Step`.
    """

    legal: Bool[np.ndarray, "A n"]
    keys: Shaped[np.ndarray, "A C n"]
    probs: Float[np.ndarray, "A C n"]
    rewards: Float[np.ndarray, "A C n"]
    discounts: Float[np.ndarray, "A C n"]


class Images(NamedTuple):
    """The images of n states under S symmetries.

    Attributes:
      keys: packed.
      first: False where an image is the same as one before it.
    """

    keys: Shaped[np.ndarray, "S n"]
    first: Bool[np.ndarray, "S n"]


class Representatives(NamedTuple):
    """The states that stand for n states.

    Attributes:
      keys: packed.
      actions: what each action of the state is called in the one that stands for it.
    """

    keys: Keys
    actions: Int[np.ndarray, "A n"]


def _padded(keys: Keys, rows: int) -> Shaped[np.ndarray, "rows ..."]:
    """Keys as programs take them, filled up."""
    flat = keys if keys.dtype.kind == "u" else unpack(keys)
    return np.concatenate([flat, np.broadcast_to(flat[:1], (rows - len(keys), *flat.shape[1:]))])


def _called(program: Any, space: Space, keys: Keys, chunk: int) -> Any:
    """What a program says of at most `chunk` states, as NumPy arrays without the filling."""
    with jax.enable_x64(True):
        results = program(space, _padded(keys, chunk))
        return jax.tree.map(lambda leaf: np.asarray(leaf)[..., : len(keys)], results)


def _packed(keys: Shaped[np.ndarray, "..."], dtype: np.dtype) -> Shaped[np.ndarray, "..."]:
    """Keys of a program as packed keys; those of many words come with the words before the states."""
    return keys if dtype.kind == "u" else pack(np.moveaxis(keys, -2, -1))


def _children(space: Space, state: State, measure: Any) -> Any:
    """`measure(next state, step)` of every action and outcome, `[A, C]`."""
    game = space.game
    per_outcome = jax.vmap(lambda action, outcome: measure(*game.apply(state, action, outcome)), (None, 0))
    return jax.vmap(per_outcome, (0, None))(jnp.arange(game.num_actions), jnp.arange(game.num_outcomes))


def _probs(game: Game, state: State, legal: Bool[Array, " A"]) -> Float[Array, "A C"]:
    """Outcome probabilities, 0 at illegal actions."""
    if game.num_outcomes == 1:
        return legal[:, None].astype(jnp.float64)
    probs = jax.vmap(partial(game.outcome_probs, state))(jnp.arange(game.num_actions))
    return jnp.where(legal[:, None], probs.astype(jnp.float64), 0.0)


def _reachable(space: Space, keys: Array) -> Any:
    """Where states lead, what they stand for, and whether every next state survives its key."""
    game = space.game

    def of_child(child: State, _: Any) -> Any:
        key = device_key(game, child)
        survives = is_same_state(game.decode(device_words(key)), child)
        return least(image_keys(space, child))[1] if space.reduced else key, survives

    def of_state(key: DeviceKey) -> Any:
        state = game.decode(device_words(key))
        legal = game.legal_actions(state)
        exists = _probs(game, state, legal) > 0
        # Rewards are left out: without them the program is many times as fast in most games.
        children, survives = _children(space, state, of_child)
        alike = is_same_key(image_keys(space, state), key).sum()
        return children, exists, jnp.any(exists & ~survives), jnp.any(legal), space.num_images // alike

    return jax.vmap(of_state, out_axes=-1)(keys)


# Small chunks are for few states, which are expanded in less time than it takes to optimise the program.
_reachable_of_few = jax.jit(_reachable, static_argnames="space", compiler_options=QUICK_COMPILATION)
_reachable_of_many = jax.jit(_reachable, static_argnames="space")


@partial(jax.jit, static_argnames="space")
def _successors(space: Space, keys: Array) -> Any:
    def of_child(child: State, step: Any) -> Any:
        key = least(image_keys(space, child))[1]
        return key, jnp.asarray(step.reward, jnp.float64), jnp.asarray(step.discount, jnp.float64)

    def of_state(key: DeviceKey) -> Any:
        state = space.game.decode(device_words(key))
        legal = space.game.legal_actions(state)
        # With one outcome its probability says no more than that the action is legal.
        probs = _probs(space.game, state, legal) if space.game.num_outcomes > 1 else None
        return legal, probs, _children(space, state, of_child)

    return jax.vmap(of_state, out_axes=-1)(keys)


@partial(jax.jit, static_argnames="space")
def _followers(space: Space, keys: Array, actions: Array) -> Any:
    game = space.game

    def of_state(key: DeviceKey, action: Array) -> Any:
        def of_outcome(outcome: Array) -> Any:
            child, step = game.apply(state, action, outcome)
            rewards = (jnp.asarray(each, jnp.float64) for each in (step.reward, step.discount))
            return least(image_keys(space, child))[1], *rewards

        state = game.decode(device_words(key))
        legal = game.legal_actions(state)[action]
        probs = jnp.where(legal, game.outcome_probs(state, action).astype(jnp.float64), 0.0)
        children = jax.vmap(of_outcome)(jnp.arange(game.num_outcomes))
        return jax.tree.map(lambda leaf: leaf[None], (legal, probs, children))

    return jax.vmap(of_state, out_axes=-1)(keys, actions)


@partial(jax.jit, static_argnames="space")
def _images(space: Space, keys: Array) -> Any:
    def of_state(key: DeviceKey) -> Any:
        images = image_keys(space, space.game.decode(device_words(key)))
        first = [~jnp.any(is_same_key(images[:index], images[index])) for index in range(len(images))]
        return images, jnp.stack(first)

    return jax.vmap(of_state, out_axes=-1)(keys)


@partial(jax.jit, static_argnames="space")
def _representatives(space: Space, keys: Array) -> Any:
    def of_state(key: DeviceKey) -> Any:
        state = space.game.decode(device_words(key))
        index, best = least(image_keys(space, state))
        return best, symmetries_of(space.game, state)[1][index].astype(jnp.int16)

    return jax.vmap(of_state, out_axes=-1)(keys)


def next_keys(space: Space, keys: Keys, chunk: int) -> Reached:
    """Where at most `chunk` states lead.

    Raises:
      UserError: two states have the same key.
    """
    program = _reachable_of_few if is_small(space.game, chunk) else _reachable_of_many
    children, exists, shared, goes_on, num_states = _called(program, space, keys, chunk)
    if shared.any():
        raise _shared_key(space.game, keys[shared][:1])
    return Reached(
        _packed(children, keys.dtype)[exists], int(num_states.sum()), int(num_states[~goes_on].sum())
    )


def _shared_key(game: Game, keys: Keys) -> UserError:
    """The error for a state of which a successor does not survive its key."""
    state = game.decode(jnp.asarray(unpack(keys)[0]))
    for action in np.flatnonzero(game.legal_actions(state)):
        for outcome in np.flatnonzero(np.asarray(game.outcome_probs(state, jnp.int32(action))) > 0):
            child, _ = game.apply(state, jnp.int32(action), jnp.int32(outcome))
            if not is_same_state(game.decode(game.encode(child)), child):
                return shared_key(game, child)
    raise AssertionError("a compiled program and the rules it was compiled from disagree")


def successors(space: Space, keys: Keys, chunk: int) -> Successors:
    """Everything that may follow each of at most `chunk` states."""
    legal, probs, (next_, rewards, discounts) = _called(_successors, space, keys, chunk)
    if probs is None:
        probs = legal[:, None].astype(np.float64)
    return Successors(legal, _packed(next_, keys.dtype), probs, rewards, discounts)


def followers(space: Space, keys: Keys, actions: Int[np.ndarray, " n"], chunk: int) -> Successors:
    """Everything that may follow one action in each of at most `chunk` states; its axis A is of length 1."""
    filling = np.zeros(chunk - len(keys), np.int32)
    program = partial(_followers, actions=np.concatenate([actions.astype(np.int32), filling]))
    legal, probs, (next_, rewards, discounts) = _called(program, space, keys, chunk)
    return Successors(legal, _packed(next_, keys.dtype), probs, rewards, discounts)


def images(space: Space, keys: Keys, chunk: int) -> Images:
    """All images of each of at most `chunk` states."""
    found, first = _called(_images, space, keys, chunk)
    return Images(_packed(found, keys.dtype), first)


def representatives(space: Space, keys: Keys, chunk: int) -> Representatives:
    """The states that stand for at most `chunk` states."""
    best, actions = _called(_representatives, space, keys, chunk)
    return Representatives(_packed(best[None], keys.dtype)[0], actions)
