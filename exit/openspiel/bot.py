"""An agent that plays where OpenSpiel's bots play."""

from typing import Protocol, runtime_checkable

import numpy as np
import pyspiel
from jaxtyping import Float

from exit.errors import UsageError
from exit.game import Game, State
from exit.openspiel.rules import Position, translation_of
from exit.search import SearchResult

Policy = list[tuple[int, float]]
"""OpenSpiel's actions that are legal, each with its probability."""


@runtime_checkable
class Player(Protocol):
    """What a bot needs of an agent; `exit.agent.Agent` is one."""

    @property
    def game(self) -> Game:
        """The rules it plays by."""
        ...

    def act(
        self, state: State, budget: int | None = None, *, deadline_ms: float | int | None = None
    ) -> SearchResult:
        """What it makes of one state."""
        ...


class AgentBot(pyspiel.Bot):
    """An agent as a bot of OpenSpiel, for any seat of the game's twin there.

    It reads each position from the moves that led there, and so can be restarted and asked anywhere.

    Attributes:
      num_simulations: spent by all steps so far.
    """

    def __init__(
        self,
        agent: Player,
        *,
        budget: int | None = None,
        deadline_ms: float | int | None = None,
        sample: bool = False,
        seed: int = 0,
    ) -> None:
        """Takes a seat.

        Args:
          budget, deadline_ms: limits of each step, as in `Agent.act`.
          sample: draw moves from the search's improved policy instead of playing its own choice.
          seed: of what is drawn.

        Raises:
          UsageError: there is neither limit.
          UserError: OpenSpiel has no twin of the agent's game.
        """
        pyspiel.Bot.__init__(self)
        if budget is None and deadline_ms is None:
            raise UsageError("give a budget, a deadline_ms, or both")
        self._agent = agent
        self._limits = {"budget": budget, "deadline_ms": deadline_ms}
        self._sample = sample
        self._rng = np.random.default_rng(seed)
        self._translation = translation_of(agent.game)
        self._position = Position(self._translation)
        self.num_simulations = 0

    def restart(self) -> None:
        """Nothing is kept that a new game would have to forget."""

    def restart_at(self, state: pyspiel.State) -> None:
        """Nothing is kept that another position would have to forget."""

    def inform_action(self, state: pyspiel.State, player_id: int, action: int) -> None:
        """Nothing to note: the next position tells all moves."""

    def step(self, state: pyspiel.State) -> int:
        """The move to play, as OpenSpiel numbers it."""
        return self.step_with_policy(state)[1]

    def provides_policy(self) -> bool:
        """It does."""
        return True

    def get_policy(self, state: pyspiel.State) -> Policy:
        """The probabilities with which `step` plays each legal move."""
        return self._policy(state, self._searched(state))

    def step_with_policy(self, state: pyspiel.State) -> tuple[Policy, int]:
        """`get_policy` and a move drawn from it, at the price of one search."""
        policy = self._policy(state, self._searched(state))
        probs = [prob for _, prob in policy]
        return policy, policy[int(self._rng.choice(len(policy), p=probs))][0]

    def _searched(self, state: pyspiel.State) -> SearchResult:
        found = self._agent.act(self._position.of(state), **self._limits)
        self.num_simulations += int(found.num_simulations)
        return found

    def _policy(self, state: pyspiel.State, found: SearchResult) -> Policy:
        weights = self._weights(found)
        actions = self._translation.actions[state.legal_actions()]
        probs = weights[actions] / weights[actions].sum()
        return list(zip(state.legal_actions(), probs.tolist(), strict=True))

    def _weights(self, found: SearchResult) -> Float[np.ndarray, " A"]:
        if self._sample:
            return np.asarray(found.action_weights, float)
        return np.eye(self._translation.game.num_actions)[int(found.action)]
