"""Actors in processes of their own, and what becomes of their batches when they die, dawdle or misbehave."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exit.errors import UsageError
from exit.fleet import ActorGroup, FleetConfig
from exit.fleet.batch import Batch, Weights
from exit.fleet.cluster import joined
from exit.fleet.ledger import Identity, Ledger
from tests import fleet_players

pytestmark = pytest.mark.slow

FLEET = FleetConfig(groups=(ActorGroup(2, cpus=0.5),), patience=120.0)
ALONE = FleetConfig(groups=(ActorGroup(1, cpus=0.5),), patience=120.0)


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    """One Ray for all tests here: to start one takes seconds."""
    with joined(FLEET):
        yield


class Run:
    """A crew, the weights' version, and what was taken from it."""

    def __init__(self, make_player, fleet: FleetConfig = FLEET, ledger: Ledger | None = None) -> None:
        from exit.fleet.crew import Crew

        self.ledger = ledger or Ledger()
        self.warnings: list[str] = []
        self.crew = Crew(
            make_player, fleet.groups, fleet=fleet, ledger=self.ledger, warn_fn=self.warnings.append
        )
        self.taken: list[Identity] = []

    def take(self) -> Batch:
        batch = self.crew.next_batch(Weights(len(self.taken), {"w": 1.0}))
        self.taken.append(batch.identity)
        assert self.ledger.balances
        return batch

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error: object) -> None:
        self.crew.close()


def test_no_batch_is_lost_unseen_or_counted_twice_when_actors_are_killed() -> None:
    with Run(fleet_players.StandIn) as run:
        pids: dict[int, int] = {}
        killed = 0
        while killed < 4 or len(run.taken) < 60:
            batch = run.take()
            pids[batch.identity.actor] = int(batch.figures["pid"])
            if killed < 4 and len(run.taken) % 12 == 0:
                os.kill(pids.pop(max(pids)), signal.SIGKILL)
                killed += 1
        while run.ledger.actors_lost < killed:
            run.take()
        figures = run.ledger.figures()
        assert len(set(run.taken)) == len(run.taken) == figures["batches_ingested"]
        assert figures["games_ingested"] == 2 * len(run.taken)
        assert figures["actors_lost"] == 4
        assert figures["actors_started"] == 6
        assert figures["batches_refused"] == 0
        assert 4 <= figures["batches_lost"] <= 4 * FLEET.ahead
        for actor in {identity.actor for identity in run.taken}:
            sequences = [identity.sequence for identity in run.taken if identity.actor == actor]
            assert sequences == list(range(len(sequences)))


def test_a_slow_actor_holds_nobody_up_and_shows() -> None:
    with Run(fleet_players.first_is_slow) as run:
        started = time.monotonic()
        for _ in range(30):
            run.take()
        assert time.monotonic() - started < 50
        assert {identity.actor for identity in run.taken} == {1}
        figures = run.crew.figures()
        assert figures["actors_alive"] == 1
        assert figures["oldest_call_seconds"] > 0.2


def test_what_outdated_weights_played_is_dropped_and_counted() -> None:
    with Run(fleet_players.StandIn, FleetConfig(groups=FLEET.groups, max_age=0)) as run:
        # The version is the number of batches taken before.
        assert [len(run.taken) - run.take().version for _ in range(20)] == [0] * 20
        assert run.ledger.stale > 0
        assert run.ledger.stale_games == 2 * run.ledger.stale


def test_an_actor_s_own_error_ends_the_run() -> None:
    from exit.fleet.crew import ActorFailed

    with Run(fleet_players.Crashing, ALONE) as run:
        run.take()
        run.take()
        with pytest.raises(ActorFailed, match="actor 0 failed: ValueError: the dice rolled"):
            run.take()


def test_an_actor_s_usage_error_is_the_user_s() -> None:
    with Run(fleet_players.Refusing, ALONE) as run, pytest.raises(UsageError, match="no such board"):
        run.take()


def test_actors_that_die_at_once_are_not_started_for_ever() -> None:
    from exit.fleet.crew import ActorFailed

    with Run(fleet_players.Dying, ALONE) as run, pytest.raises(ActorFailed, match="died one after another"):
        run.take()
    assert run.ledger.balances
    assert run.ledger.actors_lost == 4


def test_damage_on_the_way_is_noticed() -> None:
    with Run(fleet_players.Garbling, ALONE) as run:
        for _ in range(10):
            run.take()
        assert all(identity.sequence % 2 == 0 for identity in run.taken)
        assert run.ledger.lost >= 9
        assert "damaged" in run.warnings[0]


def test_what_arrives_again_is_refused() -> None:
    with Run(fleet_players.Repeating, ALONE) as run:
        for _ in range(6):
            run.take()
        assert len(set(run.taken)) == 6
        assert run.ledger.refused > 0


def test_everything_listens_on_the_loopback_address_alone() -> None:
    found = _listening(os.getpid())
    assert len(found) >= 4
    assert all(address in ("0100007F", "0000000000000000FFFF00000100007F") for address in found), found


def _listening(pid: int) -> list[str]:
    """Local addresses, as the system writes them, on which a process and its descendants listen."""
    sockets = set()
    for process in _descendants(pid):
        for link in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(str(link.readlink()))
            except OSError:
                continue
    addresses = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                addresses.append(fields[1].partition(":")[0])
    return addresses


def _descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found
