"""Actors and what they were asked for: batches come from whoever has one, and who dies is replaced."""

import collections
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from exit.errors import UserError
from exit.fleet.actors import PULSE, ActorFailed, WarnFn, end, failure, hire, reason, require_survivors
from exit.fleet.batch import Batch, Weights, checksum_of
from exit.fleet.cluster import ActorGroup, FleetConfig
from exit.fleet.ledger import Identity, Ledger


class Plays(Protocol):
    """What an actor is given to do."""

    def play(self, weights: Weights) -> Batch: ...


StageFn = Callable[[str], None]
"""Told what a run waits for before its first games."""

MakePlayer = Callable[[int, ActorGroup], Plays]
"""The player of the actor with a number, of a group; made in the actor's process."""


class _Actor:
    """A process that plays; Ray makes one and calls it."""

    def __init__(self, number: int, make_player: MakePlayer, group: ActorGroup) -> None:
        self._number, self._make_player, self._group = number, make_player, group
        self._player: Plays | None = None

    def started(self) -> None:
        """Answered once the process runs."""

    def play(self, weights: Weights) -> Batch:
        # Not in the constructor: what is raised there reaches the learner as a death, not as an error.
        if self._player is None:
            self._player = self._make_player(self._number, self._group)
        return self._player.play(weights)


@dataclass
class _Member:
    """An actor of the crew.

    Attributes:
      started: a call that is over once the process runs.
      delivered: batches.
      asked: batches.
    """

    number: int
    group: ActorGroup
    handle: Any
    started: Any
    delivered: int = 0
    asked: int = 0
    gone: bool = False


@dataclass(frozen=True)
class _Call:
    identity: Identity
    member: _Member
    since: float


