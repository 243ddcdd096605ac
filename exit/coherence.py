"""Coherence of an amortized cache: does a state's value agree with what its successors' values back up to?

The residual at depth d is the network's value of a state minus the backup of its values d moves further on:
the best move for whoever moves, chance by expectation, finished games exact. Every move is followed, so that
a state costs (A C)^d evaluations at its deepest.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.programs import kept

MAX_LEAVES = 1 << 15
"""States that are evaluated at once."""

_SHARPNESS = 5.0
"""How much the improved policy makes of the best of the backups against the worst, in nats.

What Gumbel search with its usual constants makes of action values before the first visit (Danihelka et al.,
2022, equation 8)."""


class Coherence(NamedTuple):
    """What a network says of n states, and what it says of their successors to depths 1 to D.

    Attributes:
      value: the network's, in reward units, to the player to move.
      prior: the reflex policy over legal actions.
      qvalues: of each action by the backup of each depth; -inf where illegal.
    """

    value: Float[np.ndarray, " n"]
    prior: Float[np.ndarray, "n A"]
    qvalues: Float[np.ndarray, "D n A"]

    @property
    def value_residual(self) -> Float[np.ndarray, "D n"]:
        """The network's value minus the backed-up one; 0 everywhere for a cache that agrees with itself."""
        return self.value - self.qvalues.max(axis=-1)

    @property
    def reflex_regret(self) -> Float[np.ndarray, "D n"]:
        """What the reflex's move, the most probable one, gives away by the backups."""
        move = self.prior.argmax(axis=-1)
        return self.qvalues.max(axis=-1) - self.qvalues[:, np.arange(len(move)), move]

    @property
    def policy_residual(self) -> Float[np.ndarray, "D n"]:
        """Divergence of the prior from the policy that the backups improve it to, in nats."""
        legal = np.isfinite(self.qvalues)
        low = np.where(legal, self.qvalues, np.inf).min(axis=-1, keepdims=True)
        span = self.qvalues.max(axis=-1, keepdims=True) - low
        scaled = np.where(legal, (self.qvalues - low) / np.maximum(span, 1e-8), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_prior = np.where(legal, np.log(self.prior), -np.inf)
            logits = log_prior + _SHARPNESS * scaled
            log_improved = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            improved = np.exp(log_improved)
            terms = np.where(improved > 0, improved * (log_improved - log_prior), 0.0)
        return terms.sum(axis=-1)


def coherence(params: Params, states: State, *, game: Game, predict: PredictFn, max_depth: int) -> Coherence:
    """Values, priors and backups of unfinished states.

    Args:
      states: stacked along a leading axis, any number of them.
      max_depth: the deepest backup; those of all lesser depths come with it.

    Raises:
      ValueError: `max_depth` is below 1, or one state has more successors than are evaluated at once.
    """
    leaves = num_leaves(game, max_depth)
    if max_depth < 1 or leaves > MAX_LEAVES:
        raise ValueError(
            f"max_depth is {max_depth}, at which a state of {game.name} has {leaves:,} successors; "
            f"give 1 to {deepest(game)}"
        )
    num_states = len(jax.tree.leaves(states)[0])
    chunk = min(MAX_LEAVES // leaves, 1 << max(0, num_states - 1).bit_length())
    parts = []
    for start in range(0, num_states, chunk):
        # Filled up to one size, so that one program serves all.
        rows = np.arange(start, start + chunk).clip(max=num_states - 1)
        some = jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], states)
        found = jax.device_get(backups(params, some, game=game, predict=predict, max_depth=max_depth))
        parts.append(jax.tree.map(lambda leaf, start=start: leaf[: num_states - start], found))
    value, prior, qvalues = (list(column) for column in zip(*parts, strict=True))
    return Coherence(np.concatenate(value), np.concatenate(prior), np.moveaxis(np.concatenate(qvalues), 1, 0))


def num_leaves(game: Game, depth: int) -> int:
    """Successors at a depth, illegal ones counted: what a state costs at its deepest level."""
    return (game.num_actions * game.num_outcomes) ** depth


def deepest(game: Game, max_leaves: int = MAX_LEAVES) -> int:
    """The greatest depth at which a state has no more successors than given; at least 1."""
    depth = 1
    while depth < 3 and num_leaves(game, depth + 1) <= max_leaves:
        depth += 1
    return depth


class _Level(NamedTuple):
    """Successors of the states of the level above, `[B, n, A, C]`."""

    prob: Array
    reward: Array
    discount: Array
    legal: Bool[Array, "B n A"]


@kept(static=("game", "predict", "max_depth"))
def backups(
    params: Params, states: State, *, game: Game, predict: PredictFn, max_depth: int
) -> tuple[Array, Array, Array]:
    """The network's value `[B]` and prior `[B, A]`, and backed-up action values `[B, D, A]`; under `jit` too.

    Args:
      states: all of them are evaluated at once, with their successors.
    """
    legal = jax.vmap(game.legal_actions)(states)
    logits, value = predict(params, jax.vmap(game.observe)(states))
    prior = jax.nn.softmax(jnp.where(legal, logits, jnp.finfo(logits.dtype).min))
    levels: list[_Level] = []
    qvalues = []
    here = jax.tree.map(lambda leaf: leaf[:, None], states)
    for _ in range(max_depth):
        after, level = jax.vmap(jax.vmap(functools.partial(_successors, game)))(here)
        levels.append(level)
        here = jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0], -1, *leaf.shape[4:]), after)
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), here)
        _, values = predict(params, jax.vmap(game.observe)(flat))
        qvalues.append(_backed_up(levels, values.reshape(level.reward.shape)))
    return value, jnp.where(legal, prior, 0.0), jnp.stack(qvalues, axis=1)


def _successors(game: Game, state: State) -> tuple[State, _Level]:
    """All states one move on, `[A, C]`, and what leads to them."""
    actions, outcomes = jnp.arange(game.num_actions), jnp.arange(game.num_outcomes)

    def follow(action: Array) -> Any:
        apply = functools.partial(game.apply, state, action)
        return game.outcome_probs(state, action), jax.vmap(apply)(outcomes)

    prob, (after, step) = jax.vmap(follow)(actions)
    return after, _Level(prob, step.reward, step.discount, game.legal_actions(state))


def _backed_up(levels: list[_Level], values: Array) -> Array:
    """Action values `[B, A]` of the states on top, from the values below the last level."""
    qvalues = values
    for level in reversed(levels):
        # The states of a level are the successors of the one above it.
        worth = level.reward + level.discount * values.reshape(level.reward.shape)
        # What cannot happen may be worth anything, even nothing that is a number.
        expected = jnp.sum(jnp.where(level.prob > 0, level.prob * worth, 0.0), axis=-1)
        qvalues = jnp.where(level.legal, expected, -jnp.inf)
        values = jnp.where(level.legal.any(-1), qvalues.max(-1), 0.0)
    return qvalues[:, 0]
