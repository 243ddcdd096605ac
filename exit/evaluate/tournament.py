"""Games between players of one game, many at once, from the same openings with either side first."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from exit.evaluate.decisions import ActFn
from exit.game import Game, State, Step, is_terminal
from exit.solve import states_of

ChooseFn = Callable[[State, Bool[np.ndarray, " B"]], Int[np.ndarray, " B"]]
"""`choose(states, own)`: moves at a batch of states, of which only those that are its own count."""


def chooser(act_fn: ActFn, budget: int) -> ChooseFn:
    """A player who searches each of its own states with a budget."""
    return lambda states, own: np.asarray(act_fn(states, np.where(own, budget, 0).astype(np.int32)).action)


def pairs_in_order(strength: Float[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """Who meets whom: everybody those who are 1, 2, 4, 8 places stronger."""
    order = np.argsort(strength, kind="stable")
    near = (1, 2, 4, 8)
    return [(int(order[k]), int(order[k + far])) for far in near for k in range(len(order) - far)]


def play_pair(
    first: ChooseFn, second: ChooseFn, *, game: Game, openings: UInt32[np.ndarray, "n K"], seed: int = 0
) -> Float[np.ndarray, " n"]:
    """Points of the first player in two games from each opening, one with either to move, divided by two.

    Args:
      openings: keys of unfinished states.
      seed: of chance.

    Raises:
      ValueError: the turn never passes in any of the games: there is no opponent.
    """
    num = len(openings)
    state = states_of(game, np.concatenate([openings, openings]))
    moving_first = np.repeat([True, False], num)
    total, weight, over = np.zeros(2 * num), np.ones(2 * num), np.zeros(2 * num, bool)
    rng_key, passed = jax.random.key(seed), False
    for ply in range(1 << 16):
        if over.all():
            break
        actions = np.where(
            moving_first,
            first(state, moving_first & ~over),
            second(state, ~moving_first & ~over),
        )
        state, step, ended = jax.device_get(_moved(game, state, actions, jax.random.fold_in(rng_key, ply)))
        total += np.where(over, 0, np.where(moving_first, 1, -1) * weight * step.reward)
        passed |= bool((step.discount[~over] < 0).any())
        moving_first = moving_first ^ ((step.discount < 0) & ~over)
        weight *= np.where(over, 1, np.abs(step.discount))
        over |= ended
    if not passed:
        raise ValueError(f"the turn never passes in {game.name}: it has no opponent to be rated against")
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
