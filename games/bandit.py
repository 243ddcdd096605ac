"""A Bernoulli bandit as its player sees it: the state is the posterior over the arms.

Every arm succeeds with a probability of its own that nobody knows, drawn from a Beta distribution. What the
pulls so far tell of it is its counts of successes and failures, so that the counts are the whole state, and
the chance that the next pull succeeds is the posterior's mean.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import BaselineFn, Step
from games import _bandit_policies as policies
from games._numbers import log_share_of, orders_of, packed, share_of, thermometer, unpacked

EXAMPLES = ("bandit_2_20", "bandit_3_10")

_MAX_ARMS, _MAX_HORIZON, _MAX_COUNT = 16, 10_000, 1e6
_MAX_SYMMETRIES = 120
_MEAN_STEPS, _PULL_STEPS, _LEFT_STEPS = 16, 8, 16


class BanditState(NamedTuple):
    """What the pulls so far came to.

    Attributes:
      successes: of each arm.
      failures: of each arm.
    """

    successes: Int32[Array, " arms"]
    failures: Int32[Array, " arms"]


@dataclass(frozen=True)
class Bandit:
    """One player; action = arm to pull; outcome 1 is a success, which brings a reward of 1, and 0 a failure.

    Attributes:
      arms: how many there are.
      horizon: pulls in all.
      alpha, beta: the prior of each arm's chance of success, Beta(alpha, beta).

    Raises:
      ValueError: arms, horizon or prior out of range.
    """

    arms: int = 2
    horizon: int = 20
    alpha: float = 1.0
    beta: float = 1.0

    version = 1
    num_outcomes = 2

    def __post_init__(self) -> None:
        if not 2 <= self.arms <= _MAX_ARMS:
            raise ValueError(f"bandit has 2 to {_MAX_ARMS} arms, got {self.arms}")
        if not 1 <= self.horizon <= _MAX_HORIZON:
            raise ValueError(f"bandit has a horizon of 1 to {_MAX_HORIZON} pulls, got {self.horizon}")
        if not all(0 < count <= _MAX_COUNT for count in (self.alpha, self.beta)):
            raise ValueError(
                f"bandit has a prior Beta(alpha, beta) with both above 0 and at most {_MAX_COUNT:,.0f}, "
                f"got Beta({self.alpha:g}, {self.beta:g})"
            )

    @property
    def name(self) -> str:
        prior = "" if self.alpha == self.beta == 1 else f"_{self.alpha:g}_{self.beta:g}"
        return f"bandit_{self.arms}_{self.horizon}{prior}"

    @property
    def num_actions(self) -> int:
        return self.arms

    @property
    def num_states(self) -> int:
        return math.comb(self.horizon + 2 * self.arms, 2 * self.arms)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.arms * (_MEAN_STEPS + _PULL_STEPS + 3) + _LEFT_STEPS,)

    @property
    def value_bounds(self) -> tuple[float, float]:
        return (0.0, float(self.horizon))

    def _left(self, state: BanditState) -> Int[Array, ""]:
        """Pulls to come."""
        return self.horizon - jnp.sum(state.successes + state.failures, dtype=jnp.int32)

    def means(self, state: BanditState) -> Float[Array, " arms"]:
        """Posterior mean of every arm's chance of success."""
        successes, failures = jnp.asarray(state.successes), jnp.asarray(state.failures)
        return (self.alpha + successes) / (self.alpha + self.beta + successes + failures)

    def quantities(self, state: BanditState) -> dict[str, dict[str, Float[Array, ""]]]:
        """Posterior means and counts of every arm."""
        counts = {"successes": state.successes, "failures": state.failures}
        arms = range(self.arms)
        return {
            "posterior mean": {f"arm {arm}": self.means(state)[arm] for arm in arms},
            "count": {
                f"{what} of arm {arm}": number[arm].astype(jnp.float32)
                for what, number in counts.items()
                for arm in arms
            },
        }

    @property
    def baselines(self) -> dict[str, BaselineFn]:
        """Rules of thumb: greedy, Thompson sampling, UCB1, Bayes-UCB and a finite-horizon Gittins index."""
        prior = (self.alpha, self.beta)

        def of_counts(rule: Callable[..., policies.Chances], *arguments: Any) -> BaselineFn:
            return lambda states: rule(*map(np.asarray, states), *arguments)

        return {
            "greedy": of_counts(policies.greedy, prior),
            "thompson": of_counts(policies.thompson, prior),
            "ucb1": of_counts(policies.ucb1),
            "bayes_ucb": of_counts(policies.bayes_ucb, prior),
            "gittins": of_counts(policies.gittins, prior, self.horizon),
        }

    def init(self) -> BanditState:
        none = jnp.zeros(self.arms, jnp.int32)
        return BanditState(successes=none, failures=none)

    def legal_actions(self, state: BanditState) -> Bool[Array, " A"]:
        return jnp.broadcast_to(self._left(state) > 0, (self.arms,))

    def outcome_probs(self, state: BanditState, action: Int[Array, ""]) -> Float[Array, "2"]:
        success = self.means(state)[action]
        return jnp.stack([1.0 - success, success])

    def apply(
        self, state: BanditState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[BanditState, Step]:
        left = self._left(state)
        # A pull after the last one is none.
        pulled = ((np.arange(self.arms) == action) & (left > 0)).astype(jnp.int32)
        after = BanditState(
            successes=state.successes + pulled * (outcome == 1),
            failures=state.failures + pulled * (outcome == 0),
        )
        step = Step(reward=jnp.where(outcome == 1, 1.0, 0.0), discount=jnp.where(left > 1, 1.0, 0.0))
        return after, step

    def observe(self, state: BanditState) -> Float[Array, " inputs"]:
        """Of every arm the posterior's mean, spread and number of pulls; how many pulls are left."""
        mean = self.means(state).astype(jnp.float32)
        pulls = state.successes + state.failures
        spread = jnp.sqrt(mean * (1 - mean) / (np.float32(self.alpha + self.beta + 1) + pulls))
        seen = log_share_of(pulls, self.horizon)
        scalars = jnp.stack([mean, 2.0 * spread, seen], axis=-1)
        arms = jnp.concatenate([scalars, thermometer(mean, _MEAN_STEPS), thermometer(seen, _PULL_STEPS)], 1)
        left = thermometer(share_of(self._left(state), self.horizon), _LEFT_STEPS)
        return jnp.concatenate([arms.reshape(-1), left]).astype(jnp.float32)

    def observed_value_bounds(
        self, observation: Float[Array, " inputs"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """What pulling the likeliest arm to the end earns; what knowing every arm after this pull would.

        Of the expected maximum of k independent chances T. Aven, Upper (lower) bounds on the mean of the
        maximum (minimum) of a number of random variables, 1985, says: at most their mean plus the root of
        (k - 1) / k times the sum of their variances and squared distances from it.
        """
        arms = observation[:-_LEFT_STEPS].reshape(self.arms, -1)
        mean, spread = arms[:, 0], arms[:, 1] / 2
        left = self.horizon * jnp.mean(observation[-_LEFT_STEPS:])
        centre = jnp.mean(mean)
        moment = jnp.sum(spread**2 + (mean - centre) ** 2) * (self.arms - 1) / self.arms
        best, known = jnp.max(mean), jnp.minimum(centre + jnp.sqrt(moment), 1.0)
        return left * best, best + jnp.maximum(left - 1, 0.0) * jnp.maximum(known, best)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        """Pulls left; each arm's counts and mean; how far arms are apart in mean and pulls."""
        each = [f"{what}_{arm}" for what in ("successes", "failures", "pulls", "mean") for arm in self._all]
        pairs = [f"{what}_{i}_less_{j}" for what in ("mean", "pulls") for i, j in self._pairs]
        return ("left", *each, *pairs)

    def statistics(self, state: BanditState) -> Float[Array, " statistics"]:
        """What a rule of thumb would look at, in numbers."""
        mean, pulls = self.means(state), state.successes + state.failures
        first, second = np.array(self._pairs, np.int32).T
        apart = [each[first] - each[second] for each in (mean, pulls)]
        parts = [self._left(state)[None], state.successes, state.failures, pulls, mean, *apart]
        return jnp.concatenate([part.astype(jnp.float32) for part in parts])

    @property
    def _all(self) -> range:
        return range(self.arms)

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        return list(itertools.combinations(self._all, 2))

    @property
    def _radices(self) -> tuple[int, ...]:
        return (self.horizon + 1,) * (2 * self.arms)

    def encode(self, state: BanditState) -> UInt32[Array, " K"]:
        return packed(jnp.concatenate(state), self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> BanditState:
        counts = unpacked(key, self._radices)
        return BanditState(successes=counts[: self.arms], failures=counts[self.arms :])

    def symmetries(self, state: BanditState) -> tuple[BanditState, Int[Array, "S A"]]:
        """Permutations of the arms; the identity alone where they exceed 120."""
        orders = orders_of((0,) * self.arms, _MAX_SYMMETRIES)
        # Image arm i holds what arm order[i] held, so an arm's image is where the inverse order sends it.
        images = np.argsort(orders, axis=1).astype(np.int32)
        return BanditState(state.successes[orders], state.failures[orders]), jnp.asarray(images)

    def render(self, state: BanditState) -> str:
        """One line an arm: its counts and the posterior's mean."""
        lines = [f"{int(self._left(state))} of {self.horizon} pulls left"]
        rows = zip(state.successes.tolist(), state.failures.tolist(), self.means(state).tolist(), strict=True)
        for arm, (successes, failures, mean) in enumerate(rows):
            lines.append(f"arm {arm}: {successes} successes, {failures} failures, mean {mean:.3f}")
        return "\n".join(lines)

    def action_name(self, action: int) -> str:
        return f"pull arm {action}"


def make(arms: int = 2, horizon: int = 20, alpha: int = 1, beta: int = 1) -> Bandit:
    """A bandit with so many arms and pulls; `bandit_2_20_3_1` has the prior Beta(3, 1)."""
    return Bandit(arms, horizon, float(alpha), float(beta))
