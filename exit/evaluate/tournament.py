"""Games between players of one game, many at once, from the same openings with either side first."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from exit.evaluate.decisions import CHUNK, ActFn
from exit.game import Game, State, Step, is_terminal
from exit.solve import states_of

_MAX_PLIES = 1000

ChooseFn = Callable[[State, Bool[np.ndarray, " B"]], Int[np.ndarray, " B"]]
"""`choose(states, own)`: moves at a batch of states, of which only those that are its own count."""


def chooser(act_fn: ActFn, budget: int) -> ChooseFn:
    """A player who searches each of its own states with a budget."""
    return lambda states, own: np.asarray(act_fn(states, np.where(own, budget, 0).astype(np.int32)).action)


def pairs_in_order(strength: Float[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """Who meets whom: everybody those who are 1, 2, 4, 8 places stronger, the weaker one first."""
    order = np.argsort(strength, kind="stable")
    near = (1, 2, 4, 8)
    return [(int(order[k]), int(order[k + far])) for far in near for k in range(len(order) - far)]


def play_pair(
    first: ChooseFn, second: ChooseFn, *, game: Game, openings: UInt32[np.ndarray, "n K"], seed: int = 0
) -> Float[np.ndarray, " n"]:
    """Points of the first player in two games from each opening, either side to move first, divided by two.

    A game is won by whom its discounted rewards favour. One that has not ended after 1,000 moves is judged by
    what it has brought until then.

    Args:
      openings: keys of unfinished states.
      seed: of chance.
    """
    points = [np.zeros(0)]
    for start in range(0, len(openings), CHUNK // 2):
        some = openings[start : start + CHUNK // 2]
        points.append(_played(first, second, game, some, jax.random.fold_in(jax.random.key(seed), start)))
    return np.concatenate(points)


def has_opponent(game: Game, *, num_games: int = 256, seed: int = 0) -> bool:
    """Whether the turn passes in some of so many random games from the start."""
    start = np.asarray(game.encode(game.init()))
    states = states_of(game, np.repeat(start[None], num_games, axis=0))
    rng_key, over = jax.random.key(seed), np.zeros(num_games, bool)
    for ply in range(_MAX_PLIES):
        key_actions, key_outcomes = jax.random.split(jax.random.fold_in(rng_key, ply))
        actions = _anything(game, states, key_actions)
        states, step, ended = jax.device_get(_moved(game, states, actions, key_outcomes))
        if (step.discount[~over] < 0).any():
            return True
        over |= ended
        if over.all():
            break
    return False


def _played(
    first: ChooseFn,
    second: ChooseFn,
    game: Game,
    openings: UInt32[np.ndarray, "n K"],
    rng_key: Key[Array, ""],
) -> Float[np.ndarray, " n"]:
    """Points as `play_pair` tells them, all games at once."""
    num = len(openings)
    state = states_of(game, np.concatenate([openings, openings]))
    firsts_turn = np.repeat([True, False], num)
    total, weight, over = np.zeros(2 * num), np.ones(2 * num), np.zeros(2 * num, bool)
    for ply in range(_MAX_PLIES):
        own, others = firsts_turn & ~over, ~firsts_turn & ~over
        actions = np.where(firsts_turn, first(state, own), second(state, others))
        state, step, ended = jax.device_get(_moved(game, state, actions, jax.random.fold_in(rng_key, ply)))
        total += np.where(over, 0, np.where(firsts_turn, 1, -1) * weight * step.reward)
        firsts_turn = firsts_turn ^ (step.discount < 0)
        weight *= np.abs(step.discount)
        over |= ended
        if over.all():
            break
    return (0.5 + 0.5 * np.sign(total)).reshape(2, num).mean(axis=0)


def table_of(
    pairs: Sequence[tuple[int, int]], points: Float[np.ndarray, " p"], games: float, num_players: int
) -> Float[np.ndarray, "n n"]:
    """Points of each against each, from the share that the first of every pair won in so many games."""
    table = np.zeros((num_players, num_players))
    for (first, second), share in zip(pairs, points, strict=True):
        table[first, second] += games * share
        table[second, first] += games * (1 - share)
    return table


@functools.partial(jax.jit, static_argnums=0)
def _anything(game: Game, states: State, rng_key: Key[Array, ""]) -> Int[Array, " B"]:
    """Any legal moves."""
    legal = jax.vmap(game.legal_actions)(states)
    return jax.random.categorical(rng_key, jnp.where(legal, 0.0, -jnp.inf))


@functools.partial(jax.jit, static_argnums=0)
def _moved(
    game: Game, states: State, actions: Int[Array, " B"], rng_key: Key[Array, ""]
) -> tuple[State, Step, Bool[Array, " B"]]:
    """The states after a move each, chance doing as it does; a finished one stays as it is."""

    def move(state: State, action: Array, rng_key: Key[Array, ""]) -> tuple[State, Step, Array]:
        outcome = jax.random.categorical(rng_key, jnp.log(game.outcome_probs(state, action)))
        after, step = game.apply(state, action, outcome.astype(jnp.int32))
        done = is_terminal(game, state)
        after = jax.tree.map(lambda new, old: jnp.where(done, old, new), after, state)
        return after, step, done | (step.discount == 0) | is_terminal(game, after)

    return jax.vmap(move)(states, actions, jax.random.split(rng_key, len(actions)))
