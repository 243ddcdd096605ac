"""Histories: what was done and what chance made of it, played, replayed and put into another order."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from exit.game import Game, State, statistic_of
from exit.network import Params, PredictFn


class Histories(NamedTuple):
    """Beginnings of n games of one player, none of them over.

    Attributes:
      actions, outcomes: of each move, `[n, T]`; what stands beyond the length means nothing.
      length: moves of each.
    """

    actions: Int[np.ndarray, "n T"]
    outcomes: Int[np.ndarray, "n T"]
    length: Int[np.ndarray, " n"]

    def of(self, rows: np.ndarray) -> "Histories":
        """Some of them."""
        return Histories(*(column[rows] for column in self))


def played_histories(
    params: Params, *, game: Game, predict: PredictFn, num: int, max_length: int, seed: int = 0
) -> Histories:
    """Histories of all lengths up to the longest that there is, from chance moves to the reflex's own.

    In each game a share of the moves, drawn uniformly, is random, the others are the reflex's. What could end
    the game at once is avoided while anything else is legal. The length is uniform as far as games last.
    """
    key_play, key_share, key_length = jax.random.split(jax.random.key(seed), 3)
    share = jax.random.uniform(key_share, (num,))
    played = _play(params, key_play, share, game=game, predict=predict, max_length=max_length)
    actions, outcomes, lasting = jax.device_get(played)
    wanted = jax.device_get(jax.random.randint(key_length, (num,), 0, max_length + 1))
    return Histories(actions, outcomes, np.minimum(wanted, lasting))


@functools.partial(jax.jit, static_argnames=("game", "predict", "max_length"))
def _play(
    params: Params,
    rng_key: Key[Array, ""],
    share: Float[Array, " n"],
    *,
    game: Game,
    predict: PredictFn,
    max_length: int,
) -> tuple[Int[Array, "n T"], Int[Array, "n T"], Int[Array, " n"]]:
    """Moves, their outcomes, and how many moves leave each game unfinished."""

    def move(
        carry: tuple[State, Bool[Array, " n"]], key_ply: Key[Array, ""]
    ) -> tuple[tuple[State, Bool[Array, " n"]], tuple[Array, Array, Array]]:
        states, going = carry
        key_share, key_action, key_outcome = jax.random.split(key_ply, 3)
        logits, _ = predict(params, jax.vmap(game.observe)(states))
        open_actions = jax.vmap(functools.partial(_going_on, game))(states)
        chance = jax.random.bernoulli(key_share, share)[:, None]
        wish = jnp.where(chance, jax.random.gumbel(key_action, logits.shape), logits)
        action = jnp.argmax(jnp.where(open_actions, wish, -jnp.inf), axis=1).astype(jnp.int32)
        probs = jax.vmap(game.outcome_probs)(states, action)
        outcome = jax.random.categorical(key_outcome, jnp.log(probs)).astype(jnp.int32)
        after, step = jax.vmap(game.apply)(states, action, outcome)
        going &= jnp.any(open_actions, axis=1) & (step.discount != 0)
        return (after, going), (action, outcome, going)

    start = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (share.shape[0], *leaf.shape)), game.init())
    keys = jax.random.split(rng_key, max_length)
    _, (actions, outcomes, going) = jax.lax.scan(move, (start, jnp.ones(share.shape[0], bool)), keys)
    return actions.T, outcomes.T, jnp.sum(going, axis=0)


def _going_on(game: Game, state: State) -> Bool[Array, " A"]:
    """Legal actions after which the game may go on; all legal ones where it ends anyway."""
    actions = jnp.arange(game.num_actions, dtype=jnp.int32)
    outcomes = jnp.arange(game.num_outcomes, dtype=jnp.int32)
    apply = jax.vmap(jax.vmap(game.apply, (None, None, 0)), (None, 0, None))
    legal = game.legal_actions(state)
    lasting = legal & jnp.any(apply(state, actions, outcomes)[1].discount != 0, axis=1)
    return jnp.where(jnp.any(lasting), lasting, legal)


@functools.partial(jax.jit, static_argnames="game")
def replayed(
    game: Game, actions: Int[Array, "n T"], outcomes: Int[Array, "n T"], length: Int[Array, " n"]
) -> tuple[State, Bool[Array, " n"]]:
    """The states after histories, and whether every move of them was legal and its outcome possible."""

    def replay(actions: Array, outcomes: Array, length: Array) -> tuple[State, Array]:
        def move(ply: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            state, fair = carry
            action, outcome = actions[ply], outcomes[ply]
            possible = game.legal_actions(state)[action] & (game.outcome_probs(state, action)[outcome] > 0)
            after, _ = game.apply(state, action, outcome)
            counts = ply < length
            after = jax.tree.map(lambda new, old: jnp.where(counts, new, old), after, state)
            return after, fair & (possible | ~counts)

        return jax.lax.fori_loop(0, actions.shape[0], move, (game.init(), jnp.bool_(True)))

    return jax.vmap(replay)(actions, outcomes, length)


class Reordered(NamedTuple):
    """Pairs of different histories with the same statistic.

    Attributes:
      first, second: the histories; the second has the first `changed` moves in another order.
      changed: how many moves may stand elsewhere.
    """

    first: Histories
    second: Histories
    changed: Int[np.ndarray, " n"]


def reordered(
    game: Game, histories: Histories, changed: Int[np.ndarray, " n"], *, seed: int = 0
) -> Reordered:
    """Each history beside itself with its first `changed` moves shuffled, where that is another history.

    Pairs are left out where the shuffled moves are the same, cannot be played, or come to other statistics.

    Raises:
      ValueError: the game names no sufficient statistic.
    """
    rng = np.random.default_rng(seed)
    places = np.arange(histories.actions.shape[1])
    rank = np.where(places < changed[:, None], rng.random(histories.actions.shape), 1 + places)
    order = np.argsort(rank, axis=1)
    actions, outcomes = (np.take_along_axis(column, order, axis=1) for column in histories[:2])
    shuffled = Histories(actions, outcomes, histories.length)
    (states, _), (others, fair) = (replayed(game, *each) for each in (histories, shuffled))
    same = _same_statistic(game, states, others)
    differ = (_keys(game, states) != _keys(game, others)).any(axis=1)
    rows = np.flatnonzero(np.asarray(fair) & np.asarray(same) & differ)
    return Reordered(histories.of(rows), shuffled.of(rows), changed[rows])


@functools.partial(jax.jit, static_argnames="game")
def _same_statistic(game: Game, states: State, others: State) -> Bool[Array, " n"]:
    def same(state: State, other: State) -> Bool[Array, ""]:
        pairs = zip(*(jax.tree.leaves(statistic_of(game, each)) for each in (state, other)), strict=True)
        return jnp.all(jnp.stack([jnp.all(a == b) for a, b in pairs]))

    return jax.vmap(same)(states, others)


@functools.partial(jax.jit, static_argnames="game")
def _keys(game: Game, states: State) -> UInt32[Array, "n K"]:
    return jax.vmap(game.encode)(states)
