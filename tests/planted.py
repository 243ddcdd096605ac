"""Small games whose values are known in closed form.

Every game has `EXACT`, the value of its initial state; `VALUES`, where present, are those of each heap.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import Step


class HeapState(NamedTuple):
    left: Int32[Array, ""]


class DiceState(NamedTuple):
    rolls: Int32[Array, ""]
    face: Int32[Array, ""]


@dataclass(frozen=True)
class Chain:
    """One player, discounted: stop now for 1, or walk on to a prize of 10 at the end.

    Walking on costs a factor 0.9 a step and earns 10 with the last one, so with n steps left the value is
    `max(1, 10 * 0.9 ** (n - 1))`: 6.561 from 5 steps.
    """

    steps: int = 5

    EXACT = 10 * 0.9**4
    name = "chain"
    version = 1
    num_actions = 2
    num_outcomes = 1
    value_bounds = (0.0, 10.0)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.steps + 1,)

    def init(self) -> HeapState:
        return HeapState(jnp.int32(self.steps))

    def legal_actions(self, state: HeapState) -> Bool[Array, "2"]:
        return jnp.broadcast_to(state.left > 0, (2,))

    def outcome_probs(self, state: HeapState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: HeapState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[HeapState, Step]:
        stops = action == 0
        left = jnp.where(stops, 0, jnp.maximum(state.left - 1, 0))
        reward = jnp.where(stops, 1.0, jnp.where(left == 0, 10.0, 0.0))
        return HeapState(left), Step(reward=reward, discount=jnp.where(left == 0, 0.0, 0.9))

    def observe(self, state: HeapState) -> Float[Array, " sizes"]:
        return (jnp.arange(self.steps + 1) == state.left).astype(jnp.float32)

    def encode(self, state: HeapState) -> UInt32[Array, "1"]:
        return state.left.astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> HeapState:
        return HeapState(key[0].astype(jnp.int32))


@dataclass(frozen=True)
class Dice:
    """One player and chance: roll a die up to three times, keep the last face.

    With one roll to come it is worth 7/2, with two (4 + 5 + 6) / 6 + 7/2 * 1/2 = 17/4, with three
    (5 + 6) / 6 + 17/4 * 2/3 = 14/3. Action 0 keeps the face, action 1 rolls.
    """

    EXACT = 14 / 3
    name = "dice"
    version = 1
    num_actions = 2
    num_outcomes = 6
    observation_shape = (4, 7)
    value_bounds = (0.0, 6.0)

    def init(self) -> DiceState:
        return DiceState(rolls=jnp.int32(3), face=jnp.int32(0))

    def legal_actions(self, state: DiceState) -> Bool[Array, "2"]:
        open_ = state.rolls >= 0
        return jnp.stack([open_ & (state.face > 0), open_ & (state.rolls > 0)])

    def outcome_probs(self, state: DiceState, action: Int[Array, ""]) -> Float[Array, "6"]:
        return jnp.where(action == 1, jnp.full(6, 1 / 6), jnp.arange(6) == 0)

    def apply(
        self, state: DiceState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[DiceState, Step]:
        rolls = action == 1
        after = DiceState(
            rolls=jnp.where(rolls, state.rolls - 1, -1),
            face=jnp.where(rolls, outcome + 1, 0).astype(jnp.int32),
        )
        return after, Step(reward=jnp.where(rolls, 0.0, state.face), discount=jnp.where(rolls, 1.0, 0.0))

    def observe(self, state: DiceState) -> Float[Array, "4 7"]:
        here = (jnp.arange(4)[:, None] == state.rolls) & (jnp.arange(7) == state.face)
        return here.astype(jnp.float32)

    def encode(self, state: DiceState) -> UInt32[Array, "1"]:
        return ((state.rolls + 1) * 7 + state.face).astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> DiceState:
        number = key[0].astype(jnp.int32)
        return DiceState(rolls=number // 7 - 1, face=number % 7)


@dataclass(frozen=True)
class LeakyHeap:
    """Two players and chance: take one or two objects, then with probability 1/4 one more leaks away.

    Whoever takes the last object wins 1; a heap emptied by the leak is a draw. With w(n) the value of n
    objects, w(0..6) is 0, 1, 1, -3/4, 5/16, 5/16, -3/64. For example from 3 objects taking two leaves one,
    which the opponent takes (-1) unless it leaks (0), which is better than leaving two (-1 either way).
    """

    heap: int = 6

    EXACT = -3 / 64
    VALUES = (0.0, 1.0, 1.0, -3 / 4, 5 / 16, 5 / 16, -3 / 64)
    name = "leaky_heap"
    version = 1
    num_actions = 2
    num_outcomes = 2
    value_bounds = (-1.0, 1.0)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.heap + 1,)

    def init(self) -> HeapState:
        return HeapState(jnp.int32(self.heap))

    def legal_actions(self, state: HeapState) -> Bool[Array, "2"]:
        return state.left >= np.arange(1, 3)

    def outcome_probs(self, state: HeapState, action: Int[Array, ""]) -> Float[Array, "2"]:
        empties = state.left <= action + 1
        return jnp.where(empties, jnp.array([1.0, 0.0]), jnp.array([0.75, 0.25]))

    def apply(
        self, state: HeapState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[HeapState, Step]:
        taken = jnp.maximum(state.left - action - 1, 0)
        left = jnp.maximum(taken - outcome, 0).astype(jnp.int32)
        step = Step(reward=jnp.where(taken == 0, 1.0, 0.0), discount=jnp.where(left == 0, 0.0, -1.0))
        return HeapState(left), step

    def observe(self, state: HeapState) -> Float[Array, " sizes"]:
        return (jnp.arange(self.heap + 1) == state.left).astype(jnp.float32)

    def encode(self, state: HeapState) -> UInt32[Array, "1"]:
        return state.left.astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> HeapState:
        return HeapState(key[0].astype(jnp.int32))


@dataclass(frozen=True)
class BonusHeap:
    """Two players, one of whom may move again: whoever takes the last object loses 1.

    Taking one object passes the turn, taking two keeps it; either costs a factor 0.9. One object is worth
    -1, 2k objects 0.9 ** k and 2k + 1 objects -(0.9 ** (k + 1)): from an even heap take two, or one of two.
    Six objects are worth 0.729, and only the bonus move earns it.
    """

    heap: int = 6

    EXACT = 0.9**3
    VALUES = (0.0, -1.0, 0.9, -(0.9**2), 0.9**2, -(0.9**3), 0.9**3)
    name = "bonus_heap"
    version = 1
    num_actions = 2
    num_outcomes = 1
    value_bounds = (-1.0, 1.0)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.heap + 1,)

    def init(self) -> HeapState:
        return HeapState(jnp.int32(self.heap))

    def legal_actions(self, state: HeapState) -> Bool[Array, "2"]:
        return state.left >= np.arange(1, 3)

    def outcome_probs(self, state: HeapState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: HeapState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[HeapState, Step]:
        left = jnp.maximum(state.left - action - 1, 0).astype(jnp.int32)
        discount = jnp.where(action == 1, 0.9, -0.9)
        step = Step(reward=jnp.where(left == 0, -1.0, 0.0), discount=jnp.where(left == 0, 0.0, discount))
        return HeapState(left), step

    def observe(self, state: HeapState) -> Float[Array, " sizes"]:
        return (jnp.arange(self.heap + 1) == state.left).astype(jnp.float32)

    def encode(self, state: HeapState) -> UInt32[Array, "1"]:
        return state.left.astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> HeapState:
        return HeapState(key[0].astype(jnp.int32))


class PairState(NamedTuple):
    left: Int32[Array, ""]
    side: Int32[Array, ""]


@dataclass(frozen=True)
class TwoHeaps:
    """Two players and a symmetry: two heaps of 2, take one object from either; the last object wins 1.

    Four objects are taken whatever the players do, so the second player wins.
    """

    EXACT = -1.0
    name = "two_heaps"
    version = 1
    num_actions = 2
    num_outcomes = 1
    observation_shape = (2,)
    value_bounds = (-1.0, 1.0)

    def init(self) -> PairState:
        return PairState(jnp.int32(2), jnp.int32(2))

    def legal_actions(self, state: PairState) -> Bool[Array, "2"]:
        return jnp.stack(state) > 0

    def outcome_probs(self, state: PairState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: PairState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[PairState, Step]:
        after = PairState(
            jnp.maximum(state.left - (action == 0), 0), jnp.maximum(state.side - (action == 1), 0)
        )
        over = after.left + after.side == 0
        return after, Step(reward=jnp.where(over, 1.0, 0.0), discount=jnp.where(over, 0.0, -1.0))

    def observe(self, state: PairState) -> Float[Array, "2"]:
        return jnp.stack(state).astype(jnp.float32)

    def encode(self, state: PairState) -> UInt32[Array, "1"]:
        return (state.left * 3 + state.side).astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> PairState:
        number = key[0].astype(jnp.int32)
        return PairState(number // 3, number % 3)

    def symmetries(self, state: PairState) -> tuple[PairState, Int[Array, "2 2"]]:
        left, side = state
        return PairState(jnp.stack([left, side]), jnp.stack([side, left])), jnp.array([[0, 1], [1, 0]])


SOUND = (Chain(), Dice(), LeakyHeap(), BonusHeap(), TwoHeaps())
