"""A run of tic-tac-toe that learns a little in seconds and keeps snapshots."""

from pathlib import Path

from exit.cli import run

_CONFIG = """
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
        num_iterations=17,
        report_every=100,
        checkpoint_every=100,
        snapshots=True,
    )
"""


def train_small(folder: Path) -> Path:
    """Trains it in a folder; returns the run directory."""
    (folder / "small.py").write_text(_CONFIG)
    assert run(["train", str(folder / "small.py"), "--run-dir", str(folder / "run")]) == 0
    return folder / "run"