class Crew:
    """The actors of a run. Close it to end them."""

    def __init__(
        self,
        make_player: MakePlayer,
        groups: tuple[ActorGroup, ...],
        *,
        fleet: FleetConfig,
        ledger: Ledger,
        warn_fn: WarnFn,
        stage_fn: StageFn | None = None,
    ) -> None:
        self._make_player, self._fleet, self._ledger, self._warn = make_player, fleet, ledger, warn_fn
        self._stage = stage_fn or (lambda stage: None)
        self._members: list[_Member] = []
        self._calls: dict[Any, _Call] = {}
        self._arrived: collections.deque[Any] = collections.deque()
        self._weights: tuple[int, Any] | None = None
        self._deaths = 0
        self._heard = time.monotonic()
        self._next_warning = 6 * PULSE
        for group in groups:
            for _ in range(group.count):
                self._hire(group)

    def next_batch(self, weights: Weights) -> Batch:
        """The next batch of games that counts, from whoever has one; actors go on with these weights.

        Raises:
          ActorFailed: what an actor was running raised an error, or actors die as fast as they start.
          UserError: nothing arrived for longer than the fleet's patience.
        """
        while True:
            self._ask(weights)
            reference = self._wait()
            if reference is None:
                continue
            call = self._calls.pop(reference)
            batch = self._received(reference, call)
            if batch is not None and self._counts(batch, weights.version):
                self._deaths = 0
                return batch

    def figures(self) -> dict[str, float | int]:
        """For a report: who is there, and how long the oldest call has been out."""
        now = time.monotonic()
        return {
            "actors_alive": sum(member.delivered > 0 for member in self._members),
            "actors_starting": sum(member.delivered == 0 for member in self._members),
            "oldest_call_seconds": max((now - call.since for call in self._calls.values()), default=0.0),
        }

    def close(self) -> None:
        """End all actors; what they were asked for stays out in the accounts."""
        for member in self._members:
            end(member.handle)
        self._members.clear()
        self._calls.clear()

    def _hire(self, group: ActorGroup) -> None:
        """A new actor, which Ray starts where there is room."""
        number = self._ledger.actors_started
        self._ledger.actors_started += 1
        handle = hire(_Actor, group, number, self._make_player, group)
        self._members.append(_Member(number, group, handle, handle.started.remote()))

    def _ask(self, weights: Weights) -> None:
        """Every actor has as much to do as the fleet allows."""
        for member in self._members:
            while member.asked - member.delivered < self._fleet.ahead:
                identity = Identity(member.number, member.asked)
                reference = member.handle.play.remote(self._put(weights))
                self._calls[reference] = _Call(identity, member, time.monotonic())
                self._ledger.ask(identity)
                member.asked += 1

    def _put(self, weights: Weights) -> Any:
        """Weights in Ray's object store, once a version."""
        if self._weights is None or self._weights[0] != weights.version:
            self._weights = weights.version, ray.put(weights)
        return self._weights[1]

    def _wait(self) -> Any:
        """A call that is over, the one made first if there are several; None where none is yet."""
        if not self._arrived:
            some, _ = ray.wait(list(self._calls), num_returns=1, timeout=PULSE)
            if not some:
                self._look()
                return None
            # All that are over at once: with many actors each look takes time.
            done, _ = ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
            self._arrived.extend(done or some)
        return self._arrived.popleft()

    def _look(self) -> None:
        """Nothing has arrived for a while: says so, and gives up when that has lasted too long."""
        silence = time.monotonic() - self._heard
        if silence > self._fleet.patience:
            raise UserError(
                f"no games arrived for {silence:.0f} seconds from any of {len(self._members)} actors; "
                "look whether the cluster has room for them (`ray status`) and whether the game hangs"
            )
        if any(member.delivered for member in self._members):
            return
        started, missing = ray.wait(
            [member.started for member in self._members], num_returns=len(self._members), timeout=0
        )
        self._stage(
            f"{len(started)} of {len(self._members)} actors started, no games yet: actors compile first"
        )
        if missing and silence > self._next_warning:
            self._next_warning = 2 * silence
            free = ray.available_resources()
            room = ", ".join(f"{name}={free.get(name, 0):g}" for name in ("CPU", "GPU"))
            self._warn(
                f"after {silence:.0f} seconds {len(missing)} of {len(self._members)} actors have not "
                f"started; Ray has {room} free"
            )

    def _received(self, reference: Any, call: _Call) -> Batch | None:
        """What a call that is over brought; None where it was lost."""
        call.member.delivered += 1
        try:
            batch: Batch = ray.get(reference)
        except RayTaskError as error:
            raise failure(error, call.member.number, "its weights") from error
        except RayActorError as error:
            self._ledger.lose(call.identity)
            if error.actor_init_failed:
                raise ActorFailed(f"actor {call.member.number} did not start: {reason(error)}") from error
            self._replace(call.member, error)
            return None
        except RayError as error:
            # The object is gone, with its node or for want of space; the actor may be well.
            self._ledger.lose(call.identity)
            self._warn(f"a batch of actor {call.member.number} was lost ({reason(error)})")
            return None
        self._heard = time.monotonic()
        if checksum_of(batch.leaves) != batch.checksum:
            self._ledger.lose(call.identity)
            self._warn(f"a batch of actor {call.member.number} was damaged on its way, and is not used")
            return None
        return batch

    def _counts(self, batch: Batch, version: int) -> bool:
        """Whether a batch is to be learnt from; it is in the accounts either way."""
        if self._fleet.max_age is not None and version - batch.version > self._fleet.max_age:
            self._ledger.drop(batch.identity, batch.num_games)
            return False
        return self._ledger.ingest(batch.identity, batch.num_games)

    def _replace(self, member: _Member, error: Exception) -> None:
        """A new actor for one that died; its other calls settle as they come."""
        if member.gone:
            return
        member.gone = True
        self._members.remove(member)
        # It may only be out of reach; then it must not go on beside its replacement.
        end(member.handle)
        self._ledger.actors_lost += 1
        self._deaths += 1
        require_survivors(self._deaths, len(self._members) + 1, error)
        self._hire(member.group)
