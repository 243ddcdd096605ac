"""Positions that random play leads to, for games of which there is no list of all positions."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key, UInt32

from exit.game import Game, State, is_terminal

MAX_PLIES = 34
"""Random moves before a position, at most, where nothing else is said: what a library labels in no time."""

_MIN_GAMES, _MAX_GAMES = 256, 4096
_FRUITLESS_ROUNDS = 8


class RandomPositions(NamedTuple):
    """Distinct unfinished positions, in random order.

    Attributes:
      keys: as `Game.encode` makes them.
      ply: how many random moves led to each.
    """

    keys: UInt32[np.ndarray, "n K"]
    ply: Int[np.ndarray, " n"]


def random_positions(game: Game, num: int, max_plies: int, seed: int = 0) -> RandomPositions:
    """Distinct unfinished positions after uniformly random moves; chance does as it does.

    The number of moves before a position is uniform over 0 to `max_plies`, as far as there are that many
    distinct positions: a game that ends too soon is played again, and for a position that was met already
    the number of moves is drawn anew.

    Args:
      num: positions wanted.

    Raises:
      ValueError: `num` is below 1 or `max_plies` below 0.

    Returns:
      The positions; fewer than `num` where random play meets no further ones.
    """
    if num < 1 or max_plies < 0:
        raise ValueError(f"num is {num} and max_plies is {max_plies}; give at least 1 and 0")
    rng = np.random.default_rng(seed)
    rng_key = jax.random.key(seed)
    num_games = min(max(_MIN_GAMES, 1 << (num - 1).bit_length()), _MAX_GAMES)
    wanted = rng.integers(0, max_plies + 1, num)
    found: dict[bytes, int] = {}
    rounds = fruitless = 0
    while len(wanted) and fruitless < _FRUITLESS_ROUNDS:
        # Filling up with repeated wishes keeps one program; the first of their games that suits is taken.
        plies = np.resize(wanted[:num_games], num_games).astype(np.int32)
        key_games = jax.random.split(jax.random.fold_in(rng_key, rounds), num_games)
        keys, unfinished = jax.device_get(_random_games(game, key_games, plies))
        num_before = len(found)
        redrawn = rng.integers(0, max_plies + 1, num_games)
        left = _unfulfilled(wanted[:num_games], redrawn, keys, unfinished, found)
        wanted = np.concatenate([wanted[num_games:], left])
        rounds, fruitless = rounds + 1, fruitless + 1 if len(found) == num_before else 0
    order = rng.permutation(len(found))
    words = np.frombuffer(b"".join(found), np.uint32).reshape(len(found), -1)
    return RandomPositions(words[order], np.array(list(found.values()))[order])


def _unfulfilled(
    wishes: Int[np.ndarray, " w"],
    redrawn: Int[np.ndarray, " n"],
    keys: UInt32[np.ndarray, "n K"],
    unfinished: Bool[np.ndarray, " n"],
    found: dict[bytes, int],
) -> Int[np.ndarray, " v"]:
    """Adds the new positions of n games to `found`; returns the numbers of moves that are still to be played.

    Args:
      wishes: numbers of moves; game g played the wish g modulo w.
      redrawn: others to put in the place of those that will not do.
    """
    wish_of_game = np.arange(len(keys)) % len(wishes)
    # Where no game lasts that long, another number of moves has to do.
    lasting = np.isin(wishes, wishes[wish_of_game[unfinished]])
    left = np.where(lasting, wishes, redrawn[: len(wishes)])
    fulfilled = np.zeros(len(wishes), bool)
    for game_index in np.flatnonzero(unfinished):
        wish, name = wish_of_game[game_index], keys[game_index].tobytes()
        if fulfilled[wish]:
            continue
        if name in found:
            left[wish] = redrawn[wish]
        else:
            found[name] = int(wishes[wish])
            fulfilled[wish] = True
    return left[~fulfilled]


@functools.partial(jax.jit, static_argnames="game")
def _random_games(
    game: Game, key_games: Key[Array, " n"], num_plies: Int[Array, " n"]
) -> tuple[UInt32[Array, "n K"], Bool[Array, " n"]]:
    """The key of the position after so many random moves of each game, and whether it is unfinished."""

    def play(rng_key: Key[Array, ""], num_plies: Int[Array, ""]) -> tuple[Array, Array]:
        def move(ply: Int[Array, ""], state: State) -> State:
            key_action, key_outcome = jax.random.split(jax.random.fold_in(rng_key, ply))
            legal = game.legal_actions(state)
            action = jax.random.categorical(key_action, jnp.where(legal, 0.0, -jnp.inf))
            outcome = jax.random.categorical(key_outcome, jnp.log(game.outcome_probs(state, action)))
            after, _ = game.apply(state, action, outcome)
            # A finished game stays as it is.
            return jax.tree.map(lambda new, old: jnp.where(jnp.any(legal), new, old), after, state)

        state = jax.lax.fori_loop(0, num_plies, move, game.init())
        return game.encode(state), ~is_terminal(game, state)

    return jax.vmap(play)(key_games, num_plies)
