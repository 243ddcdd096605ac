"""Random games, and the rules that need more than one position of them or no compilation."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from exit.conformance.declared import check_types, declared_game
from exit.conformance.failures import called, failure
from exit.conformance.rules import RULES, PerRule, broken_rules, same, successors
from exit.game import Game, State, is_terminal, random_state_of, symmetries_of

_RETURN_TOLERANCE = 1e-5
"""Of the width of `value_bounds`: what adding up float32 rewards may stray."""

_QUICK_COMPILATION = {"xla_backend_optimization_level": 0}
"""Where a position has few successors, what the program takes, run once a ply, is to compile it."""

_FEW_SUCCESSORS = 256

_MAX_SUCCESSORS = 512
"""Of a position that are looked at, if the game has no symmetries."""


_NUM_DRAWN = 256
"""Random states that are looked at, if the game draws any."""


class _Ply(NamedTuple):
    """What one ply of all games showed; leaves have a leading axis of games.

    Attributes:
      running: False where the game was over before this ply, so that no move was played.
      broken: True where a rule was broken.
      reward: of the move played.
      discount: of the move played.
    """

    running: Bool[Array, ""]
    state: State
    key: UInt32[Array, " K"]
    broken: PerRule
    reward: Float[Array, ""]
    discount: Float[Array, ""]


def check_game(candidate: object, *, num_games: int = 16, max_plies: int = 1000, seed: int = 0) -> None:
    """Play random games and hold every position on the way against the protocol.

    Args:
      candidate: the game, or what is meant to be one.
      num_games: random games played side by side.
      max_plies: a game that is not over after so many moves is taken for one that never ends.

    Raises:
      GameError: the first rule found broken.
      ValueError: `num_games` or `max_plies` is below 1.
    """
    if num_games < 1 or max_plies < 1:
        raise ValueError(f"num_games and max_plies must be at least 1, got {num_games} and {max_plies}")
    game = declared_game(candidate)
    check_types(game)
    plies = _random_games(game, num_games, max_plies, seed)
    _check_returns(game, plies)
    _check_eagerly(game, plies)
    if hasattr(game, "random_state"):
        _check_random_states(game, seed)


def _check_random_states(game: Game, seed: int) -> None:
    """States that the game draws are unfinished, and their keys come back."""
    keys = jax.random.split(jax.random.key(seed), _NUM_DRAWN)

    def looked_at(
        rng_key: Key[Array, ""],
    ) -> tuple[UInt32[Array, " K"], Bool[Array, ""], Bool[Array, ""]]:
        state = random_state_of(game, rng_key)
        key = game.encode(state)
        return key, is_terminal(game, state), same(game.decode(key), state)

    key, over, whole = jax.device_get(
        called(game, "random_state", lambda: jax.jit(jax.vmap(looked_at))(keys))
    )
    if over.any():
        raise failure(game, "random_state must draw unfinished states; one is over", key[over][0])
    if not whole.all():
        raise failure(game, "the state that random_state draws must be that of its key", key[~whole][0])


def _random_games(game: Game, num_games: int, max_plies: int, seed: int) -> list[_Ply]:
    """Random games to their end, ply by ply, as arrays of the host; every rule held at every position."""
    quickly = game.num_actions * game.num_outcomes <= _FEW_SUCCESSORS
    play = jax.jit(
        jax.vmap(functools.partial(_ply, game)), compiler_options=_QUICK_COMPILATION if quickly else None
    )
    rng_key = jax.random.key(seed)
    state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_games, *leaf.shape)), game.init())
    plies: list[_Ply] = []
    while True:
        key_games = jax.random.split(jax.random.fold_in(rng_key, len(plies)), num_games)
        next_state, ply = play(key_games, state)
        ply = jax.device_get(ply)
        for rule, broken in zip(RULES, ply.broken, strict=True):
            if broken.any():
                raise failure(game, rule, ply.key[broken][0])
        if not ply.running.any():
            break
        if len(plies) == max_plies:
            rule = f"a game must end; one is not over after max_plies = {max_plies} moves"
            raise failure(game, rule, ply.key[ply.running][0])
        plies.append(ply)
        state = next_state
    if not plies:
        raise failure(game, "the initial state must have a legal action")
    return plies


def _ply(game: Game, rng_key: Key[Array, ""], state: State) -> tuple[State, _Ply]:
    """The next state after a random move, and what this ply showed. The key is consumed."""
    key_looked_at, key_action, key_outcome = jax.random.split(rng_key, 3)
    legal = game.legal_actions(state)
    actions = _looked_at(game, key_looked_at, legal)
    probs = jax.vmap(game.outcome_probs, (None, 0))(state, actions)
    after, step = successors(game, state, actions)
    move = jax.random.categorical(key_action, jnp.where(legal[actions], 0.0, -jnp.inf))
    outcome = jax.random.categorical(key_outcome, jnp.log(probs[move]))
    running = jnp.any(legal)
    next_state = jax.tree.map(lambda old, new: jnp.where(running, new[move, outcome], old), state, after)
    ply = _Ply(
        running=running,
        state=state,
        key=game.encode(state),
        broken=broken_rules(game, state, actions, after, step),
        reward=step.reward[move, outcome],
        discount=step.discount[move, outcome],
    )
    return next_state, ply


def _looked_at(game: Game, rng_key: Key[Array, ""], legal: Bool[Array, " A"]) -> Int[Array, " M"]:
    """Actions to look at: all of them, or as many as there is time for, drawn from the legal ones first."""
    num_looked_at = max(1, _MAX_SUCCESSORS // game.num_outcomes)
    if hasattr(game, "symmetries") or game.num_actions <= num_looked_at:
        return jnp.arange(game.num_actions)
    _, actions = jax.lax.top_k(legal + jax.random.uniform(rng_key, legal.shape), num_looked_at)
    return actions


def _check_returns(game: Game, plies: list[_Ply]) -> None:
    """Every return, to the player to move, must lie within `value_bounds`."""
    low, high = game.value_bounds
    slack = _RETURN_TOLERANCE * (high - low)
    value = np.zeros(len(plies[0].running))
    for ply in reversed(plies):
        value = np.where(ply.running, ply.reward + ply.discount * value, 0.0)
        outside = (value < low - slack) | (value > high + slack)
        if outside.any():
            rule = f"value_bounds {game.value_bounds} must hold every return, but {value[outside][0]:g} came"
            raise failure(game, rule, ply.key[outside][0])


def _check_eagerly(game: Game, plies: list[_Ply]) -> None:
    """Compiled and uncompiled, the methods must return the same."""

    def everything(state: State, action: Int[Array, ""]) -> tuple[Any, ...]:
        outcome = jnp.int32(0)
        after = game.apply(state, action, outcome)
        views = (game.legal_actions(state), game.observe(state), game.encode(state))
        return (*views, game.outcome_probs(state, action), after, symmetries_of(game, state))

    compiled = jax.jit(everything)
    for index in sorted({0, len(plies) // 2, len(plies) - 1}):
        state = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), plies[index].state)
        action = jnp.argmax(game.legal_actions(state)).astype(jnp.int32)
        with jax.disable_jit():
            plain = called(game, "a method without jit", functools.partial(everything, state, action))
        if not jax.jit(same)(plain, compiled(state, action)):
            raise failure(game, "methods must return the same with and without jit", plies[index].key[0])
