"""What a game declares, and the shapes and types of its methods, all without a position."""

import copy
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from exit.conformance.failures import GameError, called, failure
from exit.game import (
    Game,
    action_features_of,
    action_name_of,
    statistic_names_of,
    statistics_of,
    symmetric_observations_of,
    symmetries_of,
)


def declared_game(game: object) -> Game:
    """The object itself, if it has all a game declares and can be a static argument of compiled programs."""
    if not isinstance(game, Game):
        missing = [name for name in _protocol_members() if not hasattr(game, name)]
        raise GameError(f"{type(game).__name__} is no Game: it has no {', '.join(missing)}")
    if not isinstance(game.name, str) or not game.name:
        raise GameError(f"{type(game).__name__}: name must be a text, got {game.name!r}")
    for name in ("num_actions", "num_outcomes", "version"):
        if not isinstance(number := getattr(game, name), int) or number < 1:
            raise failure(game, f"{name} must be a whole number of at least 1, got {number!r}")
    low, high = game.value_bounds
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise failure(
            game, f"value_bounds must be two finite numbers, the lower first, got {game.value_bounds}"
        )
    twin = copy.deepcopy(game)
    if called(game, "hash", lambda: hash(game) != hash(twin)) or game != twin:
        raise failure(game, "a copy must be equal and hash alike; make the game a frozen dataclass")
    return game


def _protocol_members() -> list[str]:
    return [name for name in vars(Game) if not name.startswith("_")]


def check_types(game: Game) -> None:
    """Shapes and dtypes of every method, without running any."""
    state = called(game, "init", lambda: jax.eval_shape(game.init))
    number = jax.ShapeDtypeStruct((), jnp.int32)
    num_actions, num_outcomes = game.num_actions, game.num_outcomes

    def result(method: str, *arguments: Any) -> Any:
        return called(game, method, lambda: jax.eval_shape(getattr(game, method), *arguments))

    _check_array(game, "legal_actions", result("legal_actions", state), (num_actions,), jnp.bool_)
    _check_array(game, "outcome_probs", result("outcome_probs", state, number), (num_outcomes,), jnp.floating)
    _check_array(game, "observe", result("observe", state), game.observation_shape, jnp.float32)
    if hasattr(game, "observed_value_bounds"):
        for bound in result("observed_value_bounds", result("observe", state)):
            _check_array(game, "each of observed_value_bounds", bound, (), jnp.floating)
    _check_action_features(game)
    _check_statistics(game, state)
    after, step = result("apply", state, number, number)
    _check_same_type(game, "apply", after, state)
    _check_array(game, "the reward of apply", step.reward, (), jnp.floating)
    _check_array(game, "the discount of apply", step.discount, (), jnp.floating)
    key = result("encode", state)
    _check_array(game, "encode", key, (None,), jnp.uint32)
    _check_same_type(game, "decode", result("decode", key), state)
    images, actions = called(
        game, "symmetries", lambda: jax.eval_shape(lambda s: symmetries_of(game, s), state)
    )
    _check_array(game, "the actions of symmetries", actions, (None, num_actions), jnp.integer)
    one_image = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), images)
    _check_same_type(game, "the states of symmetries without their first axis", one_image, state)
    entries = called(game, "symmetric_observations", lambda: symmetric_observations_of(game))
    if entries is not None:
        shape = (len(actions), math.prod(game.observation_shape))
        _check_array(game, "symmetric_observations", entries, shape, jnp.integer)
        if not (np.sort(entries, axis=1) == np.arange(shape[1])).all():
            raise failure(game, f"each of symmetric_observations must have 0 to {shape[1] - 1} once")
    names = called(
        game, "action_name", lambda: [action_name_of(game, action) for action in range(num_actions)]
    )
    if not all(isinstance(name, str) for name in names) or len(set(names)) < num_actions:
        raise failure(game, "action_name must give each action a text of its own")


def _check_action_features(game: Game) -> None:
    features = called(game, "action_features", lambda: action_features_of(game))
    if features is not None:
        _check_array(game, "action_features", np.asarray(features), (game.num_actions, None), jnp.floating)
        if not np.isfinite(features).all():
            raise failure(game, "action_features must be finite")


def _check_statistics(game: Game, state: Any) -> None:
    names = statistic_names_of(game)
    if not all(isinstance(name, str) and name.isidentifier() for name in names) or len(set(names)) < len(
        names
    ):
        raise failure(game, "statistic_names must give each statistic a name of its own that Python allows")
    found = called(game, "statistics", lambda: jax.eval_shape(lambda s: statistics_of(game, s), state))
    _check_array(game, "statistics", found, (len(names),), jnp.floating)


def _check_array(game: Game, what: str, found: Any, shape: tuple[int | None, ...], dtype: Any) -> None:
    fits = len(found.shape) == len(shape) and all(
        want in (None, size) for want, size in zip(shape, found.shape, strict=True)
    )
    if not fits or not jnp.issubdtype(found.dtype, dtype):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        type_name = getattr(dtype, "__name__", str(dtype))
        raise failure(game, f"{what} must be {type_name} [{sizes}], got {found.dtype} {list(found.shape)}")


def _check_same_type(game: Game, what: str, found: Any, state: Any) -> None:
    def types_of(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree)

    if types_of(found) != types_of(state):
        raise failure(
            game, f"{what} must have the type of init's state, {types_of(state)}, got {types_of(found)}"
        )
