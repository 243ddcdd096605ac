"""The rules that every position of a game must keep, as one traced function of the position."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from exit.game import (
    Game,
    State,
    Step,
    is_terminal,
    observed_value_bounds_of,
    statistic_game_of,
    statistic_of,
    symmetric_observations_of,
    symmetric_outcomes_of,
    symmetries_of,
)

_TOLERANCE = 1e-5


class PerRule(NamedTuple):
    """One entry for each rule that is tried at every position, in the order of reporting."""

    key: Any
    observation: Any
    chance: Any
    finite: Any
    discount: Any
    over: Any
    bounds: Any
    statistic: Any
    identity: Any
    permutation: Any
    same_legal: Any
    same_chance: Any
    commutes: Any
    seen: Any
    alike: Any


RULES = PerRule(
    key="decode(encode(state)) must be the state",
    observation="observe must be finite",
    chance="outcome_probs of a legal action must be 0 or more and sum to one",
    finite="reward and discount must be finite",
    discount="discount must lie between -1 and 1",
    over="discount must be 0 exactly where the next state has no legal action",
    bounds="observed_value_bounds must hold the value that those of the next states leave open",
    statistic="statistic must keep legal actions, chances, rewards and what follows, in statistic_game",
    identity="the identity must come first among the symmetries",
    permutation="symmetries must map the actions one to one, and the outcomes",
    same_legal="a symmetry must carry the legal actions along",
    same_chance="a symmetry must keep outcome_probs",
    commutes="a symmetry must commute with apply",
    seen="a symmetry must move the observation as symmetric_observations says",
    alike="where there are symmetric_observations, a symmetry must move actions alike in every state",
)


def successors(game: Game, state: State, actions: Int[Array, " A"]) -> tuple[State, Step]:
    """Every next state and step, with leading axes of actions and outcomes."""
    outcomes = jnp.arange(game.num_outcomes)
    return jax.vmap(jax.vmap(game.apply, (None, None, 0)), (None, 0, None))(state, actions, outcomes)


def broken_rules(game: Game, state: State, actions: Int[Array, " M"], after: State, step: Step) -> PerRule:
    """Which rules one position breaks, given all that can follow some actions, `[M, C]`.

    Args:
      actions: those looked at; all of them in a game with symmetries.
    """
    legal = game.legal_actions(state)[actions]
    probs = jax.vmap(game.outcome_probs, (None, 0))(state, actions)
    possible = legal[:, None] & (probs > 0)
    fair = jnp.all(probs >= 0, axis=1) & (jnp.abs(probs.sum(axis=1) - 1) <= _TOLERANCE)
    finite = jnp.isfinite(step.reward) & jnp.isfinite(step.discount)
    over = jax.vmap(jax.vmap(functools.partial(is_terminal, game)))(after)
    broken_by_bounds, broken_by_symmetries = jnp.bool_(False), (jnp.bool_(False),) * 7
    if hasattr(game, "observed_value_bounds"):
        broken_by_bounds = _broken_by_bounds(game, state, jnp.where(legal[:, None], probs, 0.0), after, step)
    broken_by_statistic = jnp.bool_(False)
    if statistic_game_of(game) is not None:
        broken_by_statistic = _broken_by_statistic(game, state, actions, after, step)
    if hasattr(game, "symmetries"):
        broken_by_symmetries = _broken_by_symmetries(game, state, after, step)
    return PerRule(
        # Exactly, not up to rounding: then no two states that differ can share a key.
        ~same(game.decode(game.encode(state)), state, tolerance=0.0),
        ~jnp.all(jnp.isfinite(game.observe(state))),
        jnp.any(legal & ~fair),
        jnp.any(possible & ~finite),
        jnp.any(possible & (jnp.abs(step.discount) > 1)),
        jnp.any(possible & ((step.discount == 0) != over)),
        broken_by_bounds,
        broken_by_statistic,
        *broken_by_symmetries,
    )


def _broken_by_bounds(
    game: Game, state: State, probs: Float[Array, "M C"], after: State, step: Step
) -> Bool[Array, ""]:
    """Whether bounds of one unfinished position's value and those of what follows cannot both be right.

    Args:
      probs: of every outcome of the actions looked at; 0 where they are illegal.
    """

    def bounds(state: State) -> Float[Array, "2"]:
        return jnp.stack(observed_value_bounds_of(game, game.observe(state)))

    low, high = bounds(state)
    least, most = jnp.sort(step.discount[..., None] * jax.vmap(jax.vmap(bounds))(after), axis=-1).T
    legal = jnp.any(probs > 0, axis=1)

    def best(values: Float[Array, "C M"]) -> Float[Array, ""]:
        expected = jnp.sum(jnp.where(probs > 0, probs * (step.reward + values.T), 0.0), axis=1)
        return jnp.max(jnp.where(legal, expected, -jnp.inf))

    slack = _TOLERANCE * (game.value_bounds[1] - game.value_bounds[0])
    too_low = best(least) > high + slack
    # Actions that are not looked at may be better than those that are.
    too_high = (best(most) < low - slack) & (len(probs) == game.num_actions)
    return jnp.any(legal) & (~(low <= high + slack) | too_low | too_high)


def _broken_by_statistic(
    game: Game, state: State, actions: Int[Array, " M"], after: State, step: Step
) -> Bool[Array, ""]:
    """Whether one position and its statistic differ in what may be done, or in what comes of it."""
    other, statistic = statistic_game_of(game), functools.partial(statistic_of, game)
    assert other is not None
    legal, seen = game.legal_actions(state), statistic(state)
    probs, expected_probs = (
        jax.vmap(each.outcome_probs, (None, 0))(at, actions) for each, at in ((game, state), (other, seen))
    )
    expected = successors(other, seen, actions)
    followed = jax.vmap(jax.vmap(same))((jax.vmap(jax.vmap(statistic))(after), step), expected)
    kept = followed & (jnp.abs(probs - expected_probs) <= _TOLERANCE)
    possible = legal[actions][:, None] & (jnp.maximum(probs, expected_probs) > 0)
    return jnp.any(legal != other.legal_actions(seen)) | jnp.any(possible & ~kept)


def _broken_by_symmetries(game: Game, state: State, after: State, step: Step) -> tuple[Bool[Array, ""], ...]:
    """The last seven rules: of the identity, of permutations, and of what every symmetry must keep."""
    legal, actions = game.legal_actions(state), jnp.arange(game.num_actions)
    probs = jax.vmap(game.outcome_probs, (None, 0))(state, actions)
    images, image_actions = symmetries_of(game, state)
    image_outcomes = jnp.asarray(symmetric_outcomes_of(game, len(image_actions)))
    images_after = jax.vmap(jax.vmap(lambda successor: symmetries_of(game, successor)[0]))(after)

    def kept(
        image: State, actions: Int[Array, " A"], outcomes: Int[Array, " C"], image_after: State
    ) -> tuple[Bool[Array, ""], Bool[Array, ""], Bool[Array, ""]]:
        image_probs = jax.vmap(game.outcome_probs, (None, 0))(image, actions)[:, outcomes]
        found = jax.tree.map(lambda leaf: leaf[:, outcomes], successors(game, image, actions))
        followed = jax.vmap(jax.vmap(same))(found, (image_after, step))
        return (
            jnp.all(game.legal_actions(image)[actions] == legal),
            jnp.all(~legal[:, None] | (jnp.abs(image_probs - probs) <= _TOLERANCE)),
            jnp.all(~(legal[:, None] & (probs > 0)) | followed),
        )

    kept_by_each = jax.vmap(kept, (0, 0, 0, 2))(images, image_actions, image_outcomes, images_after)
    first = (jax.tree.map(lambda leaf: leaf[0], images), image_actions[0])
    entries, seen, alike = symmetric_observations_of(game), jnp.bool_(True), jnp.bool_(True)
    if entries is not None:
        alike = jnp.all(image_actions == symmetries_of(game, game.init())[1])
        moved = jax.vmap(lambda image: jnp.ravel(game.observe(image)))(images)
        seen = same(moved, jnp.ravel(game.observe(state))[entries])
    return (
        ~same(first, (state, actions)),
        jnp.any(jnp.sort(image_actions, axis=1) != actions)
        | jnp.any(jnp.sort(image_outcomes, axis=1) != jnp.arange(game.num_outcomes)),
        *(~jnp.all(kept) for kept in kept_by_each),
        ~seen,
        ~alike,
    )


def same(left: Any, right: Any, *, tolerance: float = _TOLERANCE) -> Bool[Array, ""]:
    """Whether two trees hold the same numbers, floats up to a tolerance, both absolute and relative."""

    def equal(a: Shaped[Array, "..."], b: Shaped[Array, "..."]) -> Bool[Array, ""]:
        exact = not jnp.issubdtype(a.dtype, jnp.inexact)
        return jnp.all(a == b if exact else jnp.isclose(a, b, rtol=tolerance, atol=tolerance))

    return functools.reduce(jnp.logical_and, jax.tree.leaves(jax.tree.map(equal, left, right)))
