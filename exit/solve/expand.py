"""All successors of many states, from the game's own rules, as NumPy arrays.

Programs run in double precision, whatever the caller's setting, so that rewards and probabilities are as
exact as the rules state them.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped, UInt32

from exit.game import Game, State
from exit.solve.keys import Keys, pack, unpack

_CHUNK_SUCCESSORS = 1 << 18
_SMALL_CHUNK_SUCCESSORS = 1 << 12


class Successors(NamedTuple):
    """What may follow each of n states, after each action A and chance outcome C.

    Attributes:
      legal: which actions are.
      keys: packed keys of the next states; meaningless where the action is illegal.
      probs: of each outcome; 0 where the action is illegal.
      rewards: to the player to move in the state.
      discounts: as in `Step`.
    """

    legal: Bool[np.ndarray, "n A"]
    keys: Shaped[np.ndarray, "n A C"]
    probs: Float[np.ndarray, "n A C"]
    rewards: Float[np.ndarray, "n A C"]
    discounts: Float[np.ndarray, "n A C"]

    @property
    def terminal(self) -> Bool[np.ndarray, " n"]:
        """Whether no action is legal."""
        return np.logical_not(np.logical_or.reduce(self.legal, axis=1))


def chunk_rows(game: Game) -> int:
    """States to expand at a time: a power of two that bounds the number of successors held at once."""
    return _rows_for(game, _CHUNK_SUCCESSORS)


def _rows_for(game: Game, num_successors: int) -> int:
    rows = max(num_successors // (game.num_actions * game.num_outcomes), 16)
    return 1 << (rows.bit_length() - 1)


def _padded(game: Game, keys: Keys) -> UInt32[np.ndarray, "rows K"]:
    """Words of the keys, filled up to one of two sizes: few compilations, little work for small layers."""
    small = _rows_for(game, _SMALL_CHUNK_SUCCESSORS)
    rows = small if len(keys) <= small else chunk_rows(game)
    words = unpack(keys)
    return np.concatenate([words, np.broadcast_to(words[:1], (rows - len(keys), words.shape[1]))])


def _next_words(game: Game, state: State, action: Array, outcome: Array) -> tuple[Array, Array, Array]:
    """Key words, reward and discount of one successor."""
    child, step = game.apply(state, action, outcome)
    words = game.encode(child).astype(jnp.uint32)
    return words, jnp.asarray(step.reward, jnp.float64), jnp.asarray(step.discount, jnp.float64)


def _each_successor(game: Game, state: State) -> tuple[Array, Array, Array]:
    """`_next_words` of every action and outcome, `[A, C]`."""
    actions, outcomes = jnp.arange(game.num_actions), jnp.arange(game.num_outcomes)
    per_outcome = jax.vmap(partial(_next_words, game, state), in_axes=(None, 0))
    return jax.vmap(per_outcome, in_axes=(0, None))(actions, outcomes)


def _probs(game: Game, state: State, legal: Bool[Array, " A"]) -> Float[Array, "A C"]:
    """Outcome probabilities, 0 at illegal actions."""
    if game.num_outcomes == 1:
        return legal[:, None].astype(jnp.float64)
    probs = jax.vmap(partial(game.outcome_probs, state))(jnp.arange(game.num_actions))
    return jnp.where(legal[:, None], probs.astype(jnp.float64), 0.0)


@partial(jax.jit, static_argnames="game")
def _reachable(game: Game, words: UInt32[Array, "n K"]) -> tuple[Array, Array]:
    def one(row: UInt32[Array, " K"]) -> tuple[Array, Array]:
        state = game.decode(row)
        # Rewards are left out: without them the program is many times as fast in most games.
        return _each_successor(game, state)[0], _probs(game, state, game.legal_actions(state)) > 0

    return jax.vmap(one)(words)


@partial(jax.jit, static_argnames="game")
def _successors(game: Game, words: UInt32[Array, "n K"]) -> tuple[Array, ...]:
    def one(row: UInt32[Array, " K"]) -> tuple[Array, ...]:
        state = game.decode(row)
        legal = game.legal_actions(state)
        return legal, _probs(game, state, legal), *_each_successor(game, state)

    return jax.vmap(one)(words)


@partial(jax.jit, static_argnames="game")
def _encoded(game: Game, states: State) -> UInt32[Array, "n K"]:
    return jax.vmap(lambda state: game.encode(state).astype(jnp.uint32))(states)


@partial(jax.jit, static_argnames="game")
def _decoded(game: Game, words: UInt32[Array, "n K"]) -> State:
    return jax.vmap(game.decode)(words)


def initial_key(game: Game) -> Keys:
    """The packed key of the initial state, alone in an array."""
    with jax.enable_x64(True):
        states = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], game.init())
        return pack(np.asarray(_encoded(game, states)))


def next_keys(game: Game, keys: Keys) -> Keys:
    """Packed keys that may follow any of at most `chunk_rows` states, unsorted and repeated."""
    with jax.enable_x64(True):
        words, exists = map(np.asarray, _reachable(game, _padded(game, keys)))
    return pack(words[: len(keys)])[exists[: len(keys)]]


def successors(game: Game, keys: Keys) -> Successors:
    """Everything that may follow each of at most `chunk_rows` states."""
    with jax.enable_x64(True):
        legal, probs, words, rewards, discounts = (
            np.asarray(leaf)[: len(keys)] for leaf in _successors(game, _padded(game, keys))
        )
    return Successors(legal, pack(words), probs, rewards, discounts)


def encode_states(game: Game, states: State) -> Keys:
    """Packed keys of states stacked along a leading axis."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(states)]
    num_states, rows = len(leaves[0]), chunk_rows(game)
    tree = jax.tree.structure(states)
    parts = []
    for start in range(0, num_states, rows):
        part = [leaf[start : start + rows] for leaf in leaves]
        # Sizes are rounded up to powers of two, so that batches of many sizes share few programs.
        size = 1 << (len(part[0]) - 1).bit_length()
        filled = [np.concatenate([leaf, np.repeat(leaf[:1], size - len(leaf), axis=0)]) for leaf in part]
        words = np.asarray(_encoded(game, jax.tree.unflatten(tree, filled)))
        parts.append(pack(words[: len(part[0])]))
    return np.concatenate(parts) if parts else initial_key(game)[:0]


def decode_keys(game: Game, keys: Keys) -> State:
    """States of packed keys, stacked along a leading axis as NumPy arrays."""
    rows = chunk_rows(game)
    # Decoding one chunk too many gives an empty request the shapes of a state.
    padded = np.concatenate([keys, initial_key(game)])
    chunks = [padded[start : start + rows] for start in range(0, len(padded), rows)]
    parts = [jax.tree.map(np.asarray, _decoded(game, _padded(game, chunk))) for chunk in chunks]
    # Only the last chunk is filled up, behind the keys asked for.
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(keys)], *parts)
