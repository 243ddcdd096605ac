"""Games in which positions come back, and what plain Python knows of their values."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import Step
from tests.solver_games import Numbers, NumberState, Rules


class PigState(NamedTuple):
    mine: Int32[Array, ""]
    theirs: Int32[Array, ""]
    turn: Int32[Array, ""]


@dataclass(frozen=True)
class Pig:
    """Two players and a die: roll on, or hold and keep the sum of the turn, which a 1 takes away.

    Who first has `goal` points wins 1 from the other. Action 0 holds, action 1 rolls.
    """

    goal: int = 100

    version = 1
    num_actions = 2
    num_outcomes = 6
    value_bounds = (-1.0, 1.0)

    @property
    def name(self) -> str:
        return f"pig_{self.goal}"

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (3,)

    def init(self) -> PigState:
        return PigState(jnp.int32(0), jnp.int32(0), jnp.int32(0))

    def legal_actions(self, state: PigState) -> Bool[Array, "2"]:
        going_on = jnp.maximum(state.mine + state.turn, state.theirs) < self.goal
        return jnp.stack([going_on, going_on])

    def outcome_probs(self, state: PigState, action: Int[Array, ""]) -> Float[Array, "6"]:
        return jnp.where(action == 1, jnp.full(6, 1 / 6), jnp.arange(6) == 0)

    def apply(
        self, state: PigState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[PigState, Step]:
        rolls = action == 1
        turn = jnp.where(rolls, jnp.where(outcome == 0, 0, state.turn + outcome + 1), state.turn)
        passes = ~rolls | (outcome == 0)
        mine = jnp.minimum(state.mine + jnp.where(passes, turn, 0), self.goal)
        won = state.mine + turn >= self.goal
        after = PigState(
            jnp.where(passes, state.theirs, state.mine).astype(jnp.int32),
            jnp.where(passes, mine, state.theirs).astype(jnp.int32),
            jnp.where(passes, 0, jnp.minimum(turn, self.goal - state.mine)).astype(jnp.int32),
        )
        discount = jnp.where(won, 0.0, jnp.where(passes, -1.0, 1.0))
        return after, Step(reward=jnp.where(won, 1.0, 0.0), discount=discount)

    def observe(self, state: PigState) -> Float[Array, "3"]:
        return jnp.stack(state).astype(jnp.float32)

    def encode(self, state: PigState) -> UInt32[Array, "1"]:
        size = self.goal + 1
        return ((state.mine * size + state.theirs) * size + state.turn).astype(jnp.uint32)[None]

    def decode(self, key: UInt32[Array, "1"]) -> PigState:
        number, size = key[0].astype(jnp.int32), self.goal + 1
        return PigState(number // size**2, number // size % size, number % size)


@dataclass(frozen=True)
class Gambler(Numbers):
    """One player with some coins stakes any number of them, none included, and is paid 1 for reaching `goal`.

    A stake is won with probability `luck`.
    """

    name: str = "gambler"
    goal: int = 8
    coins: int = 3
    luck: float = 0.4
    num_actions: int = 5
    num_outcomes: int = 2
    value_bounds: tuple[float, float] = (0.0, 1.0)

    def init(self) -> NumberState:
        return NumberState(jnp.int32(self.coins))

    def legal_actions(self, state: NumberState) -> Bool[Array, " A"]:
        coins = state.number
        return (jnp.arange(self.num_actions) <= jnp.minimum(coins, self.goal - coins)) & (
            (coins > 0) & (coins < self.goal)
        )

    def outcome_probs(self, state: NumberState, action: Int[Array, ""]) -> Float[Array, "2"]:
        return jnp.array([self.luck, 1 - self.luck])

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        coins = jnp.clip(state.number + jnp.where(outcome == 0, action, -action), 0, self.goal)
        over = (coins == 0) | (coins == self.goal)
        return NumberState(coins.astype(jnp.int32)), Step(
            jnp.where(coins == self.goal, 1.0, 0.0), jnp.where(over, 0.0, 1.0)
        )


@cache
def _random_rules(seed: int, size: int, num_actions: int, num_outcomes: int, kind: str) -> Rules:
    """Moves between any two states; the last two are terminal, and pay 1 and -1 to who moves there."""
    rng = np.random.default_rng(seed)
    shape = (size, num_actions, num_outcomes)
    legal = rng.random((size, num_actions)) < 0.7
    legal[:-2, 0], legal[-2:] = True, False
    weights = rng.random(shape) * (rng.random(shape) < 0.7)
    weights[..., 0] += 0.1
    child = rng.integers(0, size, shape)
    over = child >= size - 2
    reward = np.where(child == size - 2, 1.0, np.where(child == size - 1, -1.0, 0.0))
    if kind == "discounted":
        reward = rng.normal(size=shape)
        discount = rng.choice([-0.9, 0.5, 0.95, -0.95], shape)
    else:
        discount = rng.choice([-1.0, 1.0], shape)
    return Rules(
        legal, weights / weights.sum(axis=-1, keepdims=True), child, reward, np.where(over, 0.0, discount)
    )


@dataclass(frozen=True)
class Written(Numbers):
    """Base of games whose moves are written down as tables."""

    num_outcomes: int = 2

    @property
    def rules(self) -> Rules:
        raise NotImplementedError

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

    def finite_values(self, num_moves: int) -> np.ndarray:
        """Values of all numbers in the game that is cut off, and worth 0, after so many moves."""
        rules, values = self.rules, np.zeros(len(self.rules.legal))
        for _ in range(num_moves):
            qvalues = (rules.probs * (rules.reward + rules.discount * values[rules.child])).sum(axis=-1)
            best = np.where(rules.legal, qvalues, -np.inf).max(axis=1)
            values = np.where(rules.legal.any(axis=1), best, 0.0)
        return values


@dataclass(frozen=True)
class RandomCycles(Written):
    """A game whose moves lead anywhere, with chance; `kind` is "discounted" or "endless".

    Discounted moves earn anything; endless ones earn 1 or -1 at the end of the game alone.
    """

    name: str = "random_cycles"
    seed: int = 0
    size: int = 40
    num_actions: int = 3
    kind: str = "endless"
    value_bounds: tuple[float, float] = (-100.0, 100.0)

    @property
    def rules(self) -> Rules:
        return _random_rules(self.seed, self.size, self.num_actions, self.num_outcomes, self.kind)


@dataclass(frozen=True)
class Risk(Written):
    """One player waits (0) or dares (1), to win 1 at even odds, else to lose 1 at even odds, or start again.

    Daring is worth 1/2 + (-1/2 + value/2) / 2, which is 1/3. But a game that is cut off is best played by
    waiting, and daring with the last move, before anything can be lost: that is worth 1/2.
    """

    name: str = "risk"
    num_actions: int = 2

    @property
    def rules(self) -> Rules:
        return Rules(
            legal=np.array([[True, True], [True, False], [False, False]]),
            probs=np.array([[[1, 0], [0.5, 0.5]], [[0.5, 0.5], [1, 0]], [[1, 0], [1, 0]]]),
            child=np.array([[[0, 0], [2, 1]], [[2, 0], [2, 2]], [[2, 2], [2, 2]]]),
            reward=np.array([[[0, 0], [1, 0]], [[-1, 0], [0, 0]], [[0, 0], [0, 0]]]),
            discount=np.array([[[1, 1], [0, 1]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]]),
        )


@dataclass(frozen=True)
class Circle(Numbers):
    """One player walks in a circle of four states and in turn earns `reward` and pays `cost`."""

    name: str = "circle"
    reward: float = 1.0
    cost: float = 1.0

    def apply(
        self, state: NumberState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NumberState, Step]:
        earned = jnp.where(state.number % 2 == 0, self.reward, -self.cost)
        return NumberState((state.number + 1) % 4), Step(earned, jnp.float32(1))
