"""Measuring on a fleet: the figures of one process, though actors die on the way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exit.cli import run
from exit.fleet import ActorGroup, FleetConfig
from exit.fleet.joining import joined
from tests import fleet_players
from tests.small_run import train_small

pytestmark = pytest.mark.slow

FLEET = FleetConfig(groups=(ActorGroup(2, cpus=0.5),), patience=120.0)
ON_FLEET = ("--fleet", "auto", "--actors", "2", "--actor-resources", "CPU=0.5")
TIMES = {"ms_per_move", "ms_per_state", "latency_ms", "provenance"}


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    """One Ray for all tests here: to start one takes seconds."""
    with joined(FLEET):
        yield


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, _ray: None) -> Path:
    return train_small(tmp_path_factory)


def figures(arguments: list[str], folder: Path) -> Any:
    """What a command reports, without what took how long."""
    assert run([*arguments, "--json", str(folder / "figures.json")]) == 0
    return _untimed(json.loads((folder / "figures.json").read_text()))


def _untimed(figure: Any) -> Any:
    if isinstance(figure, dict):
        return {name: _untimed(value) for name, value in figure.items() if name not in TIMES}
    return [_untimed(value) for value in figure] if isinstance(figure, list) else figure


def assert_alike(left: Any, right: Any) -> None:
    """The same figures, up to rounding."""
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for name in left:
            assert_alike(left[name], right[name])
    elif isinstance(left, list):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_alike(one, other)
    elif isinstance(left, float):
        assert left == pytest.approx(right, rel=1e-4, abs=1e-5)
    else:
        assert left == right


@pytest.mark.parametrize(
    "command",
    [
        ["bench", "--budgets", "0,4", "--max-positions", "600"],
        ["frontier", "--budgets", "0,4", "--snapshots", "--calls", "0", "--max-positions", "300"],
    ],
    ids=["bench", "frontier"],
)
def test_a_fleet_measures_what_one_process_does(command: list[str], run_dir: Path, tmp_path: Path) -> None:
    command = [command[0], str(run_dir), *command[1:]]
    assert_alike(figures([*command, *ON_FLEET], tmp_path), figures(command, tmp_path))


def test_what_a_dead_actor_was_asked_is_asked_again(tmp_path: Path) -> None:
    import ray

    from exit.fleet.searchers import Searchers

    warnings: list[str] = []
    searchers = Searchers(FLEET.groups, fleet=FLEET, warn_fn=warnings.append)
    states, mortal = np.arange(300), ray.put(fleet_players.Mortal(tmp_path / "died"))
    found = searchers.act(mortal, states, np.full(300, 3))
    assert np.asarray(found.value).tolist() == (2 * states).tolist()
    assert np.asarray(found.num_simulations).tolist() == [3] * 300
    assert len(warnings) == 1
    assert "died and is replaced" in warnings[0]
    searchers.close()


def test_what_an_actor_raises_ends_the_measurement(tmp_path: Path) -> None:
    import ray

    from exit.fleet.actors import ActorFailed
    from exit.fleet.searchers import Searchers

    searchers = Searchers(FLEET.groups, fleet=FLEET, warn_fn=print)
    mortal = ray.put(fleet_players.Mortal(tmp_path / "died"))
    with pytest.raises(ActorFailed, match=r"actor \d failed: ValueError: no curve has been drawn"):
        searchers.curve(mortal, np.arange(8), np.arange(3))
    searchers.close()
