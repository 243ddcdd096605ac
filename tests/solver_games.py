"""Games that try a solver: endless, circular, written down as random tables, or with long keys."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import Step
from games.tic_tac_toe import TicTacToe, TicTacToeState


class NumberState(NamedTuple):
    number: Int32[Array, ""]


@dataclass(frozen=True)
class Numbers:
    """Base of games whose states are numbers; with nothing else said, one counts up and never ends."""

    name: str = "numbers"
    num_actions: int = 1
    num_outcomes: int = 1
    version: int = 1
    observation_shape: tuple[int, ...] = ()
    value_bounds: tuple[float, float] = (-1.0, 1.0)

    def init(self) -> NumberState:
        return NumberState(jnp.int32(0))

    def legal_actions(self, state: NumberState) -> Bool[Array, " A"]:
        return jnp.ones(self.num_actions, bool)

    def outcome_probs(self, state: NumberState, action: Int[Array, ""]) -> Float[Array, " C"]:
        return jnp.ones(self.num_outcomes) / self.num_outcomes

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        return NumberState(state.number + 1), Step(jnp.float32(0), jnp.float32(1))

    def observe(self, state: NumberState) -> Float[Array, ""]:
        return state.number.astype(jnp.float32)

    def encode(self, state: NumberState) -> UInt32[Array, "1"]:
        return state.number.astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> NumberState:
        return NumberState(key[0].astype(jnp.int32))


@dataclass(frozen=True)
class Ring(Numbers):
    """Three states that follow one another in a circle."""

    name: str = "ring"

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        return NumberState((state.number + 1) % 3), Step(jnp.float32(0), jnp.float32(-1))


@dataclass(frozen=True)
class Tie(Numbers):
    """Earn 0.3 at once, or 0.1 and then 0.2, which is a little more in floating point."""

    name: str = "tie"
    num_actions: int = 2

    def legal_actions(self, state: NumberState) -> Bool[Array, "2"]:
        return (state.number < 2) & (jnp.arange(2) >= state.number)

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        starts = (state.number == 0) & (action == 1)
        reward = jnp.where(starts, 0.1, jnp.where(state.number == 0, 0.3, 0.2))
        return NumberState(jnp.where(starts, 1, 2).astype(jnp.int32)), Step(
            reward, jnp.where(starts, 1.0, 0.0)
        )


class Rules(NamedTuple):
    """Moves of a game written down as tables over states, actions and outcomes."""

    legal: np.ndarray
    probs: np.ndarray
    child: np.ndarray
    reward: np.ndarray
    discount: np.ndarray


@cache
def _random_rules(seed: int, size: int, num_actions: int, num_outcomes: int) -> Rules:
    """Moves to later states, near and far; the last state is terminal, others may be."""
    rng = np.random.default_rng(seed)
    shape = (size, num_actions, num_outcomes)
    legal = rng.random((size, num_actions)) < 0.7
    legal[0], legal[-1] = True, False
    weights = rng.random(shape) * (rng.random(shape) < 0.7)
    weights[..., 0] += 0.1
    child = np.minimum(np.arange(size)[:, None, None] + rng.integers(1, 9, shape), size - 1)
    going_on = np.logical_or.reduce(legal, axis=1)
    discount = np.where(going_on[child], rng.choice([-1, 0.9, -0.9, 1], shape), 0.0)
    # An impossible outcome may bring anything.
    reward = np.where(weights > 0, rng.normal(size=shape), np.nan)
    return Rules(legal, weights / weights.sum(axis=-1, keepdims=True), child, reward, discount)


@dataclass(frozen=True)
class Random(Numbers):
    """A game whose states are reached by lines of play of different lengths, with chance and bonus moves."""

    name: str = "random"
    seed: int = 0
    size: int = 60
    num_actions: int = 3
    num_outcomes: int = 3
    value_bounds: tuple[float, float] = (-1e3, 1e3)

    @property
    def rules(self) -> Rules:
        return _random_rules(self.seed, self.size, self.num_actions, self.num_outcomes)

    def legal_actions(self, state: NumberState) -> Bool[Array, " A"]:
        return jnp.asarray(self.rules.legal)[state.number]

    def outcome_probs(self, state: NumberState, action: Int[Array, ""]) -> Float[Array, " C"]:
        return jnp.asarray(self.rules.probs)[state.number, action]

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        child, reward, discount = (
            jnp.asarray(table)[state.number, action, outcome] for table in self.rules[2:]
        )
        return NumberState(child.astype(jnp.int32)), Step(reward, discount)


@dataclass(frozen=True)
class LongKeys(TicTacToe):
    """Tic-tac-toe with keys of three words."""

    def encode(self, state: TicTacToeState) -> UInt32[Array, "3"]:
        return jnp.stack([state.mine, jnp.uint32(7), state.theirs])

    def decode(self, key: UInt32[Array, "3"]) -> TicTacToeState:
        return TicTacToeState(mine=key[0], theirs=key[2])
