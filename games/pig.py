"""Pig: roll a die as often as you dare, then hold and keep the sum; a 1 takes the turn's sum away.

T. Neller and C. Presser, Optimal play of the dice game Pig, 2004. Positions repeat: a turn may bring nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, Key, UInt32

from exit.game import BaselineFn, Step
from games._numbers import packed, share_of, unpacked

EXAMPLES = ("pig_100",)

HOLD, ROLL = range(2)
"""Actions."""

_SIDES = 6
_MAX_GOAL = 1000
_HOLD_AT = 20
_NUM_INPUTS = 5


class PigState(NamedTuple):
    """Points.

    Attributes:
      mine: of the player to move; the goal where he has won.
      theirs: of the other one.
      turn: sum of the turn so far; 0 where the game is over.
    """

    mine: Int32[Array, ""]
    theirs: Int32[Array, ""]
    turn: Int32[Array, ""]


@dataclass(frozen=True)
class Pig:
    """Two players; actions: 0 holds, which needs a roll before it, and 1 rolls; outcome = pips less one.

    Who first has the goal in sight, his points and his turn's sum together, wins 1 from the other at once. A
    value of v is a chance of (1 + v) / 2 to win.

    Attributes:
      goal: points to win.

    Raises:
      ValueError: a goal out of range.
    """

    goal: int = 100

    version = 2
    num_actions = 2
    num_outcomes = _SIDES
    observation_shape = (_NUM_INPUTS,)
    value_bounds = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if not 2 <= self.goal <= _MAX_GOAL:
            raise ValueError(f"pig has a goal of 2 to {_MAX_GOAL} points, got {self.goal}")

    @property
    def name(self) -> str:
        return f"pig_{self.goal}"

    @property
    def baselines(self) -> dict[str, BaselineFn]:
        """Holding at 20, which makes the most points a turn."""

        def hold_at_20(states: PigState) -> Float[np.ndarray, "n 2"]:
            holds = np.asarray(states.turn) >= _HOLD_AT
            return np.stack([holds, ~holds], axis=1).astype(np.float64)

        return {"hold_at_20": hold_at_20}

    def init(self) -> PigState:
        return PigState(mine=jnp.int32(0), theirs=jnp.int32(0), turn=jnp.int32(0))

    def random_state(self, rng_key: Key[Array, ""]) -> PigState:
        """Any points below the goal; a turn's sum that does not reach it."""
        key_points, key_turn = jax.random.split(rng_key)
        mine, theirs = jax.random.randint(key_points, (2,), 0, self.goal, jnp.int32)
        turn = jax.random.randint(key_turn, (), 0, self.goal - mine, jnp.int32)
        return PigState(mine=mine, theirs=theirs, turn=turn)

    def legal_actions(self, state: PigState) -> Bool[Array, "2"]:
        return jnp.stack([state.turn > 0, state.mine < self.goal])

    def outcome_probs(self, state: PigState, action: Int[Array, ""]) -> Float[Array, "6"]:
        return jnp.where(action == ROLL, jnp.full(_SIDES, 1 / _SIDES), np.arange(_SIDES) == 0)

    def apply(
        self, state: PigState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[PigState, Step]:
        rolls, pips = action == ROLL, outcome + 1
        turn = jnp.where(rolls, jnp.where(pips == 1, 0, state.turn + pips), state.turn)
        passes = ~rolls | (pips == 1)
        won = state.mine + turn >= self.goal
        kept = jnp.minimum(state.mine + jnp.where(passes | won, turn, 0), self.goal)
        goes_over = passes & ~won
        after = PigState(
            mine=jnp.where(goes_over, state.theirs, kept).astype(jnp.int32),
            theirs=jnp.where(goes_over, kept, state.theirs).astype(jnp.int32),
            turn=jnp.where(passes | won, 0, turn).astype(jnp.int32),
        )
        discount = jnp.where(won, 0.0, jnp.where(passes, -1.0, 1.0))
        return after, Step(reward=jnp.where(won, 1.0, 0.0), discount=discount)

    def observe(self, state: PigState) -> Float[Array, " inputs"]:
        """Points of both, the turn's sum, what holding would make of it, and how far ahead that would be.

        Numbers in [-1, 1], not steps, each of which would be a kink in the value.
        """
        kept = state.mine + state.turn
        shares = [share_of(each, self.goal) for each in (*state, kept)]
        return jnp.stack([*(2 * share - 1 for share in shares), share_of(kept - state.theirs, self.goal)])

    @property
    def _radices(self) -> tuple[int, ...]:
        return (self.goal + 1, self.goal + 1, self.goal + 1)

    def encode(self, state: PigState) -> UInt32[Array, " K"]:
        return packed(jnp.stack(state), self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> PigState:
        return PigState(*unpacked(key, self._radices))

    def render(self, state: PigState) -> str:
        """Points in words, those of the player to move first."""
        mine, theirs, turn = map(int, state)
        return f"{mine} points to {theirs}, of {self.goal}; {turn} in this turn"

    def action_name(self, action: int) -> str:
        return ("hold", "roll")[action]


def make(goal: int = 100) -> Pig:
    """Pig to so many points."""
    return Pig(goal)
