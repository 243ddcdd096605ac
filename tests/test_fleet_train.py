"""Training on a fleet by the command, actors and the learner killed on the way; what is said of misuse."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exit.agent import Agent
from exit.catalog import load_config, with_overrides
from exit.checkpoint import steps
from exit.cli import run
from exit.errors import UsageError
from exit.logs import read_metrics
from exit.rundir import claim
from tests.small_run import config_file
from tests.test_fleet_crew import descendants

Captured = pytest.CaptureFixture[str]

LAST = 24


def _start(run_dir: Path, config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "exit", "train", str(config), "--run-dir", str(run_dir)]
    command += ["--fleet", "auto", "--actors", "1"]
    return subprocess.Popen(
        command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _wait_for(process: subprocess.Popen[bytes], run_dir: Path, iteration: int) -> None:
    """Until the run has reported an iteration."""
    while reported(run_dir) < iteration:
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.05)


def reported(run_dir: Path) -> int:
    """The last iteration reported; 0 before the first."""
    rows: list[dict[str, Any]] = [{"iteration": 0}, *read_metrics(run_dir)]
    return rows[-1]["iteration"]


def _actors(pid: int) -> list[int]:
    """Processes of actors below a process."""
    named = {child: Path(f"/proc/{child}/cmdline") for child in descendants(pid)[1:]}
    return [child for child, path in named.items() if path.exists() and b"_Actor" in path.read_bytes()]


@pytest.mark.slow
def test_actors_and_the_learner_may_be_killed(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    config = config_file(
        tmp_path, num_iterations=LAST, report_every=1, checkpoint_every=2, snapshots=False, exact=False
    )
    process = _start(run_dir, config)
    _wait_for(process, run_dir, 3)
    (actor,) = _actors(process.pid)
    os.kill(actor, signal.SIGKILL)
    _wait_for(process, run_dir, 8)
    assert int(read_metrics(run_dir)[-1]["actors_lost"] or 0) == 1
    process.kill()
    process.communicate()
    kept = steps(run_dir)[-1]
    assert 6 <= kept < LAST
    # As a scheduler ends a job: the command says how it goes on, and nothing else.
    process = _start(run_dir, config)
    _wait_for(process, run_dir, kept + 4)
    process.terminate()
    said = process.communicate(timeout=60)[1].decode().splitlines()
    assert process.returncode == 128 + signal.SIGTERM, said
    kept = steps(run_dir)[-1]
    assert said[-1].startswith("xit: interrupted after the report of iteration ")
    assert said[-1].endswith(f"; the same command continues after iteration {kept}, the last checkpoint")
    strange = [line for line in said if line and not line.startswith(("xit: ", "training"))]
    assert not strange
    process = _start(run_dir, config)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()

    rows: list[dict[str, Any]] = list(read_metrics(run_dir))
    assert [row["iteration"] for row in rows] == list(range(1, LAST + 1))
    last = {name: value for name, value in rows[-1].items() if name.startswith(("batches", "actors"))}
    settled = sum(last[f"batches_{fate}"] for fate in ("ingested", "stale", "lost", "out"))
    assert last["batches_asked"] == settled
    assert last["batches_ingested"] == LAST
    assert last["batches_refused"] == 0
    # One was killed, two went with their learners; the fourth played to the end.
    assert (last["actors_started"], last["actors_lost"], last["actors_alive"]) == (4, 1, 1)
    # One actor, asked for two batches at a time: the weights of the second are older.
    assert {row["weights_age"] for row in rows} <= {0, 1}
    assert all(row["learn_seconds"] > 0 and row["play_seconds"] > 0 for row in rows)
    assert all(row["stale_residual"] > 0 for row in rows)
    assert rows[kept]["batches_lost"] >= last["batches_lost"] - 1
    agent = Agent.load(run_dir)
    assert agent.act(agent.game.init(), budget=0).action in range(9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--actors", "2"], "need --fleet"),
        (["--fleet", "somewhere"], "no Ray has the address 'somewhere'"),
        (["--fleet", "auto", "--actor-resources", "CPU=2"], "--actor-resources needs --actors"),
        (["--fleet", "auto", "--actors", "2", "--actor-resources", "two"], "bad resources 'two'"),
    ],
)
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_options_that_do_not_fit_are_refused(
    command: str, options: list[str], said: str, tmp_path: Path, capsys: Captured
) -> None:
    assert run([command, "tic_tac_toe", "--run-dir", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["bench", "frontier"])
def test_measuring_takes_the_same_options(command: str, capsys: Captured) -> None:
    assert run([command, "connect_four", "--actors", "2"]) == 2
    assert "options of actors need --fleet" in capsys.readouterr().err
    assert run([command, "connect_four", "--fleet", "somewhere"]) == 2
    assert "no Ray has the address 'somewhere'" in capsys.readouterr().err
    assert run([command, "connect_four", "--fleet", "127.0.0.1:99999"]) == 2
    assert "no Ray has the address '127.0.0.1:99999'" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "no.such.host:6379"])
def test_where_nothing_listens_is_said_at_once(address: str, tmp_path: Path, capsys: Captured) -> None:
    started = time.monotonic()
    assert run(["train", "tic_tac_toe", "--run-dir", str(tmp_path), "--fleet", address]) == 1
    assert f"error: nothing listens at {address} (" in capsys.readouterr().err
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("command", ["bench", "frontier"])
def test_an_agent_that_is_not_there_is_named_before_ray_is_started(command: str, capsys: Captured) -> None:
    assert run([command, "runs/nowhere", "--fleet", "auto"]) == 2
    assert "runs/nowhere holds no run" in capsys.readouterr().err
    assert run([command, "conect_four", "--fleet", "auto"]) == 2
    assert "did you mean 'connect_four'" in capsys.readouterr().err


def test_without_ray_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(["train", "tic_tac_toe", "--run-dir", str(tmp_path), "--fleet", "auto"]) == 1
    assert "pip install 'xit[fleet]'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sweep_trains_every_combination_once(tmp_path: Path, capsys: Captured) -> None:
    config = config_file(tmp_path, num_iterations=1, snapshots=False, exact=False)
    command = ["sweep", str(config), "--run-dir", str(tmp_path / "runs")]
    command += ["--set", "learner.learning_rate=0.001,0.01", "--set", "self_play.budget=4", "--seeds", "2"]
    assert run([*command, "--json", str(tmp_path / "sweep.json")]) == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == [f"learner.learning_rate={rate},seed={seed}" for rate in (0.001, 0.01) for seed in (0, 1)]
    groups = json.loads((tmp_path / "sweep.json").read_text())["groups"]
    assert [len(group["runs"]) for group in groups] == [2, 2]
    assert all(last["iteration"] == 1 for group in groups for last in group["last"])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/checkpoints/1")}
    assert len(before) == 4
    assert run(command) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("assignments", "seeds", "message"),
    [
        (["seed=0,1"], 2, "seeds are given twice; set seed or give their number"),
        (["seed=0,1", "seed = 3"], None, "seed is set twice; give all its values at once, as in seed=A,B"),
        (["network.width=8", "network.width=16"], None, "network.width is set twice"),
        (["network.width=8,8"], None, "a value is given twice"),
        (["learner.learning_rate=0.001,1e-3"], None, "a value is given twice"),
    ],
)
def test_a_sweep_that_would_not_be_a_grid_is_refused(
    assignments: list[str], seeds: int | None, message: str
) -> None:
    from exit.sweep import grid

    with pytest.raises(UsageError, match=message):
        grid("tic_tac_toe", assignments, seeds, Path("runs"))


def test_a_sweep_into_a_run_of_other_settings_is_refused_at_once(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "network.width=16"
    config = with_overrides(load_config("tic_tac_toe"), ["network.width=32"])
    with claim(folder, config, config_name="tic_tac_toe", overrides=("network.width=32",)):
        (folder / "metrics.jsonl").write_text("{}")
    assert run(["sweep", "tic_tac_toe", "--set", "network.width=8,16", "--run-dir", str(tmp_path)]) == 2
    assert "holds a run with network.width=32, not 16" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_sweep_takes_over_a_directory_with_nothing_to_lose(tmp_path: Path) -> None:
    from exit.sweep import grid, require_free

    (point,) = grid("tic_tac_toe", ["network.width=8"], None, tmp_path)
    with claim(point.run_dir, load_config("tic_tac_toe"), config_name="tic_tac_toe", overrides=()):
        pass
    require_free([point])
    (point.run_dir / "metrics.jsonl").write_text("{}")
    with pytest.raises(UsageError, match="holds a run with"):
        require_free([point])


def test_values_with_commas_stand_in_brackets() -> None:
    from exit.sweep import grid

    points = grid("nim_3_4_5", ["game.heaps=(1,2),(2,3)"], None, Path("runs"))
    assert [point.overrides for point in points] == [("game.heaps=(1,2)",), ("game.heaps=(2,3)",)]
    assert [point.run_dir.name for point in points] == ["game.heaps=(1,2)", "game.heaps=(2,3)"]
