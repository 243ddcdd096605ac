"""Search with networks over histories: every node keeps what the network remembers on the way to it.

A child's history is its parent's and one event more, so that one step of the network is enough, whatever the
length of the history. Before a search the roots' histories are read in full.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.game import Game, State, Step
from exit.network import Memory, Params, PredictFn, Recurrence, newest_event, recurrence_of


class Remembered(NamedTuple):
    """A position and what is remembered.

    Attributes:
      state: of the game.
      memory: of one history, without a batch axis.
      current: whether the memory is of this position; else of the one before it.
    """

    state: State
    memory: Memory
    current: Bool[Array, ""]


class Seen(NamedTuple):
    """What the network is asked about a remembered position.

    Attributes:
      observation: of the position.
      memory: as of `Remembered`.
      event: what has happened since, a row of the observation; zeros if nothing has.
    """

    observation: Float[Array, "... T columns"]
    memory: Memory
    event: Float[Array, "... columns"]


@dataclass(frozen=True)
class RememberingGame:
    """A game whose states carry what is remembered; of those there is no first one, and none by its key."""

    game: Game

    def __getattr__(self, name: str) -> Any:
        # Sizes and bounds are the game's own.
        if name == "game":
            raise AttributeError(name)
        return getattr(self.game, name)

    def legal_actions(self, state: Remembered) -> Bool[Array, " A"]:
        return self.game.legal_actions(state.state)

    def outcome_probs(self, state: Remembered, action: Int[Array, ""]) -> Float[Array, " C"]:
        return self.game.outcome_probs(state.state, action)

    def apply(
        self, state: Remembered, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[Remembered, Step]:
        after, step = self.game.apply(state.state, action, outcome)
        return Remembered(after, state.memory, jnp.bool_(False)), step

    def observe(self, state: Remembered) -> Seen:
        observation = self.game.observe(state.state)
        event = jnp.where(state.current, 0.0, newest_event(observation))
        return Seen(observation, state.memory, event)


@dataclass(frozen=True)
class RememberingPredict:
    """`predict(params, seen) -> (prior_logits, value, memory)`, by one step of a recurrence."""

    recurrence: Recurrence

    def __call__(self, params: Params, seen: Seen) -> tuple[Float[Array, "B A"], Float[Array, " B"], Memory]:
        memory = self.recurrence.step(params, seen.memory, seen.event)
        return *self.recurrence.read(params, memory, seen.observation), memory


def remembering(
    params: Params, state: State, *, game: Game, predict: PredictFn
) -> tuple[State, Game, PredictFn]:
    """States, game and network as search takes them, with memory where the network has one."""
    recurrence = recurrence_of(predict)
    if recurrence is None:
        return state, game, predict
    memory = recurrence.remember(params, jax.vmap(game.observe)(state))
    current = jnp.ones(jax.tree.leaves(state)[0].shape[0], bool)
    # Not all of `Game` and `PredictFn`, but all that search uses of them.
    wrapped: tuple = RememberingGame(game), RememberingPredict(recurrence)
    return Remembered(state, memory, current), *wrapped


def forgotten(state: State) -> State:
    """States of the game, without what is remembered of them."""
    return state.state if isinstance(state, Remembered) else state


def with_memory(state: State, memory: list[Memory]) -> State:
    """States with what is remembered of them now; as they are where the network told nothing of it."""
    if not memory:
        return state
    return Remembered(state.state, memory[0], jnp.ones_like(state.current))
