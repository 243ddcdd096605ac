"""Actors in processes of their own, and what becomes of their batches when they die, dawdle or misbehave."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exit.checkpoint import steps
from exit.cli import run
from exit.errors import UsageError
from exit.fleet import ActorGroup, FleetConfig
from exit.fleet.batch import Batch, Weights
from exit.fleet.joining import joined
from exit.fleet.ledger import Identity, Ledger
from tests import fleet_players
from tests.small_run import config_file

pytestmark = pytest.mark.slow

FLEET = FleetConfig(groups=(ActorGroup(2, cpus=0.5),), patience=120.0)
ALONE = FleetConfig(groups=(ActorGroup(1, cpus=0.5),), patience=120.0)


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    """One Ray for all tests here: to start one takes seconds."""
    with joined(FLEET):
        yield


class Team:
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

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, *error: object) -> None:
        self.crew.close()


def test_no_batch_is_lost_unseen_or_counted_twice_when_actors_are_killed() -> None:
    with Team(fleet_players.StandIn) as team:
        killed: set[int] = set()
        while len(killed) < 4 or len(team.taken) < 60:
            actor, pid = (batch := team.take()).identity.actor, int(batch.figures["pid"])
            # What an actor had finished arrives after its death too.
            if len(killed) < 4 and len(team.taken) >= 12 * (len(killed) + 1) and actor not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(actor)
        while team.ledger.actors_lost < len(killed):
            team.take()
        figures = team.ledger.figures()
        assert len(set(team.taken)) == len(team.taken) == figures["batches_ingested"]
        assert figures["games_ingested"] == 2 * len(team.taken)
        assert figures["actors_lost"] == 4
        assert figures["actors_started"] == 6
        assert figures["batches_refused"] == 0
        assert 1 <= figures["batches_lost"] <= 4 * FLEET.ahead
        for actor in {identity.actor for identity in team.taken}:
            sequences = [identity.sequence for identity in team.taken if identity.actor == actor]
            assert sequences == list(range(len(sequences)))


def test_a_slow_actor_holds_nobody_up_and_shows() -> None:
    with Team(fleet_players.first_is_slow) as team:
        started = time.monotonic()
        for _ in range(30):
            team.take()
        assert time.monotonic() - started < 50
        assert {identity.actor for identity in team.taken} == {1}
        figures = team.crew.figures()
        assert figures["actors_alive"] == 1
        assert figures["oldest_call_seconds"] > 0.2


def test_what_outdated_weights_played_is_dropped_and_counted() -> None:
    with Team(fleet_players.StandIn, FleetConfig(groups=FLEET.groups, max_age=0)) as team:
        # The version is the number of batches taken before.
        assert [len(team.taken) - team.take().version for _ in range(8)] == [0] * 8
        assert team.ledger.stale > 0
        assert team.ledger.stale_games == 2 * team.ledger.stale


def test_batches_by_weights_that_came_late_are_used_as_long_as_they_may() -> None:
    with Team(fleet_players.Late, FleetConfig(groups=ALONE.groups, ahead=1, max_age=1)) as team:
        # Alone and asked for one at a time: of four batches by the same weights, the second learns from
        # weights one iteration old; the others are two, and dropped.
        assert [len(team.taken) - team.take().version for _ in range(6)] == [0, 1, 0, 1, 0, 1]
        assert team.ledger.stale == 4
        assert team.ledger.ingested == 6


def test_an_actor_s_own_error_ends_the_run() -> None:
    from exit.fleet.crew import ActorFailed

    with Team(fleet_players.Crashing, ALONE) as team:
        team.take()
        team.take()
        with pytest.raises(ActorFailed, match="actor 0 failed: ValueError: the dice rolled"):
            team.take()


def test_an_actor_s_usage_error_is_the_user_s() -> None:
    with Team(fleet_players.Refusing, ALONE) as team, pytest.raises(UsageError, match="no such board"):
        team.take()


def test_actors_that_die_at_once_are_not_started_for_ever() -> None:
    from exit.fleet.crew import ActorFailed

    with Team(fleet_players.Dying, ALONE) as team, pytest.raises(ActorFailed, match="died one after another"):
        team.take()
    assert team.ledger.balances
    assert team.ledger.actors_lost == 4


def test_damage_on_the_way_is_noticed() -> None:
    with Team(fleet_players.Garbling, ALONE) as team:
        for _ in range(10):
            team.take()
        assert all(identity.sequence % 2 == 0 for identity in team.taken)
        assert team.ledger.lost >= 9
        assert "damaged" in team.warnings[0]


def test_what_arrives_again_is_refused() -> None:
    with Team(fleet_players.Repeating, ALONE) as team:
        for _ in range(6):
            team.take()
        assert len(set(team.taken)) == 6
        assert team.ledger.refused > 0


_CRASHING = """
import jax
import jax.numpy as jnp

from games.tic_tac_toe import TicTacToe
from tests.tiny import tiny_config


def crash(action):
    raise ZeroDivisionError("the board caught fire")


class Burning(TicTacToe):
    name = "burning"

    def apply(self, state, action, outcome):
        state, step = TicTacToe.apply(self, state, action, outcome)
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        fire = jax.pure_callback(crash, shape, action, vmap_method="sequential")
        return state, step._replace(reward=fire)


def config():
    return tiny_config(game=Burning())
"""


def test_a_crashing_game_ends_the_command_with_its_own_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "burning.py"
    config.write_text(_CRASHING)
    command = ["train", str(config), "--run-dir", str(tmp_path / "run"), "--fleet", "auto", "--actors", "1"]
    assert run([*command, "--actor-resources", "CPU=0.5"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("xit: error: actor 0 failed: ")
    assert "ZeroDivisionError: the board caught fire" in line


def test_a_sweep_runs_on_actors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_file(tmp_path, num_iterations=1, snapshots=False, exact=False)
    command = ["sweep", str(config), "--run-dir", str(tmp_path / "runs"), "--fleet", "auto", "--actors", "1"]
    # The second value is one that a run trips over, not the command.
    assert run([*command, "--set", "start_from=none,nowhere.npz"]) == 1
    assert "1 of 2 runs failed" in capsys.readouterr().err
    assert steps(tmp_path / "runs" / "start_from=none") == [1]


def test_everything_listens_on_the_loopback_address_alone() -> None:
    found = _listening(os.getpid())
    assert len(found) >= 4
    assert all(address in ("0100007F", "0000000000000000FFFF00000100007F") for address in found), found


def _listening(pid: int) -> list[str]:
    """Local addresses, as the system writes them, on which a process and its descendants listen."""
    sockets = set()
    for process in descendants(pid):
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


def descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found
