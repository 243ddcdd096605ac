"""Random games by our rules, and what differs where other rules replay them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from exit.game import Game, State


class Games(NamedTuple):
    """Games of two players side by side, ply by ply.

    Attributes:
      running: whether a move was made; False once the game is over.
      player: whose turn it was; 0 is the player who moves first.
      legal: which actions were.
      action: the move made, by our numbering.
      rewards: of the move, to either player.
      over: whether the move ended the game.
    """

    running: Bool[np.ndarray, "T B"]
    player: Int[np.ndarray, "T B"]
    legal: Bool[np.ndarray, "T B A"]
    action: Int[np.ndarray, "T B"]
    rewards: Float[np.ndarray, "T B 2"]
    over: Bool[np.ndarray, "T B"]


class Differences(NamedTuple):
    """In how many of the moves compared two sets of rules differ, by what differs."""

    games: int
    moves: int
    legal: int
    player: int
    rewards: int
    over: int

    @property
    def total(self) -> int:
        return self.legal + self.player + self.rewards + self.over


def random_games(game: Game, num_games: int, seed: int, *, likely: tuple[int, ...] = ()) -> Games:
    """Games of a deterministic two-player game, played to their end with random legal moves.

    Args:
      likely: actions that are taken in about half of the positions where one is legal.
    """
    play = _plies(game, likely)
    rng_key = jax.random.key(seed)
    state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_games, *leaf.shape)), game.init())
    player, plies = jnp.zeros(num_games, jnp.int32), []
    while True:
        key_moves = jax.random.split(jax.random.fold_in(rng_key, len(plies)), num_games)
        state, player, ply = play(key_moves, state, player)
        ply = Games(*jax.device_get(ply))
        if not ply.running.any():
            return Games(*map(np.stack, zip(*plies, strict=True)))
        plies.append(ply)


@functools.cache
def _plies(game: Game, likely: tuple[int, ...]) -> Callable[..., Any]:
    """`_ply` of many games at once, compiled once."""
    return jax.jit(jax.vmap(functools.partial(_ply, game, likely)))


def _ply(
    game: Game, likely: tuple[int, ...], rng_key: Key[Array, ""], state: State, player: Int[Array, ""]
) -> tuple[State, Int[Array, ""], tuple[Array, ...]]:
    """One random move: the next state and player, and one entry of `Games`. The key is consumed."""
    legal = game.legal_actions(state)
    favoured = np.isin(np.arange(game.num_actions), likely)
    logits = jnp.where(favoured, np.log(game.num_actions), 0.0)
    action = jax.random.categorical(rng_key, jnp.where(legal, logits, -jnp.inf))
    running = jnp.any(legal)
    after, step = game.apply(state, action, jnp.int32(0))
    # What an action makes of a finished game means nothing: it may even go on.
    after = jax.tree.map(lambda old, new: jnp.where(running, new, old), state, after)
    mover = jnp.where(np.arange(2) == player, 1.0, -1.0)
    rewards = jnp.where(running, mover * step.reward, 0.0)
    ply = (running, player, legal, action, rewards, running & (step.discount == 0))
    return after, jnp.where(step.discount < 0, 1 - player, player), ply


def differences(ours: Games, theirs: Games) -> Differences:
    """Compares every move that was made."""
    running = ours.running

    def count(differs: Bool[np.ndarray, "T B ..."]) -> int:
        return int((differs.reshape(*running.shape, -1).any(axis=-1) & running).sum())

    return Differences(
        games=running.shape[1],
        moves=int(running.sum()),
        legal=count(ours.legal != theirs.legal),
        player=count(ours.player != theirs.player),
        rewards=count(ours.rewards != theirs.rewards),
        over=count(ours.over != theirs.over),
    )
