"""What a search answers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.search import gumbel
from exit.search.config import Gumbel, SearchConfig
from exit.search.expand import legal_logits
from exit.search.forest import Findings
from exit.search.node import Limits, beaten, is_legal, settled


class SearchResult(NamedTuple):
    """What deliberation found at each state; all values in reward units, to the player to move.

    Attributes:
      action: the move to play; -1 at a terminal state.
      action_weights: the improved policy, the training target; sums to one over legal actions. Moves
        proven worse than another have none.
      value: expected return under `action_weights`, unvisited actions valued by the mixed value; of
        PUCT, the mean over all simulations. Exact where proven.
      qvalues: search value of each action, the mixed value (of PUCT, `value`) where an action has no visit.
      visit_counts: simulations through each root action.
      num_simulations: simulations spent; fewer than the budget where the state was proven before.
      lower: proven bound below the state's exact value.
      upper: proven bound above the state's exact value.
      prior: the reflex policy over legal actions.
      prior_value: the network's value.
      expected_gain: what an agent that foresees its searches (`xit foresee`) and weighs their price expected
        its move to be worth above the reflex's, before it searched; None of any other.
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
    expected_gain: Float[Array, " B"] | None = None

    @property
    def regrets(self) -> Float[Array, "... A"]:
        """What each action gives away against the best of those that search would play; 0 where illegal."""
        best = jnp.max(jnp.where(self.action_weights > 0, self.qvalues, -jnp.inf), axis=-1, keepdims=True)
        return jnp.where(self.prior > 0, jnp.maximum(best - self.qvalues, 0.0), 0.0)

    @property
    def regret(self) -> Float[Array, "..."]:
        """What the reflex policy gives away by that."""
        return jnp.sum(self.prior * self.regrets, axis=-1)

    @property
    def gain(self) -> Float[Array, "..."]:
        """What search found its move to be worth above the reflex's; 0 where they are the same.

        Negative where the reflex's move fell out of the halving, and what was searched on has come to be
        worth less than the other seemed then.
        """
        reflex = jnp.argmax(self.prior, axis=-1)
        played, before = (
            jnp.take_along_axis(self.qvalues, jnp.maximum(move, 0)[..., None], axis=-1)[..., 0]
            for move in (self.action, reflex)
        )
        return played - before


def summarise(
    found: Findings, draw: Float[Array, "B A"], *, limits: Limits, config: SearchConfig
) -> SearchResult:
    """The answer; `draw` is the noise by which PUCT draws its move from the visits."""
    node, policy = found.node, config.policy
    legal_actions = is_legal(found.prior_logits)
    over = ~jnp.any(legal_actions, axis=-1)
    prior = jnp.where(legal_actions, jax.nn.softmax(found.prior_logits), 0.0)
    candidates, proven = _candidates(found, limits)
    if isinstance(policy, Gumbel):
        qvalues, scaled = gumbel.completed_qvalues(node, policy, limits)
        weights = jax.nn.softmax(legal_logits(found.prior_logits + scaled, candidates))
        visits = jnp.where(candidates, node.visits, -1.0)
        last = (visits == jnp.max(visits, axis=-1, keepdims=True)) | (proven & candidates)
        score = jnp.where(last & candidates, gumbel.root_score(found.explore, scaled), -jnp.inf)
        action = jnp.argmax(score, axis=-1)
    else:
        qvalues = jnp.where(node.visits > 0, node.qvalues, node.value[:, None])
        counted = jnp.where(candidates, node.visits, 0.0)
        # Proofs may leave no move that was visited: then the prior decides among those left.
        counted = jnp.where(jnp.sum(counted, axis=-1, keepdims=True) > 0, counted, candidates * prior)
        weights = counted / jnp.maximum(jnp.sum(counted, axis=-1, keepdims=True), 1e-30)
        action = drawn_action(weights, draw, policy.temperature)
    # With nothing simulated the answer is the reflex, to the last bit.
    reflex = found.spent == 0
    weights = jnp.where(reflex[:, None], prior, jnp.where(candidates, weights, 0.0))
    value = jnp.sum(weights * qvalues, axis=-1) if isinstance(policy, Gumbel) else node.value
    value = jnp.where(reflex, node.raw_value, jnp.clip(value, found.lower, found.upper))
    return SearchResult(
        action=jnp.where(over, -1, action).astype(jnp.int32),
        action_weights=weights,
        value=value,
        qvalues=qvalues,
        visit_counts=node.visits.astype(jnp.int32),
        num_simulations=found.spent,
        lower=found.lower,
        upper=found.upper,
        prior=prior,
        prior_value=node.raw_value,
    )


def _candidates(found: Findings, limits: Limits) -> tuple[Bool[Array, "B A"], Bool[Array, "B A"]]:
    """Moves that may be played, none of them proven worse than another, and moves whose value is proven."""
    node = found.node
    legal_actions = is_legal(node.prior_logits)
    if node.lower is None or node.upper is None:
        return legal_actions, jnp.zeros_like(legal_actions)
    # Once the state is proven, only moves known to be worth as much are left.
    best = node.lower >= found.lower[:, None] - limits.slack
    open_end = ~settled(found.lower, found.upper, limits)[:, None]
    proven = legal_actions & settled(node.lower, node.upper, limits)
    return legal_actions & ~beaten(node, limits) & (best | open_end), proven


def drawn_action(
    weights: Float[Array, "B A"], draw: Float[Array, "B A"], temperature: float
) -> Int[Array, " B"]:
    """Moves drawn in proportion to weights to the power 1 / temperature; the first of the greatest at 0."""
    if temperature == 0:
        return jnp.argmax(weights, axis=-1)
    logits = jnp.log(jnp.maximum(weights, jnp.finfo(weights.dtype).tiny))
    logits = (logits - jnp.max(logits, axis=-1, keepdims=True)) / temperature
    return jnp.argmax(draw + logits, axis=-1)
