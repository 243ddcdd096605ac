"""Wald's problem seen as a beginner sees it: heads or tails, throw by throw.

The rules are those of `sequential_test_P0_P1`; only what is seen differs: the throws themselves, not
counted nor turned into a posterior. What they say of the coin are looks and heads, the states of that game,
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from exit.game import BaselineFn, Step
from games import _histories as histories
from games._numbers import packed, unpacked
from games.sequential_test import LookState, SequentialTest
from games.sequential_test import make as make_test

EXAMPLES = ("sequential_test_history_3_7",)

_MAX_LOOKS = 200
_TAILS, _HEADS, _NUM_KINDS = 1, 2, 2


class ThrowsState(NamedTuple):
    """What was seen, in order.

    Attributes:
      throws: 1 for tails, 2 for heads, 0 for those to come.
      decided: whether the game is over.
    """

    throws: UInt8[Array, " T"]
    decided: Bool[Array, ""]


@dataclass(frozen=True)
class SequentialTestHistory:
    """One player; actions, outcomes and rewards as in `SequentialTest`, whose fields these are.

    Raises:
      ValueError: as there, or more looks than a history has room for.
    """

    first: float = 0.3
    second: float = 0.7
    max_looks: int = 30
    cost: float = 0.02
    loss: float = 1.0
    prior: tuple[float, float] = (0.5, 0.5)

    version = 1
    num_actions = 3
    num_outcomes = 2

    def __post_init__(self) -> None:
        if not 1 <= self.max_looks <= _MAX_LOOKS:
            raise ValueError(
                f"sequential_test_history has 1 to {_MAX_LOOKS} looks at most, got {self.max_looks}; "
                "sequential_test, which counts them, has more"
            )
        # Raises what the test does.
        _ = self.statistic_game

    @cached_property
    def statistic_game(self) -> SequentialTest:
        """The test whose states are looks and heads."""
        return SequentialTest(*(getattr(self, field.name) for field in fields(self)))

    @property
    def name(self) -> str:
        return self.statistic_game.name.replace("sequential_test", "sequential_test_history", 1)

    @property
    def num_states(self) -> int:
        return 2 * (2 ** (self.max_looks + 1) - 1)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.max_looks, _NUM_KINDS + 1)

    @property
    def value_bounds(self) -> tuple[float, float]:
        return self.statistic_game.value_bounds

    @property
    def baselines(self) -> dict[str, BaselineFn]:
        """Those of the test, which count."""

        def counting(rule: BaselineFn) -> BaselineFn:
            return lambda states: rule(jax.device_get(jax.vmap(self.statistic)(states)))

        return {name: counting(rule) for name, rule in self.statistic_game.baselines.items()}

    def statistic(self, state: ThrowsState) -> LookState:
        """Looks and heads; of a history that no play can produce, more heads than looks."""
        tails, heads = histories.counts_of(state.throws, _NUM_KINDS)
        fair = histories.can_happen(state.throws, _NUM_KINDS)
        looks = jnp.where(fair, tails + heads, 0)
        return LookState(looks, jnp.where(fair, heads, self.max_looks), jnp.asarray(state.decided))

    def init(self) -> ThrowsState:
        return ThrowsState(histories.none_yet(self.max_looks), jnp.bool_(False))

    def legal_actions(self, state: ThrowsState) -> Bool[Array, "3"]:
        return self.statistic_game.legal_actions(self.statistic(state))

    def outcome_probs(self, state: ThrowsState, action: Int[Array, ""]) -> Float[Array, "2"]:
        return self.statistic_game.outcome_probs(self.statistic(state), action)

    def apply(
        self, state: ThrowsState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[ThrowsState, Step]:
        after, step = self.statistic_game.apply(self.statistic(state), action, outcome)
        thrown = histories.appended(state.throws, jnp.where(outcome == 1, _HEADS, _TAILS))
        return ThrowsState(jnp.where(after.decided, state.throws, thrown), after.decided), step

    def observe(self, state: ThrowsState) -> Float[Array, "T columns"]:
        """A row a throw, those to come zeros: tails or heads, and that it was thrown."""
        return histories.seen(state.throws, _NUM_KINDS)

    def encode(self, state: ThrowsState) -> UInt32[Array, " K"]:
        return packed(jnp.stack([state.decided, *state.throws]).astype(jnp.int32), self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> ThrowsState:
        decided, *throws = unpacked(key, self._radices)
        return ThrowsState(jnp.stack(throws).astype(jnp.uint8), decided == 1)

    @property
    def _radices(self) -> tuple[int, ...]:
        return (2, *[_NUM_KINDS + 1] * self.max_looks)

    @property
    def symmetric_outcomes(self) -> Int[np.ndarray, "S 2"]:
        return self.statistic_game.symmetric_outcomes

    def symmetries(self, state: ThrowsState) -> tuple[ThrowsState, Int[Array, "S 3"]]:
        """Heads and tails exchanged, where the coins are each other's mirror image."""
        images, actions = self.statistic_game.symmetries(self.statistic(state))
        mirrored = jnp.where(state.throws > 0, _TAILS + _HEADS - state.throws, 0).astype(jnp.uint8)
        throws = jnp.stack([state.throws, mirrored][: len(actions)])
        return ThrowsState(throws, images.decided), actions

    def render(self, state: ThrowsState) -> str:
        """The throws in order, and what they come to."""
        line = "".join("-th"[throw] for throw in state.throws.tolist() if throw) or "none"
        counted = self.statistic_game.render(self.statistic(jax.tree.map(jnp.asarray, state)))
        return f"throws: {line}\n{counted}"

    def action_name(self, action: int) -> str:
        return self.statistic_game.action_name(action)


def make(
    first: int = 3, second: int = 7, max_looks: int | None = None, cost_in_thousandths: int | None = None
) -> SequentialTestHistory:
    """Sizes as of a sequential test; without any, coins of 0.3 and 0.7."""
    test = make_test(first, second, max_looks, cost_in_thousandths)
    return SequentialTestHistory(*(getattr(test, field.name) for field in fields(test)))
