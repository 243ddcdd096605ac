"""New nodes: the rules, the network, and what is known of a node before it is visited."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search.config import SearchConfig
from exit.search.node import Limits, Node, is_legal
from exit.search.policy import interior_action
from exit.search.remembering import with_memory
from exit.search.tree import OVER, UNVISITED, Nodes


def legal_logits(logits: Float[Array, "... A"], legal_actions: Bool[Array, "... A"]) -> Float[Array, "... A"]:
    """Logits whose maximum over legal actions is 0, and the least finite number where illegal."""
    least = jnp.finfo(logits.dtype).min
    highest = jnp.max(jnp.where(legal_actions, logits, least), axis=-1, keepdims=True)
    return jnp.where(legal_actions, logits - highest, least)


def root_nodes(
    state: State,
    prior_logits: Float[Array, "M A"],
    value: Float[Array, " M"],
    limits: Limits,
    config: SearchConfig,
) -> Nodes:
    """Roots; `prior_logits` as `legal_logits` gives them, `value` 0 where the game is over."""
    nobody = jnp.full_like(value, -1, jnp.int32)
    zeros = jnp.zeros_like(value)
    way = _Way(zeros, zeros, zeros + 1.0 if limits.num_outcomes > 1 else None, nobody, nobody)
    return _fresh(state, prior_logits, value, way, limits, config)


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
    num_wanted: Int[Array, ""] | None = None,
    few: int | None = None,
) -> Nodes:
    """Nodes after every outcome of an action in W unfinished states, those of one action in a run.

    Args:
      num_wanted: how many of the states count, from the first on; None where it is most of them. What
        the others become means nothing.
      few: the network sees up to so many states one by one, and more of them together with those that do
        not count; None where it sees any number one by one.
    """

    def apply(state: State, action: Int[Array, ""], outcome: Int[Array, ""]) -> tuple:
        next_state, step = game.apply(state, action, outcome)
        return next_state, step, game.legal_actions(next_state), game.observe(next_state)

    chance = jnp.arange(limits.num_outcomes, dtype=jnp.int32)
    found = jax.vmap(jax.vmap(apply, in_axes=(None, None, 0)), in_axes=(0, 0, None))(state, action, chance)
    next_state, step, legal_actions, observation = jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), found
    )

    def one_by_one(num_wanted: Int[Array, ""]) -> tuple[Any, ...]:
        return _predict_first(params, observation, num_wanted, limits.num_outcomes, predict)

    def together(num_wanted: Int[Array, ""]) -> tuple[Any, ...]:
        return predict(params, observation)

    if num_wanted is None:
        seen = predict(params, observation)
    elif few is None:
        seen = one_by_one(num_wanted)
    else:
        seen = jax.lax.cond(num_wanted <= few, one_by_one, together, num_wanted)
    prior_logits, value, *memory = seen
    next_state = with_memory(next_state, memory)
    prob = None
    if limits.num_outcomes > 1:
        prob = jax.vmap(game.outcome_probs)(state, action).reshape(-1)
        # What cannot happen must not spoil an expectation, whatever the rules make of it.
        step = jax.tree.map(lambda leaf: jnp.where(prob > 0, leaf, 0.0), step)
        value = jnp.where(prob > 0, value, 0.0)
    parent, action = (jnp.repeat(leaf, limits.num_outcomes) for leaf in (parent, action))
    way = _Way(step.reward, step.discount, prob, parent, action)
    value = jnp.where(jnp.any(legal_actions, axis=-1), value, 0.0)
    return _fresh(next_state, legal_logits(prior_logits, legal_actions), value, way, limits, config)


def _predict_first(
    params: Params, observation: Any, num_wanted: Int[Array, ""], num_outcomes: int, predict: PredictFn
) -> tuple[Any, ...]:
    """What the network says of the outcomes in the first states, state by state; of the others, zeros.

    A program that has the network once is compiled sooner than one that has it for several widths; towers of
    convolutions take a core no longer for rows one by one than for rows together.
    """

    def predict_next(state: Int[Array, ""]) -> tuple[Any, ...]:
        first = state * num_outcomes
        return predict(
            params,
            jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, num_outcomes), observation),
        )

    def put(state: Int[Array, ""], found: tuple[Any, ...]) -> tuple[Any, ...]:
        first = state * num_outcomes
        return jax.tree.map(
            lambda leaf, new: jax.lax.dynamic_update_slice_in_dim(leaf, new, first, axis=0),
            found,
            predict_next(state),
        )

    num_rows = jax.tree.leaves(observation)[0].shape[0]
    nothing = jax.tree.map(
        lambda leaf: jnp.zeros((num_rows, *leaf.shape[1:]), leaf.dtype),
        jax.eval_shape(predict_next, jnp.int32(0)),
    )
    return jax.lax.fori_loop(0, num_wanted, put, nothing)


class _Way(NamedTuple):
    """How nodes are reached; columns of `Nodes`."""

    reward: Float[Array, " M"]
    discount: Float[Array, " M"]
    prob: Float[Array, " M"] | None
    parent: Int[Array, " M"]
    parent_action: Int[Array, " M"]


def _fresh(
    state: State,
    prior_logits: Float[Array, "M A"],
    value: Float[Array, " M"],
    way: _Way,
    limits: Limits,
    config: SearchConfig,
) -> Nodes:
    """Nodes that have not been visited."""
    legal_actions = is_legal(prior_logits)
    zeros = jnp.zeros_like(prior_logits)
    lower = jnp.where(legal_actions, limits.low, -jnp.inf) if config.prove else None
    upper = jnp.where(legal_actions, limits.high, -jnp.inf) if config.prove else None
    node = Node(prior_logits, zeros, zeros, lower, upper, value, value)
    action = interior_action(node, config.policy, limits)
    return Nodes(
        state=state,
        child=jnp.full_like(zeros, UNVISITED, jnp.int32),
        follows=None if way.prob is None else jnp.zeros_like(value),
        next_row=way.parent,
        next_action=jnp.where(jnp.any(legal_actions, axis=-1), action, OVER),
        **node._asdict(),
        **way._asdict(),
    )
