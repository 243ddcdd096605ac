"""`search(...)`: improve the policy at a batch of states, each with its own simulation budget."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search import gumbel, mctx_tree
from exit.search.config import SearchConfig
from exit.search.root import Root, legal_logits


class SearchResult(NamedTuple):
    """What deliberation found at each state; all values in reward units, to the player to move.

    Attributes:
      action: the move to play; -1 at a terminal state.
      action_weights: the improved policy, the training target; sums to one over legal actions.
      value: expected return under `action_weights`, unvisited actions valued by the mixed value.
      qvalues: search value of each action, the mixed value where an action has no visit.
      visit_counts: simulations through each root action.
      num_simulations: simulations spent.
      lower: proven bound below the state's exact value.
      upper: proven bound above the state's exact value.
      prior: the reflex policy over legal actions.
      prior_value: the network's value.
    """

    action: Int[Array, " B"]
    action_weights: Float[Array, "B A"]
    value: Float[Array, " B"]
    qvalues: Float[Array, "B A"]
    visit_counts: Int[Array, "B A"]
    num_simulations: Int[Array, " B"]
    lower: Float[Array, " B"]
    upper: Float[Array, " B"]
    prior: Float[Array, "B A"]
    prior_value: Float[Array, " B"]


def search(
    params: Params,
    rng_key: Key[Array, ""],
    state: State,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SearchResult:
    """Improve the policy at each state, each with its own simulation budget.

    Gumbel search with sequential halving (Danihelka et al. 2022, section 3); deviation: the halving
    schedule is looked up by `budget`, so one program serves every budget.

    Args:
      params: of `predict`.
      rng_key: consumed.
      state: leaves have a leading batch axis B.
      budget: simulations per state, in [0, config.max_simulations]; 0 returns the prior. Under `jit`
        it cannot be checked and is clamped; `num_simulations` in the result tells what was spent.

    Raises:
      ValueError: a concrete budget is out of range (names the field to raise), or the game has chance.
    """
    if not isinstance(budget, Tracer):
        check_budget(np.asarray(budget), config.max_simulations)
    if game.num_outcomes > 1:
        raise ValueError(f"{game.name} has chance outcomes; search serves deterministic games only")
    budget = jnp.clip(jnp.asarray(budget, jnp.int32), 0, config.max_simulations)
    legal_actions = jax.vmap(game.legal_actions)(state)
    prior_logits, prior_value = predict(params, jax.vmap(game.observe)(state))
    prior_logits = legal_logits(prior_logits, legal_actions)
    terminal = ~jnp.any(legal_actions, axis=-1)
    prior_value = jnp.where(terminal, 0.0, prior_value)
    budget = jnp.where(terminal, 0, budget)
    grow = mctx_tree.run if config.use_mctx else gumbel.run
    found = grow(
        params,
        rng_key,
        Root(state, prior_logits, prior_value, legal_actions, budget),
        game=game,
        predict=predict,
        config=config,
    )
    prior = jnp.where(legal_actions, jax.nn.softmax(prior_logits), 0.0)
    weights = jax.nn.softmax(legal_logits(prior_logits + found.scaled_qvalues, legal_actions))
    # At budget 0 the scaled Q-values are all equal, but adding them would round the prior.
    weights = jnp.where(budget[:, None] == 0, prior, jnp.where(legal_actions, weights, 0.0))
    low, high = game.value_bounds
    return SearchResult(
        action=jnp.where(terminal, -1, found.action),
        action_weights=weights,
        value=jnp.where(budget == 0, prior_value, jnp.sum(weights * found.qvalues, axis=-1)),
        qvalues=found.qvalues,
        visit_counts=found.visit_counts,
        num_simulations=budget,
        lower=jnp.where(terminal, 0.0, low),
        upper=jnp.where(terminal, 0.0, high),
        prior=prior,
        prior_value=prior_value,
    )


def check_budget(budget: np.ndarray, max_simulations: int) -> None:
    """Raise ValueError unless every budget is in [0, max_simulations]."""
    if budget.size and budget.min() < 0:
        raise ValueError(f"budget {budget.min()} is negative; it must be in [0, {max_simulations}]")
    if budget.size and budget.max() > max_simulations:
        raise ValueError(
            f"budget {budget.max()} is over the capacity of {max_simulations} simulations; "
            "raise search.max_simulations or ask for less"
        )
