"""Processes that are killed while they train, continued by the same command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from exit.catalog import load_config, with_overrides
from exit.checkpoint import steps
from exit.logs import read_metrics
from tests.tiny import assert_same_bits, saved_state

# So small that a process spends its time on what a kill may hit: playing, learning and writing.
LAST = 24
SETTINGS = (
    f"num_iterations={LAST}",
    "checkpoint_every=1",
    "report_every=2",
    "network.width=8",
    "network.num_blocks=0",
    "search.max_simulations=2",
    "self_play.num_games=4",
    "self_play.num_steps=4",
    "self_play.budget=2",
    "replay.capacity=64",
    "learner.batch_size=8",
    "learner.num_updates=1",
    "evaluation.budget=2",
    "evaluation.exact=false",
)


def _process(run_dir: Path, compiled: Path) -> subprocess.Popen[bytes]:
    """The command that trains; programs compiled by one process serve the next."""
    command = [sys.executable, "-m", "exit", "train", "tic_tac_toe", "--run-dir", str(run_dir)]
    for setting in SETTINGS:
        command += ["--set", setting]
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        command,
        cwd=Path(__file__).parent.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


@pytest.mark.slow
def test_a_killed_process_is_continued_to_the_same_bits(tmp_path: Path) -> None:
    """Killed twice, at a moment drawn anew in every run of the test; the benchmark does it more often."""
    whole, killed, compiled = tmp_path / "whole", tmp_path / "killed", tmp_path / "compiled"
    _finish(_process(whole, compiled))
    delay = np.random.default_rng()
    for reached in (3, 6):
        process = _process(killed, compiled)
        while (steps(killed) or [0])[-1] < reached:
            assert process.poll() is None, process.communicate()[1].decode()
            time.sleep(0.005)
        time.sleep(delay.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert reached <= steps(killed)[-1] < LAST
    _finish(_process(killed, compiled))
    assert steps(killed) == steps(whole)
    config = with_overrides(load_config("tic_tac_toe"), SETTINGS)
    assert_same_bits(saved_state(killed, LAST, config), saved_state(whole, LAST, config))
    assert [row["iteration"] for row in read_metrics(killed)] == list(range(1, LAST + 1))
