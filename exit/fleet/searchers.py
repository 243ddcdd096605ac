"""Actors that search: what is asked at many states is dealt to all of them, and done again where one dies."""

import collections
import time
from typing import Any, NamedTuple

import jax
import numpy as np
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from exit.errors import UserError
from exit.evaluate import CHUNK
from exit.fleet.actors import PULSE, WarnFn, end, failure, hire, reason, require_survivors
from exit.fleet.cluster import ActorGroup, FleetConfig
from exit.game import State
from exit.search import SearchResult

_SIZES = (64, 256, CHUNK)
"""States of a piece: few sizes, so that few programs are compiled."""


class _Searcher:
    """A process that searches; Ray makes one and calls it."""

    def __init__(self, group: ActorGroup) -> None:
        self._group = group
        self._ready = False

    def search(self, agent: Any, how: str, states: State, budgets: np.ndarray) -> SearchResult:
        # Not in the constructor: what is raised there reaches the caller as a death, not as an error.
        if not self._ready:
            from exit.fleet.player import use_resources

            use_resources(self._group)
            self._ready = True
        return jax.device_get(getattr(agent, how)(states, budgets))


class _Member(NamedTuple):
    """An actor of a command."""

    number: int
    group: ActorGroup
    handle: Any


class Searchers:
    """The actors of a command. Close them to end them."""

    def __init__(self, groups: tuple[ActorGroup, ...], *, fleet: FleetConfig, warn_fn: WarnFn) -> None:
        self._patience, self._warn = fleet.patience, warn_fn
        self._started, self._deaths = 0, 0
        self._idle: list[_Member] = []
        self._busy: dict[Any, tuple[int, _Member]] = {}
        for group in groups:
            for _ in range(group.count):
                self._hire(group)

    @property
    def num_actors(self) -> int:
        """How many share the work."""
        return len(self._idle) + len(self._busy)

    def curve(self, agent: Any, states: State, budgets: np.ndarray) -> SearchResult:
        """`agent.curve`, for an agent in Ray's object store."""
        pieces = [(some, budgets) for some, _ in self._dealt(states, np.zeros(len(_first(states)), np.int32))]
        return self._joined(self._answers(agent, "curve", pieces), len(_first(states)), axis=1)

    def act(self, agent: Any, states: State, budgets: np.ndarray) -> SearchResult:
        """`agent.act`, for an agent in Ray's object store.

        Raises:
          UserError: what an actor raised; or actors die as they start, or nothing comes from them for longer
            than the fleet's patience.
        """
        num_states = len(_first(states))
        pieces = self._dealt(states, np.broadcast_to(budgets, num_states))
        return self._joined(self._answers(agent, "act", pieces), num_states, axis=0)

    def close(self) -> None:
        """End all actors."""
        for member in [*self._idle, *(member for _, member in self._busy.values())]:
            end(member.handle)
        self._idle.clear()
        self._busy.clear()

    def _dealt(self, states: State, budgets: np.ndarray) -> list[tuple[State, np.ndarray]]:
        """Pieces of one size, the last one filled up with what is not searched."""
        num_states = len(budgets)
        fair = -(-num_states // self.num_actors)
        size = next((size for size in _SIZES if size >= fair), CHUNK)
        pieces = []
        for start in range(0, num_states, size):
            rows = np.arange(start, start + size)
            inside = rows.clip(max=num_states - 1)
            some = jax.tree.map(lambda leaf, inside=inside: np.asarray(leaf)[inside], states)
            pieces.append((some, np.where(rows < num_states, budgets[inside], 0).astype(np.int32)))
        return pieces

    def _joined(self, answers: list[SearchResult], num_states: int, *, axis: int) -> SearchResult:
        """Answers one after another along the axis of the states, without what filled them up."""
        inside = (slice(None),) * axis + (slice(num_states),)
        return jax.tree.map(lambda *parts: np.concatenate(parts, axis)[inside], *answers)

    def _answers(self, agent: Any, how: str, pieces: list[tuple[State, np.ndarray]]) -> list[SearchResult]:
        """What the actors answer to each piece."""
        waiting = collections.deque(range(len(pieces)))
        answers: dict[int, SearchResult] = {}
        heard = time.monotonic()
        while len(answers) < len(pieces):
            while waiting and self._idle:
                member, place = self._idle.pop(0), waiting.popleft()
                self._busy[member.handle.search.remote(agent, how, *pieces[place])] = place, member
            for reference in ray.wait(list(self._busy), num_returns=1, timeout=PULSE)[0]:
                place, member = self._busy.pop(reference)
                answer = self._answer(reference, member)
                if answer is None:
                    waiting.appendleft(place)
                else:
                    answers[place], heard = answer, time.monotonic()
            self._require_signs_of_life(time.monotonic() - heard)
        return [answers[place] for place in range(len(pieces))]

    def _answer(self, reference: Any, member: _Member) -> SearchResult | None:
        """What an actor answered; None where that was lost."""
        try:
            answer: Any = ray.get(reference)
        except RayTaskError as error:
            raise failure(error, member.number, "its states") from error
        except RayActorError as error:
            # It may only be out of reach; then it must not keep what its replacement needs.
            end(member.handle)
            self._deaths += 1
            require_survivors(self._deaths, self.num_actors + 1, error)
            self._warn(f"actor {member.number} died and is replaced ({reason(error)})")
            self._hire(member.group)
            return None
        except RayError as error:
            # The answer is gone, with its node or for want of space; the actor may be well.
            self._warn(f"an answer of actor {member.number} was lost ({reason(error)})")
            self._idle.append(member)
            return None
        self._deaths = 0
        self._idle.append(member)
        return answer

    def _hire(self, group: ActorGroup) -> None:
        self._idle.append(_Member(self._started, group, hire(_Searcher, group, group)))
        self._started += 1

    def _require_signs_of_life(self, silence: float) -> None:
        if silence > self._patience:
            raise UserError(
                f"nothing came for {silence:.0f} seconds from any of {self.num_actors} actors; look whether "
                "the cluster has room for them (`ray status`), or ask for less at a time"
            )


def _first(states: State) -> np.ndarray:
    return jax.tree.leaves(states)[0]
