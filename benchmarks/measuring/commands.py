"""The commands of the project, run by scripts as a user runs them."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent.parent
# Small iterations, or the first agent has already learnt much.
_SMALL = {
    "self_play.num_games": 64,
    "self_play.num_steps": 8,
    "replay.capacity": 131_072,
    "reanalysis.num_positions": 0,
    "learner.batch_size": 512,
    "learner.num_updates": 3,
    "learner.warmup_fraction": 0.0,
    # Blocks as wide as the network: its width is what is varied.
    "network.hidden": "none",
}


def xit(*arguments: str) -> None:
    """One command; its output goes to the terminal, and its failure ends the script."""
    subprocess.run([sys.executable, "-m", "exit", *arguments], cwd=_ROOT, check=True)


def train_in_small_iterations(
    config: str, run_dir: Path, num_iterations: int, settings: Mapping[str, Any]
) -> None:
    """Trains by iterations of 512 positions, or finds the run complete; reported and kept at its end."""
    ends = dict.fromkeys(("num_iterations", "report_every", "checkpoint_every"), num_iterations)
    chosen = (_SMALL | ends | dict(settings)).items()
    assignments = [word for name, value in chosen for word in ("--set", f"{name}={value}")]
    xit("train", config, "--run-dir", str(run_dir), *assignments)
