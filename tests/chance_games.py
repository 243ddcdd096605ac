"""Small games of chance whose values plain Python knows."""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import Step


class PurseState(NamedTuple):
    rounds: Int32[Array, ""]
    wealth: Int32[Array, ""]


@dataclass(frozen=True)
class Bets:
    """One player, discounted: stake 0, 1 or 2 of what one has, won with probability 0.6 and lost with 0.4.

    After the last round, wealth w is worth log2(1 + w). Rounds before it cost a factor `discount`.
    """

    discount: float = 0.9
    rounds: int = 3
    wealth: int = 2

    name = "bets"
    version = 1
    num_actions = 3
    num_outcomes = 2

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.rounds + 1, self.greatest + 1)

    @property
    def greatest(self) -> int:
        return self.wealth + 2 * self.rounds

    @property
    def value_bounds(self) -> tuple[float, float]:
        return (0.0, math.log2(1 + self.greatest))

    def init(self) -> PurseState:
        return PurseState(jnp.int32(self.rounds), jnp.int32(self.wealth))

    def legal_actions(self, state: PurseState) -> Bool[Array, "3"]:
        return (state.rounds > 0) & (jnp.arange(3) <= state.wealth)

    def outcome_probs(self, state: PurseState, action: Int[Array, ""]) -> Float[Array, "2"]:
        return jnp.array([0.6, 0.4])

    def apply(
        self, state: PurseState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[PurseState, Step]:
        wealth = jnp.clip(state.wealth + jnp.where(outcome == 0, action, -action), 0, self.greatest)
        rounds = jnp.maximum(state.rounds - 1, 0)
        last = rounds == 0
        reward = jnp.where(last, jnp.log2(1.0 + wealth), 0.0)
        after = PurseState(rounds, wealth.astype(jnp.int32))
        return after, Step(reward=reward, discount=jnp.where(last, 0.0, self.discount))

    def observe(self, state: PurseState) -> Float[Array, "rounds wealth"]:
        rounds, wealth = (jnp.arange(size) for size in self.observation_shape)
        return ((rounds[:, None] == state.rounds) & (wealth == state.wealth)).astype(jnp.float32)

    def encode(self, state: PurseState) -> UInt32[Array, "1"]:
        return (state.rounds * (self.greatest + 1) + state.wealth).astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> PurseState:
        number = key[0].astype(jnp.int32)
        return PurseState(number // (self.greatest + 1), number % (self.greatest + 1))

    def exact(self, rounds: int, wealth: int) -> float:
        """Value with so many rounds to come."""
        if rounds == 0:
            return math.log2(1 + wealth)
        discount = self.discount if rounds > 1 else 1.0
        return discount * max(
            0.6 * self.exact(rounds - 1, wealth + stake) + 0.4 * self.exact(rounds - 1, wealth - stake)
            for stake in range(min(2, wealth) + 1)
        )


class RaceState(NamedTuple):
    mine: Int32[Array, ""]
    theirs: Int32[Array, ""]


_STEPS = ((2, 0, 0), (1, 3, 4))
_ODDS = ((1.0, 0.0, 0.0), (0.5, 0.25, 0.25))


@dataclass(frozen=True)
class Race:
    """Two players and chance: in turn, walk 2 steps, or roll for 1, 3 or 4 of them; who arrives first wins 1.

    Walking has one outcome; what the rules say of the others, which cannot happen, is not a number.
    """

    length: int = 5

    name = "race"
    version = 1
    num_actions = 2
    num_outcomes = 3
    value_bounds = (-1.0, 1.0)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (2, self.length + 1)

    def init(self) -> RaceState:
        return RaceState(jnp.int32(self.length), jnp.int32(self.length))

    def legal_actions(self, state: RaceState) -> Bool[Array, "2"]:
        return jnp.broadcast_to((state.mine > 0) & (state.theirs > 0), (2,))

    def outcome_probs(self, state: RaceState, action: Int[Array, ""]) -> Float[Array, "3"]:
        return jnp.array(_ODDS)[action]

    def apply(
        self, state: RaceState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[RaceState, Step]:
        impossible = (action == 0) & (outcome > 0)
        mine = jnp.maximum(state.mine - jnp.array(_STEPS)[action, outcome], 0).astype(jnp.int32)
        won = mine == 0
        reward = jnp.where(impossible, jnp.nan, jnp.where(won, 1.0, 0.0))
        discount = jnp.where(impossible, jnp.nan, jnp.where(won, 0.0, -1.0))
        return RaceState(state.theirs, mine), Step(reward=reward, discount=discount)

    def observe(self, state: RaceState) -> Float[Array, "2 steps"]:
        return (jnp.arange(self.length + 1) == jnp.stack(state)[:, None]).astype(jnp.float32)

    def encode(self, state: RaceState) -> UInt32[Array, "1"]:
        return (state.mine * (self.length + 1) + state.theirs).astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> RaceState:
        number = key[0].astype(jnp.int32)
        return RaceState(number // (self.length + 1), number % (self.length + 1))

    def exact(self, mine: int, theirs: int) -> float:
        """Value to the player to move, who has so far to go."""
        return _race_value(mine, theirs)


@functools.cache
def _race_value(mine: int, theirs: int) -> float:
    def after(steps: int) -> float:
        return 1.0 if steps >= mine else -_race_value(theirs, mine - steps)

    return max(
        sum(prob * after(steps) for steps, prob in zip(*move, strict=True) if prob > 0)
        for move in zip(_STEPS, _ODDS, strict=True)
    )
