"""Betting on a coin whose bias is unknown: every round wins or loses, and tells something about the coin.

The chance to win is drawn from a Beta distribution. The counts of wins and losses are all that the rounds so
far tell of it, and the chance to win the next bet is the posterior's mean.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, Key, UInt32

from exit.game import BaselineFn, Step
from games import _betting as betting
from games._numbers import packed, unpacked

EXAMPLES = ("kelly_beta_3_2_20",)

_MAX_COUNT = 1e6


class KellyBetaState(NamedTuple):
    """Where the player stands, and what the throws so far came to.

    Attributes:
      wealth: in units.
      wins: of the coin, whatever was bet.
      losses: of the coin.
    """

    wealth: Int32[Array, ""]
    wins: Int32[Array, ""]
    losses: Int32[Array, ""]


@dataclass(frozen=True)
class KellyBeta:
    """One player; action = bet in units; outcome 1 wins the bet, 0 loses it. A bet of 0 looks at the coin.

    The reward is one's wealth in dollars when the game is over: after the last round, with nothing left, or
    once the cap is reached.

    Attributes:
      alpha, beta: the prior of the chance to win, Beta(alpha, beta).
      rounds: bets in all.
      wealth: at the start, in dollars.
      cap: more cannot be won, in dollars.
      unit: the smallest bet, in dollars; bets are multiples of it. One over a whole number.

    Raises:
      ValueError: prior, rounds, wealth, cap or unit out of range.
    """

    alpha: float = 3.0
    beta: float = 2.0
    rounds: int = 20
    wealth: int = 25
    cap: int = 100
    unit: float = 1.0

    version = 2
    num_outcomes = 2

    def __post_init__(self) -> None:
        betting.check_bets(self.wealth, self.cap, self.rounds, self.unit)
        if not all(0 < count <= _MAX_COUNT for count in (self.alpha, self.beta)):
            raise ValueError(
                f"the prior is Beta(alpha, beta) with both above 0 and at most {_MAX_COUNT:,.0f}, "
                f"got Beta({self.alpha:g}, {self.beta:g})"
            )

    @property
    def name(self) -> str:
        extra = [self.wealth, self.cap, betting.bets_per_dollar(self.unit)]
        while extra and extra[-1] == (25, 100, 1)[len(extra) - 1]:
            extra.pop()
        prior = [f"{self.alpha:g}", f"{self.beta:g}"]
        return "_".join(map(str, ["kelly_beta", *prior, self.rounds, *extra]))

    @property
    def most(self) -> int:
        """The cap in units."""
        return self.cap * betting.bets_per_dollar(self.unit)

    @property
    def num_actions(self) -> int:
        return self.most

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (betting.NUM_INPUTS + 2,)

    @property
    def action_features(self) -> Float[np.ndarray, "A F"]:
        """What each bet is like."""
        return betting.bet_features(self.most)

    @property
    def value_bounds(self) -> tuple[float, float]:
        return (0.0, float(self.cap))

    def _left(self, state: KellyBetaState) -> Int[Array, ""]:
        """Rounds to come."""
        return jnp.maximum(self.rounds - state.wins - state.losses, 0)

    def mean(self, state: KellyBetaState) -> Float[Array, ""]:
        """Posterior mean of the chance to win."""
        return (self.alpha + state.wins) / (self.alpha + self.beta + (state.wins + state.losses))

    @property
    def baselines(self) -> dict[str, BaselineFn]:
        """Kelly's fraction of one's wealth, at the posterior's mean."""

        def kelly(states: KellyBetaState) -> Float[np.ndarray, "n A"]:
            wealth, wins, losses = map(np.asarray, states)
            mean = (self.alpha + wins) / (self.alpha + self.beta + wins + losses)
            return betting.kelly_fraction(wealth, mean, self.most)

        return {"kelly": kelly}

    def init(self) -> KellyBetaState:
        start = self.wealth * betting.bets_per_dollar(self.unit)
        return KellyBetaState(wealth=jnp.int32(start), wins=jnp.int32(0), losses=jnp.int32(0))

    def random_state(self, rng_key: Key[Array, ""]) -> KellyBetaState:
        """Any wealth below the cap, any round, any number of wins in those before it."""
        key_wealth, key_thrown, key_wins = jax.random.split(rng_key, 3)
        thrown = jax.random.randint(key_thrown, (), 0, self.rounds, jnp.int32)
        wins = jax.random.randint(key_wins, (), 0, thrown + 1, jnp.int32)
        wealth = betting.random_wealth(key_wealth, self.most)
        return KellyBetaState(wealth=wealth, wins=wins, losses=thrown - wins)

    def legal_actions(self, state: KellyBetaState) -> Bool[Array, " A"]:
        return betting.legal_bets(state.wealth, self._left(state), self.most)

    def outcome_probs(self, state: KellyBetaState, action: Int[Array, ""]) -> Float[Array, "2"]:
        win = self.mean(state)
        return jnp.stack([1.0 - win, win])

    def apply(
        self, state: KellyBetaState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[KellyBetaState, Step]:
        left = self._left(state)
        wealth, step = betting.settled(state.wealth, left, action, outcome, most=self.most, unit=self.unit)
        thrown = (left > 0).astype(jnp.int32)
        after = KellyBetaState(
            wealth=wealth,
            wins=state.wins + thrown * (outcome == 1),
            losses=state.losses + thrown * (outcome == 0),
        )
        return after, step

    def observe(self, state: KellyBetaState) -> Float[Array, " inputs"]:
        """Wealth and rounds to come, each on two scales; the posterior's mean and spread."""
        mean = self.mean(state).astype(jnp.float32)
        count = np.float32(self.alpha + self.beta + 1) + state.wins + state.losses
        belief = jnp.stack([2 * mean - 1, 2 * jnp.sqrt(mean * (1 - mean) / count)])
        money = betting.inputs(state.wealth, self._left(state), self.most, self.rounds)
        return jnp.concatenate([money, belief]).astype(jnp.float32)

    def observed_value_bounds(
        self, observation: Float[Array, " inputs"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """What betting nothing keeps, and what betting everything would earn if the coin won every time."""
        money = observation[: betting.NUM_INPUTS]
        left = betting.rounds_of(money, self.rounds)
        count = self.alpha + self.beta + self.rounds - left
        wins = count * (observation[betting.NUM_INPUTS] + 1) / 2
        # The mean that the last bet has after a win in each one before it.
        before_last = jnp.maximum(left - 1, 0.0)
        best = (wins + before_last) / (count + before_last)
        return betting.value_bounds(money, best, self.cap, self.rounds)

    @property
    def _radices(self) -> tuple[int, ...]:
        return (self.rounds + 1, self.rounds + 1, self.most + 1)

    def encode(self, state: KellyBetaState) -> UInt32[Array, " K"]:
        return packed(jnp.stack([state.wins, state.losses, state.wealth]), self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> KellyBetaState:
        wins, losses, wealth = unpacked(key, self._radices)
        return KellyBetaState(wealth=wealth, wins=wins, losses=losses)

    def render(self, state: KellyBetaState) -> str:
        """Wealth, rounds and posterior in words."""
        wealth = betting.dollars(int(state.wealth), self.unit)
        return (
            f"{wealth} of at most ${self.cap}, {int(self._left(state))} of {self.rounds} rounds left\n"
            f"{int(state.wins)} wins, {int(state.losses)} losses, mean {float(self.mean(state)):.3f}"
        )

    def action_name(self, action: int) -> str:
        return f"bet {betting.dollars(action, self.unit)}"


def make(
    alpha: int = 3,
    beta: int = 2,
    rounds: int = 20,
    wealth: int = 25,
    cap: int = 100,
    bets_per_dollar: int = 1,
) -> KellyBeta:
    """Prior and rounds, then start, cap and bets to the dollar.

    Raises:
      ValueError: a size is out of range.
    """
    if bets_per_dollar < 1:
        raise ValueError(f"there is at least 1 bet to a dollar, got {bets_per_dollar}")
    return KellyBeta(float(alpha), float(beta), rounds, wealth, cap, 1 / bets_per_dollar)
