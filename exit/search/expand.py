"""New nodes: the rules, the network, and what is known of a node before it is visited."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search.config import SearchConfig
from exit.search.node import Limits, is_legal, node_of
from exit.search.policy import interior_action
from exit.search.tree import OVER, UNVISITED, Rows


def legal_logits(logits: Float[Array, "... A"], legal_actions: Bool[Array, "... A"]) -> Float[Array, "... A"]:
    """Logits whose maximum over legal actions is 0, and the least finite number where illegal."""
    least = jnp.finfo(logits.dtype).min
    highest = jnp.max(jnp.where(legal_actions, logits, least), axis=-1, keepdims=True)
    return jnp.where(legal_actions, logits - highest, least)


def root_rows(
    state: State,
    prior_logits: Float[Array, "M A"],
    value: Float[Array, " M"],
    limits: Limits,
    config: SearchConfig,
) -> Rows:
    """Rows of roots; `prior_logits` as `legal_logits` gives them, `value` 0 where the game is over."""
    nobody = jnp.full_like(value, UNVISITED, jnp.int32)
    zeros = jnp.zeros_like(value)
    facts = [value, zeros, zeros, zeros + 1.0]
    return _rows(state, prior_logits, value, facts, jnp.stack([nobody, nobody], axis=-1), limits, config)


def outcomes(
    params: Params,
    state: State,
    action: Int[Array, " W"],
    parent: Int[Array, " W"],
    *,
    game: Game,
    predict: PredictFn,
    limits: Limits,
    config: SearchConfig,
) -> Rows:
    """Rows of every outcome of an action in W unfinished states, those of one action in a run."""

    def apply(state: State, action: Int[Array, ""], outcome: Int[Array, ""]) -> tuple:
        next_state, step = game.apply(state, action, outcome)
        return next_state, step, game.legal_actions(next_state), game.observe(next_state)

    chance = jnp.arange(limits.num_outcomes, dtype=jnp.int32)
    found = jax.vmap(jax.vmap(apply, in_axes=(None, None, 0)), in_axes=(0, 0, None))(state, action, chance)
    next_state, step, legal_actions, observation = jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), found
    )
    prior_logits, value = predict(params, observation)
    value = jnp.where(jnp.any(legal_actions, axis=-1), value, 0.0)
    facts = [value, step.reward, step.discount]
    if limits.num_outcomes > 1:
        facts.append(jax.vmap(game.outcome_probs)(state, action).reshape(-1))
    up = jnp.repeat(jnp.stack([parent, action], axis=-1), limits.num_outcomes, axis=0)
    prior_logits = legal_logits(prior_logits, legal_actions)
    return _rows(next_state, prior_logits, value, facts, up, limits, config)


def _rows(
    state: State,
    prior_logits: Float[Array, "M A"],
    value: Float[Array, " M"],
    facts: list[Float[Array, " M"]],
    up: Int[Array, "M 2"],
    limits: Limits,
    config: SearchConfig,
) -> Rows:
    legal_actions = is_legal(prior_logits)
    over = ~jnp.any(legal_actions, axis=-1)
    zeros = jnp.zeros_like(prior_logits)
    edges, nodes = [zeros, zeros], [value]
    if config.prove:
        nowhere = jnp.where(legal_actions, 0.0, -jnp.inf)
        edges += [limits.low + nowhere, limits.high + nowhere]
        nodes += [jnp.where(over, 0.0, limits.low), jnp.where(over, 0.0, limits.high)]
    edges = jnp.stack(edges, axis=-1)
    action = interior_action(node_of(prior_logits, edges, value, value, limits), config.policy, limits)
    return Rows(
        prior_logits=prior_logits,
        edges=edges,
        nodes=jnp.stack(nodes, axis=-1),
        facts=jnp.stack(facts[: 4 if limits.num_outcomes > 1 else 3], axis=-1),
        # The row itself comes first; only `append` knows it.
        next=jnp.stack([jnp.zeros_like(action), jnp.where(over, OVER, action)], axis=-1),
        up=up,
        state=state,
    )
