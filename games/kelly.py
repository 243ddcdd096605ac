"""Betting on a coin that is known to be biased, for a number of rounds, with a cap on what can be won.

V. Haghani and R. Dewey, Rational decision-making under uncertainty, 2016: $25, a coin that wins in 60 of 100
throws, at most $250. J. L. Kelly, 1956, bets a fixed part of one's wealth; exact play also looks at the cap
and at the rounds that are left.
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

EXAMPLES = ("kelly_25_250_300",)


class KellyState(NamedTuple):
    """Where the player stands.

    Attributes:
      wealth: in units.
      rounds: to come.
    """

    wealth: Int32[Array, ""]
    rounds: Int32[Array, ""]


@dataclass(frozen=True)
class Kelly:
    """One player; action = bet in units; outcome 1 wins the bet, 0 loses it.

    The reward is one's wealth in dollars when the game is over: after the last round, with nothing left, or
    once the cap is reached.

    Attributes:
      wealth: at the start, in dollars.
      cap: more cannot be won, in dollars.
      rounds: bets in all.
      unit: the smallest bet, in dollars; bets are multiples of it. One over a whole number.
      win_prob: chance to win a bet.

    Raises:
      ValueError: wealth, cap, rounds, unit or chance out of range.
    """

    wealth: int = 25
    cap: int = 250
    rounds: int = 300
    unit: float = 1.0
    win_prob: float = 0.6

    version = 2
    num_outcomes = 2

    def __post_init__(self) -> None:
        betting.check_bets(self.wealth, self.cap, self.rounds, self.unit)
        if not 0 < self.win_prob < 1:
            raise ValueError(f"the chance to win a bet is between 0 and 1, got {self.win_prob:g}")

    @property
    def name(self) -> str:
        extra = [betting.bets_per_dollar(self.unit), f"{100 * self.win_prob:g}"]
        while extra and extra[-1] == (1, "60")[len(extra) - 1]:
            extra.pop()
        return "_".join(map(str, ["kelly", self.wealth, self.cap, self.rounds, *extra]))

    @property
    def most(self) -> int:
        """The cap in units."""
        return self.cap * betting.bets_per_dollar(self.unit)

    @property
    def num_actions(self) -> int:
        return self.most

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (betting.NUM_INPUTS,)

    @property
    def action_features(self) -> Float[np.ndarray, "A F"]:
        """What each bet is like."""
        return betting.bet_features(self.most)

    @property
    def value_bounds(self) -> tuple[float, float]:
        return (0.0, float(self.cap))

    @property
    def baselines(self) -> dict[str, BaselineFn]:
        """Kelly's fraction of one's wealth."""
        return {
            "kelly": lambda states: betting.kelly_fraction(
                np.asarray(states.wealth), self.win_prob, self.most
            )
        }

    def init(self) -> KellyState:
        return KellyState(
            wealth=jnp.int32(self.wealth * betting.bets_per_dollar(self.unit)), rounds=jnp.int32(self.rounds)
        )

    def random_state(self, rng_key: Key[Array, ""]) -> KellyState:
        """Any wealth below the cap, any rounds."""
        key_wealth, key_rounds = jax.random.split(rng_key)
        return KellyState(
            wealth=betting.random_wealth(key_wealth, self.most),
            rounds=jax.random.randint(key_rounds, (), 1, self.rounds + 1, jnp.int32),
        )

    def legal_actions(self, state: KellyState) -> Bool[Array, " A"]:
        return betting.legal_bets(state.wealth, state.rounds, self.most)

    def outcome_probs(self, state: KellyState, action: Int[Array, ""]) -> Float[Array, "2"]:
        return jnp.array([1.0 - self.win_prob, self.win_prob])

    def apply(
        self, state: KellyState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[KellyState, Step]:
        wealth, step = betting.settled(
            state.wealth, state.rounds, action, outcome, most=self.most, unit=self.unit
        )
        return KellyState(wealth, jnp.maximum(state.rounds - 1, 0).astype(jnp.int32)), step

    def observe(self, state: KellyState) -> Float[Array, " inputs"]:
        """Wealth and rounds to come, each on a linear and a logarithmic scale."""
        return betting.inputs(state.wealth, state.rounds, self.most, self.rounds)

    def observed_value_bounds(
        self, observation: Float[Array, " inputs"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """What betting nothing keeps, and what betting everything would earn but for the cap."""
        return betting.value_bounds(observation, self.win_prob, self.cap, self.rounds)

    @property
    def _radices(self) -> tuple[int, ...]:
        return (self.rounds + 1, self.most + 1)

    def encode(self, state: KellyState) -> UInt32[Array, " K"]:
        return packed(jnp.stack([state.rounds, state.wealth]), self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> KellyState:
        rounds, wealth = unpacked(key, self._radices)
        return KellyState(wealth=wealth, rounds=rounds)

    def render(self, state: KellyState) -> str:
        """Wealth and rounds in words."""
        wealth = betting.dollars(int(state.wealth), self.unit)
        return f"{wealth} of at most ${self.cap}, {int(state.rounds)} of {self.rounds} rounds left"

    def action_name(self, action: int) -> str:
        return f"bet {betting.dollars(action, self.unit)}"


def make(
    wealth: int = 25, cap: int = 250, rounds: int = 300, bets_per_dollar: int = 1, win_percent: int = 60
) -> Kelly:
    """Start, cap and rounds; `kelly_25_250_300_2` has bets of half dollars.

    Raises:
      ValueError: a size is out of range.
    """
    if bets_per_dollar < 1:
        raise ValueError(f"there is at least 1 bet to a dollar, got {bets_per_dollar}")
    return Kelly(wealth, cap, rounds, 1 / bets_per_dollar, win_percent / 100)
