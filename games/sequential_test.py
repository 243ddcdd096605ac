"""Wald's problem: which of two coins is it? Throw it once more, at a cost, or decide.

A. Wald, Sequential Analysis, 1947. The counts of throws and heads are the whole state; what they say of the
coin is the posterior that it is the second one. With a bound on the throws, exact play stops at a boundary
that closes in as the throws run out.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import BaselineFn, Step
from games._numbers import packed, share_of, thermometer, unpacked

EXAMPLES = ("sequential_test_4_6",)

DECIDE_FIRST, DECIDE_SECOND, LOOK = range(3)
"""Actions."""

_MAX_LOOKS = 10_000
_LOOK_STEPS, _BELIEF_STEPS = 16, 16

# Of coins that differ much a throw tells more, so that it may cost more.
_CUSTOMARY = {("3", "7"): (30, 20)}
_LOOKS, _COST_IN_THOUSANDTHS = 50, 10


class LookState(NamedTuple):
    """What was seen.

    Attributes:
      looks: throws so far.
      heads: among them.
      decided: whether the game is over.
    """

    looks: Int32[Array, ""]
    heads: Int32[Array, ""]
    decided: Bool[Array, ""]


@dataclass(frozen=True)
class SequentialTest:
    """One player; actions: 0 decides for the first coin, 1 for the second, 2 looks at another throw.

    A look brings `-cost`, and its outcome 1 is heads. A wrong decision brings `-loss`; its outcome tells
    which coin it was.

    Attributes:
      first, second: each coin's chance of heads.
      max_looks: throws at most.
      cost: of a throw.
      loss: of a wrong decision.
      prior: chance that it is the first coin, and that it is the second.

    Raises:
      ValueError: chances that are none, priors that do not sum to one, or looks, cost or loss out of range.
    """

    first: float = 0.4
    second: float = 0.6
    max_looks: int = _LOOKS
    cost: float = _COST_IN_THOUSANDTHS / 1000
    loss: float = 1.0
    prior: tuple[float, float] = (0.5, 0.5)

    version = 1
    num_actions = 3
    num_outcomes = 2
    observation_shape = (_LOOK_STEPS + _BELIEF_STEPS + 3,)

    def __post_init__(self) -> None:
        if not (0 < self.first < 1 and 0 < self.second < 1 and self.first != self.second):
            raise ValueError(
                "the two coins have different chances of heads, each between 0 and 1, "
                f"got {self.first:g} and {self.second:g}"
            )
        if not 1 <= self.max_looks <= _MAX_LOOKS:
            raise ValueError(f"there are 1 to {_MAX_LOOKS} looks at most, got {self.max_looks}")
        if not (0 <= self.cost < math.inf and 0 < self.loss < math.inf):
            raise ValueError(
                "a look costs 0 or more and a wrong decision more than 0, "
                f"got {self.cost:g} and {self.loss:g}"
            )
        if not (min(self.prior) > 0 and math.isclose(sum(self.prior), 1, rel_tol=0, abs_tol=1e-9)):
            shares = " and ".join(f"{prob:g}" for prob in self.prior)
            raise ValueError(f"the prior is two chances above 0 that sum to one, got {shares}")

    @property
    def name(self) -> str:
        coins = [f"{chance:.12g}".removeprefix("0.") for chance in (self.first, self.second)]
        sizes = [f"{self.max_looks}", f"{1000 * self.cost:g}"]
        if sizes == [str(size) for size in _customary(*coins)]:
            sizes = []
        odds = [f"loss{self.loss:g}"] * (self.loss != 1)
        odds += [f"prior{self.prior[1]:g}"] * (self.prior[1] != 0.5)
        return "_".join(["sequential_test", *coins, *sizes, *odds])

    @property
    def num_states(self) -> int:
        return (self.max_looks + 1) * (self.max_looks + 2)

    @property
    def value_bounds(self) -> tuple[float, float]:
        return (-(self.loss + self.cost * self.max_looks), 0.0)

    def log_odds(self, state: LookState) -> Float[Array, ""]:
        """Logarithm of how much more likely the second coin is than the first."""
        head = math.log(self.second / self.first)
        tail = math.log((1 - self.second) / (1 - self.first))
        return (
            math.log(self.prior[1] / self.prior[0]) + head * state.heads + tail * (state.looks - state.heads)
        )

    def quantities(self, state: LookState) -> dict[str, dict[str, Float[Array, ""]]]:
        """The posterior that it is the second coin, its log-odds, looks and heads."""
        odds = self.log_odds(state).astype(jnp.float32)
        counts = {"looks": state.looks.astype(jnp.float32), "heads": state.heads.astype(jnp.float32)}
        belief = {f"coin with {self.second:g} heads": jax.nn.sigmoid(odds)}
        return {"posterior": belief, "log-odds": {"second to first": odds}, "count": counts}

    @property
    def baselines(self) -> dict[str, BaselineFn]:
        """Deciding for the likelier coin without a look."""

        def decide_at_once(states: LookState) -> Float[np.ndarray, "n 3"]:
            second = np.asarray(jax.vmap(self.log_odds)(states)) > 0
            return np.stack([~second, second, np.zeros_like(second)], axis=1).astype(np.float64)

        return {"decide_at_once": decide_at_once}

    def init(self) -> LookState:
        return LookState(looks=jnp.int32(0), heads=jnp.int32(0), decided=jnp.bool_(False))

    def legal_actions(self, state: LookState) -> Bool[Array, "3"]:
        may_look = state.looks < self.max_looks
        return ~state.decided & jnp.stack([jnp.bool_(True), jnp.bool_(True), may_look])

    def outcome_probs(self, state: LookState, action: Int[Array, ""]) -> Float[Array, "2"]:
        second = jax.nn.sigmoid(self.log_odds(state))
        first = jax.nn.sigmoid(-self.log_odds(state))
        heads = first * self.first + second * self.second
        tails = first * (1 - self.first) + second * (1 - self.second)
        return jnp.where(action == LOOK, jnp.stack([tails, heads]), jnp.stack([first, second]))

    def apply(
        self, state: LookState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[LookState, Step]:
        looks = action == LOOK
        # A look beyond the last one ends the game, as every state after it must be one there is.
        thrown = looks & ~state.decided & (state.looks < self.max_looks)
        after = LookState(
            looks=state.looks + thrown.astype(jnp.int32),
            heads=state.heads + (thrown & (outcome == 1)).astype(jnp.int32),
            decided=~thrown,
        )
        reward = jnp.where(looks, -self.cost, jnp.where(action == outcome, 0.0, -self.loss))
        return after, Step(reward=reward, discount=jnp.where(thrown, 1.0, 0.0))

    def observe(self, state: LookState) -> Float[Array, " inputs"]:
        """Looks, the posterior and its log-odds, and how much more heads there were than tails."""
        odds = self.log_odds(state).astype(jnp.float32)
        belief = jax.nn.sigmoid(odds)
        lead = share_of(2 * state.heads - state.looks, self.max_looks)
        looks = share_of(state.looks, self.max_looks)
        scalars = jnp.stack([belief, odds / 4, lead])
        return jnp.concatenate([scalars, thermometer(belief, _BELIEF_STEPS), thermometer(looks, _LOOK_STEPS)])

    def observed_value_bounds(
        self, observation: Float[Array, " inputs"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """What deciding at once earns, and what it would after one more look that tells which coin it is."""
        belief, looks = observation[0], self.max_looks * jnp.mean(observation[-_LOOK_STEPS:])
        at_once = -self.loss * jnp.minimum(belief, 1 - belief)
        may_look = looks < self.max_looks - 0.5
        return at_once, jnp.where(may_look, jnp.maximum(at_once, -self.cost), at_once)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("looks", "heads", "heads_less_tails", "log_odds")

    def statistics(self, state: LookState) -> Float[Array, "4"]:
        """What was seen, and how much likelier the second coin is for it."""
        lead = 2 * state.heads - state.looks
        numbers = (state.looks, state.heads, lead, self.log_odds(state))
        return jnp.stack([jnp.asarray(number).astype(jnp.float32) for number in numbers])

    @property
    def _radices(self) -> tuple[int, ...]:
        return (2, self.max_looks + 1, self.max_looks + 1)

    def encode(self, state: LookState) -> UInt32[Array, " K"]:
        numbers = jnp.stack([state.decided.astype(jnp.int32), state.looks, state.heads])
        return packed(numbers, self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> LookState:
        decided, looks, heads = unpacked(key, self._radices)
        return LookState(looks=looks, heads=heads, decided=decided == 1)

    @property
    def _mirrored(self) -> bool:
        """Whether heads say of one coin what tails say of the other."""
        return math.isclose(self.first + self.second, 1) and self.prior[0] == self.prior[1]

    @property
    def symmetric_outcomes(self) -> Int[np.ndarray, "S 2"]:
        return np.array([[0, 1], [1, 0]][: 1 + self._mirrored], np.int32)

    def symmetries(self, state: LookState) -> tuple[LookState, Int[Array, "S 3"]]:
        """Heads and tails exchanged, where the coins are each other's mirror image."""
        tails = state.looks - state.heads
        heads = jnp.stack([state.heads, tails][: 1 + self._mirrored])
        images = LookState(
            looks=jnp.broadcast_to(state.looks, heads.shape),
            heads=heads,
            decided=jnp.broadcast_to(state.decided, heads.shape),
        )
        return images, jnp.array([[0, 1, 2], [1, 0, 2]][: 1 + self._mirrored], jnp.int32)

    def render(self, state: LookState) -> str:
        """Throws, heads and the posterior in words."""
        second = float(jax.nn.sigmoid(self.log_odds(state)))
        over = ", decided" if bool(state.decided) else ""
        return (
            f"{int(state.heads)} heads in {int(state.looks)} of at most {self.max_looks} throws{over}\n"
            f"coin with {self.second:g} heads: {second:.4f}, with {self.first:g}: {1 - second:.4f}"
        )

    def action_name(self, action: int) -> str:
        return (f"decide for {self.first:g}", f"decide for {self.second:g}", "look")[action]


def _customary(first: str, second: str) -> tuple[int, int]:
    """Looks and thousandths that a look costs, where a name does not tell them."""
    return _CUSTOMARY.get((first, second), (_LOOKS, _COST_IN_THOUSANDTHS))


def make(
    first: int = 4, second: int = 6, max_looks: int | None = None, cost_in_thousandths: int | None = None
) -> SequentialTest:
    """Chances of heads by their digits after the point: 4 is 0.4, 45 is 0.45; then looks at most, and cost.

    Without these, coins of 0.3 and 0.7 are thrown up to 30 times at 0.02, all others up to 50 times at 0.01.
    """
    looks, cost = _customary(str(first), str(second))
    looks = looks if max_looks is None else max_looks
    cost = cost if cost_in_thousandths is None else cost_in_thousandths
    first_prob, second_prob = (chance / 10 ** len(str(chance)) for chance in (first, second))
    return SequentialTest(first_prob, second_prob, looks, cost / 1000)
