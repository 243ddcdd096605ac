"""A game in progress between a person and an agent."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from exit.agent import Agent
from exit.cli.exact import load_exact
from exit.errors import UserError
from exit.game import State, action_name_of, render_of
from exit.solve import Exact

# Enough for games that are solved while one waits for the first position.
_MAX_TABLE_BYTES = 64 << 20


class Advice(NamedTuple):
    """What is known of each legal move; values in reward units, to the player to move."""

    action: int
    value: float
    simulations: int
    prior: dict[int, float]
    weights: dict[int, float]
    qvalues: dict[int, float]
    visits: dict[int, int]
    exact: dict[int, float] | None


class _Moment(NamedTuple):
    """A position of the match.

    Attributes:
      player: 0 for who moves first in the match, 1 for the opponent.
      earned: return to player 0 so far.
      weight: what a reward to the player to move counts for player 0.
    """

    state: State
    player: int
    earned: float
    weight: float


@dataclass
class Match:
    """The positions so far, the current one last.

    Attributes:
      exact: exact values, if they are known.
      budget: simulations a move, or "auto".
    """

    agent: Agent
    exact: Exact | None
    budget: int | str
    rng: np.random.Generator
    moments: list[_Moment] = field(default_factory=list)
    has_opponent: bool = False

    @property
    def player(self) -> int:
        """Who is to move: 0 or 1."""
        return self.moments[-1].player

    @property
    def is_over(self) -> bool:
        """Whether no move is left."""
        return not self._legal().any()

    def rendered(self) -> str:
        """The position as text."""
        return render_of(self.agent.game, self.moments[-1].state)

    def named(self, action: int) -> str:
        """The action's number, and its name where the game has one."""
        name = action_name_of(self.agent.game, action)
        return str(action) if name == str(action) else f"{action} ({name})"

    def checked(self, action: int) -> int:
        """The action itself; raises UserError where it is illegal."""
        legal = self._legal()
        if action >= len(legal) or not legal[action]:
            choice = ", ".join(map(str, np.flatnonzero(legal)))
            raise UserError(f"{action} is illegal here; legal are {choice}")
        return action

    def set_budget(self, budget: int | str) -> None:
        """Think that many simulations a move from now on; raises UserError over the agent's capacity."""
        capacity = self.agent.search.max_simulations
        if not isinstance(budget, str) and budget > capacity:
            remedy = f"start with --max-simulations {budget} to raise it"
            raise UserError(f"{budget} is over the capacity of {capacity} simulations; {remedy}")
        self.budget = budget

    def advise(self) -> Advice:
        """The agent's view of the current position, and the exact one if it is known."""
        state = self.moments[-1].state
        found = jax.device_get(self.agent.act(state, budget=self.budget))
        actions = [int(action) for action in np.flatnonzero(self._legal())]
        exact = None
        if self.exact is not None:
            qvalues = self.exact.moves_fn(np.asarray(self.agent.game.encode(state))[None]).qvalues
            exact = {action: float(qvalues[0, action]) for action in actions}
        return Advice(
            action=int(found.action),
            value=float(found.value),
            simulations=int(found.num_simulations),
            prior={action: float(found.prior[action]) for action in actions},
            weights={action: float(found.action_weights[action]) for action in actions},
            qvalues={action: float(found.qvalues[action]) for action in actions},
            visits={action: int(found.visit_counts[action]) for action in actions},
            exact=exact,
        )

    def play(self, action: int) -> int | None:
        """Makes a move; returns its chance outcome, None in games without chance."""
        game, moment = self.agent.game, self.moments[-1]
        probs = np.asarray(game.outcome_probs(moment.state, jnp.int32(action)), np.float64)
        outcome = int(self.rng.choice(len(probs), p=probs / probs.sum()))
        state, step = game.apply(moment.state, jnp.int32(action), jnp.int32(outcome))
        passes = float(step.discount) < 0
        self.has_opponent |= passes
        self.moments.append(
            _Moment(
                state=state,
                player=1 - moment.player if passes else moment.player,
                earned=moment.earned + moment.weight * float(step.reward),
                weight=moment.weight * float(step.discount),
            )
        )
        return None if len(probs) == 1 else outcome

    def undo(self, side: tuple[int, ...]) -> None:
        """Goes back to where one of `side` was to move last; raises UserError if there is none."""
        earlier = [index for index, moment in enumerate(self.moments[:-1]) if moment.player in side]
        if not earlier:
            raise UserError("there is no move of yours to take back")
        del self.moments[earlier[-1] + 1 :]

    def verdict(self) -> str:
        """How the match ended."""
        earned = self.moments[-1].earned
        if not self.has_opponent:
            return f"the game is over; return {earned:.6g}"
        if earned == 0:
            return "the game is over; a draw"
        return f"the game is over; player {1 if earned > 0 else 2} wins ({abs(earned):.6g})"

    def _legal(self) -> np.ndarray:
        return np.asarray(self.agent.game.legal_actions(self.moments[-1].state))


def open_match(agent: Agent, *, budget: int | str, seed: int) -> tuple[Match, str | None]:
    """A match at its start, and why there are no exact values if there are none."""
    exact, reason = None, None
    try:
        exact = load_exact(agent.game, max_bytes=_MAX_TABLE_BYTES)
    except UserError as error:
        reason = str(error)
    start = _Moment(state=agent.game.init(), player=0, earned=0.0, weight=1.0)
    return Match(agent, exact, budget, np.random.default_rng(seed), [start]), reason
