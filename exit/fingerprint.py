"""Numbers that tell positions apart, as far as the network sees that they differ."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from exit.game import Game, State, symmetries_of
from exit.programs import kept

_AT_ONCE = 4096


def fingerprints(states: State, *, game: Game) -> UInt32[Array, " n"]:
    """Hashes of what the network sees of n states, the same for all images under the game's symmetries.

    Two positions that differ share one with a chance of 2^-32.
    """

    def one(state: State) -> UInt32[Array, ""]:
        images, _ = symmetries_of(game, state)
        seen = jax.vmap(game.observe)(images)
        numbers = seen.reshape(len(seen), -1).astype(jnp.float32)
        # The two zeros are equal, their bits are not.
        bits = jax.lax.bitcast_convert_type(jnp.where(numbers == 0, 0.0, numbers), jnp.uint32)
        place = _scattered(jnp.arange(1, 1 + bits.shape[1], dtype=jnp.uint32))
        image = _scattered(jnp.sum(_scattered(bits ^ place), axis=1, dtype=jnp.uint32))
        # A sum, since the images of another image come in another order.
        return jnp.sum(image, dtype=jnp.uint32)

    return jax.vmap(one)(states)


def classes(states: State, *, game: Game) -> UInt32[np.ndarray, " n"]:
    """Numbers of n states on the host, equal for images of one position; every bit is a toss."""
    num_states = len(jax.tree.leaves(states)[0])
    found = []
    for start in range(0, num_states, _AT_ONCE):
        rows = np.arange(start, start + _AT_ONCE).clip(max=num_states - 1)
        batch = jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], states)
        found.append(np.asarray(_classes(batch, game=game)))
    return np.concatenate([*found, np.zeros(0, np.uint32)])[:num_states]


@kept(static=("game",))
def _classes(states: State, *, game: Game) -> UInt32[Array, " n"]:
    # The sum over a position that is its own image is even, until it is scattered.
    return _scattered(fingerprints(states, game=game))


def _scattered(word: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """Another word for every word, each bit of it a toss of all bits (the finaliser of MurmurHash3)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)
