"""A Bernoulli bandit seen as a beginner sees it: which arm was pulled, what came of it, pull by pull.

The rules, the prior and the chance of everything are those of `bandit_K_T`; only what is seen differs: the
history itself, neither counted nor turned into a belief. What it says of the arms are the counts, which are
the states of the bandit, so that exact values are the bandit's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from exit.game import BaselineFn, Step
from games import _histories as histories
from games._numbers import orders_of, packed, unpacked
from games.bandit import Bandit, BanditState

EXAMPLES = ("bandit_history_2_20",)

_MAX_HORIZON = 200
_MAX_SYMMETRIES = 120


class PullsState(NamedTuple):
    """The pulls so far, in order.

    Attributes:
      pulls: `1 + 2 * arm + outcome` of each, 0 for those to come.
    """

    pulls: UInt8[Array, " T"]


@dataclass(frozen=True)
class BanditHistory:
    """One player; actions, outcomes and rewards as in `Bandit`.

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
        if not 1 <= self.horizon <= _MAX_HORIZON:
            raise ValueError(
                f"bandit_history has a horizon of 1 to {_MAX_HORIZON} pulls, got {self.horizon}; "
                "bandit, which counts them, has longer ones"
            )
        # Raises what the bandit does.
        _ = self.statistic_game

    @cached_property
    def statistic_game(self) -> Bandit:
        """The bandit whose states are the counts."""
        return Bandit(self.arms, self.horizon, self.alpha, self.beta)

    @property
    def name(self) -> str:
        return self.statistic_game.name.replace("bandit", "bandit_history", 1)

    @property
    def num_actions(self) -> int:
        return self.arms

    @property
    def _num_kinds(self) -> int:
        return 2 * self.arms

    @property
    def num_states(self) -> int:
        return sum(self._num_kinds**length for length in range(self.horizon + 1))

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.horizon, self._num_kinds + 1)

    @property
    def value_bounds(self) -> tuple[float, float]:
        return self.statistic_game.value_bounds

    @property
    def baselines(self) -> dict[str, BaselineFn]:
        """Those of the bandit, which count."""

        def counting(rule: BaselineFn) -> BaselineFn:
            return lambda states: rule(jax.device_get(jax.vmap(self.statistic)(states)))

        return {name: counting(rule) for name, rule in self.statistic_game.baselines.items()}

    def after(self, pulls: Sequence[tuple[int, int]]) -> PullsState:
        """The state after pulls, each an arm and its outcome.

        Raises:
          ValueError: a history that no play can produce.
        """
        if len(pulls) > self.horizon:
            raise ValueError(
                f"a history of {len(pulls)} pulls cannot come up in {self.name}; at most {self.horizon} can"
            )
        for number, (arm, outcome) in enumerate(pulls, 1):
            if not (0 <= arm < self.arms and outcome in (0, 1)):
                raise ValueError(
                    f"pull {number} of the history is arm {arm} with outcome {outcome}, which cannot come up "
                    f"in {self.name}; arms are 0 to {self.arms - 1} and outcomes 0 and 1"
                )
        return PullsState(histories.written([1 + 2 * arm + outcome for arm, outcome in pulls], self.horizon))

    def statistic(self, state: PullsState) -> BanditState:
        """Successes and failures; of a history that no play can produce, more than there are pulls."""
        counts = histories.counts_of(state.pulls, self._num_kinds).reshape(self.arms, 2)
        counts = jnp.where(histories.can_happen(state.pulls, self._num_kinds), counts, self.horizon)
        return BanditState(successes=counts[:, 1], failures=counts[:, 0])

    def init(self) -> PullsState:
        return PullsState(histories.none_yet(self.horizon))

    def legal_actions(self, state: PullsState) -> Bool[Array, " A"]:
        return jnp.broadcast_to(histories.number_of(state.pulls) < self.horizon, (self.arms,))

    def outcome_probs(self, state: PullsState, action: Int[Array, ""]) -> Float[Array, "2"]:
        return self.statistic_game.outcome_probs(self.statistic(state), action)

    def apply(
        self, state: PullsState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[PullsState, Step]:
        _, step = self.statistic_game.apply(self.statistic(state), action, outcome)
        return PullsState(histories.appended(state.pulls, 1 + 2 * action + outcome)), step

    def observe(self, state: PullsState) -> Float[Array, "T columns"]:
        """A row a pull, those to come zeros: which arm with which outcome, and that it was pulled."""
        return histories.seen(state.pulls, self._num_kinds)

    def observed_value_bounds(
        self, observation: Float[Array, "T columns"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """What the pulls to come bring at least and at most, whatever the arms are like."""
        return jnp.float32(0.0), jnp.sum(1 - observation[:, -1])

    @property
    def _radices(self) -> tuple[int, ...]:
        return (self._num_kinds + 1,) * self.horizon

    def encode(self, state: PullsState) -> UInt32[Array, " K"]:
        return packed(state.pulls.astype(jnp.int32), self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> PullsState:
        return PullsState(unpacked(key, self._radices).astype(jnp.uint8))

    def symmetries(self, state: PullsState) -> tuple[PullsState, Int[Array, "S A"]]:
        """Permutations of the arms; the identity alone where they exceed 120."""
        orders = orders_of((0,) * self.arms, _MAX_SYMMETRIES)
        images = np.argsort(orders, axis=1).astype(np.int32)
        arm, outcome = jnp.divmod(state.pulls.astype(jnp.int32) - 1, 2)
        moved = 1 + 2 * jnp.asarray(images)[:, arm.clip(0)] + outcome
        return PullsState(jnp.where(state.pulls > 0, moved, 0).astype(jnp.uint8)), jnp.asarray(images)

    def render(self, state: PullsState) -> str:
        """The pulls in order, and what they came to."""
        pulls = [divmod(pull - 1, 2) for pull in state.pulls.tolist() if pull]
        line = " ".join(f"{arm}{'-+'[outcome]}" for arm, outcome in pulls) or "none"
        counted = self.statistic_game.render(self.statistic(jax.tree.map(jnp.asarray, state)))
        return f"pulls: {line}\n{counted}"

    def action_name(self, action: int) -> str:
        return self.statistic_game.action_name(action)


def make(arms: int = 2, horizon: int = 20, alpha: int = 1, beta: int = 1) -> BanditHistory:
    """Sizes and prior as of a bandit; `bandit_history_2_20_3_1` has the prior Beta(3, 1)."""
    return BanditHistory(arms, horizon, float(alpha), float(beta))
