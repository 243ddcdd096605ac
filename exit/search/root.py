"""What every tree is told of its root, and what it answers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from exit.game import Game, State, is_terminal
from exit.network import Params, PredictFn


class Root(NamedTuple):
    """What is known of each state before the first simulation."""

    state: State
    prior_logits: Float[Array, "B A"]
    value: Float[Array, " B"]
    legal_actions: Bool[Array, "B A"]
    budget: Int[Array, " B"]


class RootStatistics(NamedTuple):
    """What the tree says of each root after its budget.

    Attributes:
      scaled_qvalues: the Q-values as they are added to prior logits.
      qvalues: in reward units, completed by the mixed value.
    """

    action: Int[Array, " B"]
    visit_counts: Int[Array, "B A"]
    scaled_qvalues: Float[Array, "B A"]
    qvalues: Float[Array, "B A"]


def legal_logits(logits: Float[Array, "... A"], legal_actions: Bool[Array, "... A"]) -> Float[Array, "... A"]:
    """Logits whose maximum over legal actions is 0, and the least finite number where illegal."""
    least = jnp.finfo(logits.dtype).min
    highest = jnp.max(jnp.where(legal_actions, logits, least), axis=-1, keepdims=True)
    return jnp.where(legal_actions, logits - highest, least)


def split_key(rng_key: Key[Array, ""]) -> tuple[Key[Array, ""], Key[Array, ""]]:
    """Keys for the Gumbel noise and the search, drawn as mctx's own policy draws them, so that both agree."""
    key_search, key_gumbel = jax.random.split(rng_key)
    return key_gumbel, key_search


def considered_score(
    gumbel: Float[Array, "... A"],
    prior_logits: Float[Array, "... A"],
    scaled_qvalues: Float[Array, "... A"],
    considered: Bool[Array, "... A"],
) -> Float[Array, "... A"]:
    """Score whose greatest entry is visited next, or played; considered actions come before all others."""
    score = jnp.maximum(-1e9, gumbel + prior_logits + scaled_qvalues)
    return jnp.where(considered, score, -jnp.inf)


class Moved(NamedTuple):
    """What a move leads to, and the network's view of it."""

    state: State
    reward: Float[Array, " B"]
    discount: Float[Array, " B"]
    prior_logits: Float[Array, "B A"]
    value: Float[Array, " B"]


def move(params: Params, state: State, action: Int[Array, " B"], *, game: Game, predict: PredictFn) -> Moved:
    """One move in each state; a finished game stays as it is and brings nothing more."""

    def apply(state: State, action: Int[Array, ""]) -> tuple:
        over = is_terminal(game, state)
        next_state, step = game.apply(state, action, jnp.int32(0))
        next_state = jax.tree.map(lambda new, old: jnp.where(over, old, new), next_state, state)
        live = jnp.where(over, 0.0, 1.0)
        legal_actions = game.legal_actions(next_state)
        return next_state, step.reward * live, step.discount * live, legal_actions, game.observe(next_state)

    next_state, reward, discount, legal_actions, observation = jax.vmap(apply)(state, action)
    prior_logits, value = predict(params, observation)
    return Moved(
        state=next_state,
        reward=reward,
        discount=discount,
        prior_logits=legal_logits(prior_logits, legal_actions),
        value=jnp.where(jnp.any(legal_actions, axis=-1), value, 0.0),
    )
