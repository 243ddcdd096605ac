"""Rules for when to stop thinking: each says of every state the look at which it stops, for many thresholds.

No rule sees exact values but the oracle, which sees nothing else. Rules decide at looks, so what they could
have seen between two looks they see at the second.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from exit.evaluate.allocation import Looks, Stops, fixed_spending, simulations_for, spending
from exit.search import doubt, information

Rule = Callable[[Looks], Stops]
Score = Float[np.ndarray, "S n"]
"""Of each look and state: a state stops at the first look where it is at most the threshold."""

_NUM_THRESHOLDS = 40


def at_first(score: Score, looks: Looks) -> Stops:
    """Stops at the first look within each of many thresholds, at proven states, and at the last look."""
    finite = score[np.isfinite(score)]
    shares = np.linspace(0, 1, _NUM_THRESHOLDS)
    return within(score, looks, np.concatenate([[-np.inf], np.unique(np.quantile(finite, shares))]))


def within(score: Score, looks: Looks, thresholds: Float[np.ndarray, " K"]) -> Stops:
    """Stops at the first look within each threshold, at proven states, and at the last look."""
    ends = looks.proven.copy()
    ends[-1] = True
    return np.stack([(ends | (score <= threshold)).argmax(axis=0) for threshold in thresholds])


def when_proven(looks: Looks) -> Stops:
    """Fixed budgets, of which proven states do not spend the rest."""
    return np.broadcast_to(np.arange(len(looks.budgets))[:, None], looks.spent.shape)


def when_settled(looks: Looks) -> Stops:
    """Stops where the rest of the budget could not make another move the most visited one.

    What Lc0 calls smart pruning; the thresholds are the budgets.
    """
    ranked = np.sort(looks.visits, axis=-1)
    lead = ranked[..., -1] - ranked[..., -2]
    stops = []
    for last, budget in enumerate(looks.budgets):
        ends = looks.proven | (lead > budget - looks.spent)
        ends[last] = True
        stops.append(ends[: last + 1].argmax(axis=0))
    return np.stack(stops)


def kl_gain(looks: Looks) -> Stops:
    """Stops where the visits hardly move any more: divergence of their shares from those a look before.

    Lc0's `minimum-kldgain-per-node`: divergence in nats, over the simulations between the looks.
    """
    shares = (looks.visits + looks.prior) / (looks.visits.sum(axis=-1, keepdims=True) + 1)
    old, new = shares[:-1], shares[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(new > 0, new * np.log(new / old), 0.0).sum(axis=-1)
    return at_first(_after_first(gain / np.diff(looks.budgets)[:, None]), looks)


def policy_change(looks: Looks) -> Stops:
    """Stops where the policy is within a distance, in L1, of what it was at half of the simulations.

    The test of V-MCTS (W. Ye et al., Spending Thinking Time Wisely, 2022, section 4.2), with the improved
    policy of Gumbel search in the place of their virtually expanded one: both fill in what unvisited
    actions would get.
    """
    halves = np.searchsorted(looks.budgets, looks.budgets // 2, side="right") - 1
    change = np.abs(looks.weights - looks.weights[halves]).sum(axis=-1)
    return at_first(_after_first(change[1:]), looks)


def entropy(looks: Looks) -> Stops:
    """Stops where the improved policy is concentrated: its entropy, in nats."""
    return at_first(-(looks.weights * np.log(np.maximum(looks.weights, 1e-30))).sum(axis=-1), looks)


def value_of_information(looks: Looks) -> Stops:
    """Stops where no action's next simulation can be worth much; see `exit.search.information`."""
    return at_first(_information(looks).max(axis=-1), looks)


def likely_information(looks: Looks) -> Stops:
    """As `value_of_information`, of each action in proportion to the improved policy's doubt about it."""
    return at_first((_doubt(looks) * _information(looks)).max(axis=-1), looks)


def doubted_information(looks: Looks) -> Stops:
    """Between these two: in proportion to the root of the doubt. The rule of `budget="auto"`."""
    return at_first(worth_score(looks), looks)


def worth_score(looks: Looks) -> Score:
    """What `budget="auto"` goes by: `exit.search.worth_of_thinking` at each look."""
    return (np.sqrt(_doubt(looks)) * _information(looks)).max(axis=-1)


def _doubt(looks: Looks) -> Float[np.ndarray, "S n A"]:
    return np.asarray(doubt(jnp.asarray(looks.weights), jnp.asarray(looks.action)))


def _information(looks: Looks) -> Float[np.ndarray, "S n A"]:
    """Bound of what one more simulation of each action is worth, at each look."""
    legal = np.broadcast_to(looks.prior > 0, looks.qvalues.shape)
    qvalues, action, legal = map(jnp.asarray, (looks.qvalues, looks.action, legal))
    visits = jnp.asarray(looks.visits, jnp.int32)
    return np.asarray(information(qvalues, visits, action, legal, looks.bounds))


