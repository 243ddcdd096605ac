"""A run of tic-tac-toe that learns a little in seconds and keeps snapshots."""

import fcntl
import shutil
from pathlib import Path

import pytest

from exit.cli import run

_CONFIG = """
from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.tic_tac_toe import TicTacToe


def config() -> RunConfig:
    return RunConfig(
        game=TicTacToe(),
        network=MLPConfig(width=32, num_blocks=1),
        search=SearchConfig(max_simulations=32),
        self_play=SelfPlayConfig(num_games=32, num_steps=8, budget=8),
        replay=ReplayConfig(capacity=4096),
        learner=LearnerConfig(batch_size=128, num_updates=4, learning_rate=5e-3),
        evaluation=EvaluationConfig(exact={exact}),
        num_iterations={num_iterations},
        report_every={report_every},
        checkpoint_every={checkpoint_every},
        snapshots={snapshots},
    )
"""


def config_file(
    folder: Path,
    *,
    num_iterations: int = 17,
    report_every: int = 100,
    checkpoint_every: int = 100,
    snapshots: bool = True,
    exact: bool = True,
) -> Path:
    """Its settings in a file."""
    text = _CONFIG.format(
        num_iterations=num_iterations,
        report_every=report_every,
        checkpoint_every=checkpoint_every,
        snapshots=snapshots,
        exact=exact,
    )
    (folder / "small.py").write_text(text)
    return folder / "small.py"


def train_small(factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run, which the first of all processes that test trains; returns its directory."""
    base = factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "small"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "trained").exists():
            assert run(["train", str(config_file(shared)), "--run-dir", str(shared / "run")]) == 0
            (shared / "trained").touch()
    return Path(shutil.copytree(shared / "run", factory.mktemp("small") / "run"))
