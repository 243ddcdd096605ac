"""What is compiled: an agent at a budget, and what it does in every state that the rules allow."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, UInt32

from exit import __version__
from exit.agent import Agent
from exit.compile.reflex import network_fn_of, reflex_moves
from exit.errors import UserError
from exit.evaluate import ProgressFn, decide
from exit.game import Game
from exit.solve import Exact, ExactMoves, states_of, unfinished_keys


@dataclass(frozen=True, eq=False)
class Subject:
    """An agent and all unfinished states that can be reached, n of them.

    Attributes:
      budget: simulations a move; 0 is the reflex.
      exact: values, with a table of all states.
      keys: of the states, as `Game.encode` makes them.
      moves: exact values there.
      action: what the agent does there.
    """

    agent: Agent
    budget: int
    exact: Exact
    keys: UInt32[np.ndarray, "n K"]
    moves: ExactMoves
    action: Int[np.ndarray, " n"]

    @property
    def game(self) -> Game:
        """The rules."""
        return self.agent.game


def subject_of(
    agent: Agent, exact: Exact, budget: int = 0, *, progress_fn: ProgressFn | None = None
) -> Subject:
    """Asks an agent what it does in every unfinished state.

    Raises:
      UserError: there is no table of all states.
    """
    if exact.table is None:
        raise not_enumerable(agent.game)
    keys = unfinished_keys(exact.table)
    if budget:
        action = decide(agent.act, states_of(agent.game, keys), budget, progress_fn=progress_fn).action
    else:
        # The network alone compiles in a moment, the search that acts at any budget does not.
        action = reflex_moves(agent.game, keys, network_fn_of(agent))
    return Subject(agent, budget, exact, keys, exact.moves_fn(keys), action.astype(np.int64))


def not_enumerable(game: Game) -> UserError:
    """The error for a game of which not all states are known."""
    return UserError(
        f"the states of {game.name} cannot all be listed here, so that nothing can be said of every one; "
        "choose a smaller game, or solve it first with `xit solve` where it fits"
    )


def origin(agent: Agent, budget: int) -> dict[str, Any]:
    """Whence an artifact comes: the first part of its header."""
    return {
        "xit": __version__,
        "game": agent.game.name,
        "game_version": agent.game.version,
        "agent": str(agent.source),
        "iteration": agent.step,
        "agent_budget": budget,
    }
