"""Keys of states and states of keys, many at a time."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, UInt32

from exit.errors import UserError
from exit.game import Game, State, render_of
from exit.solve.keys import Keys, pack, unpack
from exit.solve.space import QUICK_COMPILATION, is_same_state
from exit.solve.threads import row_slices

_CHUNK_SUCCESSORS = 1 << 17
_SMALL_CHUNK_SUCCESSORS = 1 << 13
_MANY_CHUNKS = 16


def chunk_rows(game: Game, num_rows: int) -> int:
    """States to expand at a time, a power of two: one of two sizes, so that few programs are compiled.

    Args:
      num_rows: how many there are in all; the greater size is for many, and takes longer to compile.
    """
    small = _rows_for(game, _SMALL_CHUNK_SUCCESSORS)
    return _rows_for(game, _CHUNK_SUCCESSORS) if num_rows > _MANY_CHUNKS * small else small


def is_small(game: Game, chunk: int) -> bool:
    """Whether a chunk is of the size for few states."""
    return chunk <= _rows_for(game, _SMALL_CHUNK_SUCCESSORS)


def _rows_for(game: Game, num_successors: int) -> int:
    rows = max(num_successors // (game.num_actions * game.num_outcomes), 16)
    return 1 << (rows.bit_length() - 1)


@partial(jax.jit, static_argnames="game")
def _encoded(game: Game, states: State) -> UInt32[Array, "n K"]:
    return jax.vmap(lambda state: game.encode(state).astype(jnp.uint32))(states)


@partial(jax.jit, static_argnames="game")
def _decoded(game: Game, words: UInt32[Array, "n K"]) -> State:
    return jax.vmap(game.decode)(words)


@partial(jax.jit, static_argnames="game", compiler_options=QUICK_COMPILATION)
def _initial(game: Game) -> tuple[UInt32[Array, " K"], Bool[Array, ""]]:
    key = game.encode(game.init()).astype(jnp.uint32)
    return key, is_same_state(game.decode(key), game.init())


def initial_key(game: Game) -> Keys:
    """The packed key of the initial state, alone in an array.

    Raises:
      UserError: it is the key of another state.
    """
    with jax.enable_x64(True):
        key, survives = _initial(game)
    if not survives:
        raise shared_key(game, game.init())
    return pack(np.asarray(key)[None])


def shared_key(game: Game, state: State) -> UserError:
    """The error for a state that its key does not lead back to."""
    key = game.encode(state)
    shown = (" / ".join(render_of(game, each).splitlines()) for each in (state, game.decode(key)))
    return UserError(
        f"encode of {game.name} is not unique, or decode does not undo it: key {np.asarray(key).tolist()} is "
        f"that of ({') and of ('.join(shown)}); every state needs a key of its own"
    )


def encode_states(game: Game, states: State) -> Keys:
    """Packed keys of states stacked along a leading axis."""
    leaves, tree = jax.tree.flatten(jax.tree.map(np.asarray, states))
    num_states = len(leaves[0])
    chunk = chunk_rows(game, num_states)
    parts = [initial_key(game)[:0]]
    for rows in row_slices(num_states, chunk):
        part = [leaf[rows] for leaf in leaves]
        filling = chunk - len(part[0])
        filled = [np.concatenate([leaf, np.repeat(leaf[:1], filling, axis=0)]) for leaf in part]
        words = np.asarray(_encoded(game, jax.tree.unflatten(tree, filled)))
        parts.append(pack(words[: len(part[0])]))
    return np.concatenate(parts)


def decode_keys(game: Game, keys: Keys) -> State:
    """States of packed keys, stacked along a leading axis as NumPy arrays."""
    chunk = chunk_rows(game, len(keys))
    # Decoding one chunk too many gives an empty request the shapes of a state.
    padded = np.concatenate([keys, initial_key(game)])
    parts = []
    for rows in row_slices(len(padded), chunk):
        words = unpack(padded[rows])
        filling = np.broadcast_to(words[:1], (chunk - len(words), words.shape[1]))
        parts.append(jax.tree.map(np.asarray, _decoded(game, np.concatenate([words, filling]))))
    # Only the last chunk is filled up, behind the keys asked for.
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(keys)], *parts)