def gated(gate: Float[np.ndarray, " n"], score: Score, ratio: float) -> Score:
    """A score whose first look is another one, brought to its scale by a ratio."""
    return np.concatenate([ratio * gate[None], score[1:]])


def gate_ratio(
    gate: Float[np.ndarray, " n"], score: Score, looks: Looks, costs: Int[np.ndarray, " n"]
) -> float:
    """The ratio with which a gate saves most, by the verdict of these searches themselves.

    Nothing exact is in it: what a look gave away is what the last look says of it. The saving is the
    geometric mean over the budgets between the first and the last.

    Args:
      gate: of each state, greater where thinking is worth more.
      costs: simulations that seeing the gate stands for.
    """
    judged = looks._replace(regret=gain_seen_later(looks))
    base, spent = fixed_spending(judged), judged.spent + costs
    usual = np.quantile(gate[gate > 0], 0.5) if (gate > 0).any() else 1.0

    def saved(ratio: float) -> float:
        found = spending(judged, at_first(gated(gate, score, ratio), judged), spent)
        needed = [simulations_for(found, float(regret)) for regret in base.regret[1:-1]]
        return -math.fsum(math.log(each) for each in needed if each)

    ratios = np.logspace(-4, 2, 25) / usual
    return float(max(ratios, key=saved))


def oracle(looks: Looks) -> Stops:
    """Knows each state's regret at every look, and stops where regret plus a price a simulation is least."""
    prices = np.concatenate([[0.0], np.logspace(-7, 1, 2 * _NUM_THRESHOLDS)])
    return np.stack([(looks.regret + price * looks.spent).argmin(axis=0) for price in prices])


RULES: dict[str, Rule] = {
    "when proven": when_proven,
    "when settled": when_settled,
    "KL gain": kl_gain,
    "policy change": policy_change,
    "entropy": entropy,
    "value of information": value_of_information,
    "likely information": likely_information,
    "doubted information": doubted_information,
}
"""Rules that are told nothing and have learnt nothing."""


def features(looks: Looks) -> Float[np.ndarray, "S n F"]:
    """What a learned rule sees of each state at each look."""
    ranked = np.sort(looks.weights, axis=-1)
    visits = np.sort(looks.visits, axis=-1)
    total = np.maximum(visits.sum(axis=-1), 1)
    legal = looks.prior > 0
    played = np.take_along_axis(looks.qvalues, looks.action[..., None], axis=-1)[..., 0]
    others = np.where(
        legal & (np.arange(looks.prior.shape[-1]) != looks.action[..., None]), looks.qvalues, -np.inf
    ).max(axis=-1)
    before = np.concatenate([looks.weights[:1], looks.weights[:-1]])
    reflex = looks.weights[0].argmax(axis=-1)
    prior = np.broadcast_to(looks.prior, looks.weights.shape)
    columns = [
        np.broadcast_to(np.log2(looks.budgets + 1)[:, None], looks.spent.shape),
        -(looks.weights * np.log(np.maximum(looks.weights, 1e-30))).sum(axis=-1),
        -(prior * np.log(np.maximum(prior, 1e-30))).sum(axis=-1),
        ranked[..., -1] - ranked[..., -2],
        visits[..., -1] / total,
        (visits[..., -1] - visits[..., -2]) / total,
        played - np.where(np.isfinite(others), others, played),
        np.abs(played),
        np.abs(looks.weights - before).sum(axis=-1),
        (looks.action != reflex).astype(float),
        np.broadcast_to(legal.sum(axis=-1), looks.spent.shape).astype(float),
    ]
    return np.stack(columns, axis=-1)


def gain_seen_later(looks: Looks) -> Float[np.ndarray, "S n"]:
    """What the last look says that the move of each look gave away: what a learned rule is taught.

    The search's own verdict; nothing exact is in it.
    """
    last = looks.qvalues[-1]
    final = np.take_along_axis(last, looks.action[-1][:, None], axis=-1)[:, 0]
    now = np.take_along_axis(last[None], looks.action[..., None], axis=-1)[..., 0]
    return np.maximum(final - now, 0.0)


def _after_first(later: Float[np.ndarray, "R n"]) -> Score:
    """The scores of the later looks with one for the first, at which nothing is known yet."""
    return np.concatenate([np.full((1, later.shape[1]), np.inf), later])


def stops_of(looks: Looks, predicted: Float[np.ndarray, "S n"], steps: Int[np.ndarray, " S"]) -> Stops:
    """Stops where the gain predicted of thinking on, for each simulation of the next look, is small."""
    return at_first(predicted / np.maximum(steps, 1)[:, None], looks)
