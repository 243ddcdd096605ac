"""Killed and continued: training processes ended by SIGKILL at random moments, against one left alone.

python benchmarks/kill_resume.py [--json FILE] [--quick] [--kills N] [--seed N]

Each row is a run of its own: `xit train tic_tac_toe`, killed at a moment drawn uniformly from the length
of such a process, then continued by the same command. Everything in its last checkpoint (parameters,
optimiser, replay, games) is compared bit for bit with the run that was left alone, and so are the
iterations in `metrics.jsonl`. Processes share their compiled programs through XLA's cache on disk.
Takes about six minutes on two cores; --quick kills twice. Fails if any run ends differently.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from exit.catalog import load_config, with_overrides
from exit.checkpoint import restore, steps
from exit.logs import read_metrics
from exit.loop import RunConfig, acting_template, init_run

_ROOT = Path(__file__).resolve().parent.parent
_CONFIG = "tic_tac_toe"


class Setup(NamedTuple):
    """What all processes share.

    Attributes:
      folder: of all the runs.
      settings: `a.b=value` of every run.
    """

    folder: Path
    settings: tuple[str, ...]

    @property
    def config(self) -> RunConfig:
        return with_overrides(load_config(_CONFIG), self.settings)


def start(setup: Setup, run_dir: Path) -> subprocess.Popen[bytes]:
    """A process that trains, or continues to."""
    command = [sys.executable, "-m", "exit", "train", _CONFIG, "--run-dir", str(run_dir)]
    for setting in setup.settings:
        command += ["--set", setting]
    environment = os.environ | {
        "XIT_CACHE_DIR": str(setup.folder / "tables"),
        "JAX_COMPILATION_CACHE_DIR": str(setup.folder / "programs"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(setup: Setup, run_dir: Path) -> float:
    """Wall time of a process that trains to the end."""
    started = time.perf_counter()
    process = start(setup, run_dir)
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"training failed with exit code {process.returncode}: {errors.decode()}")
    return time.perf_counter() - started


def kill_one(setup: Setup, run_dir: Path, length: float, rng: np.random.Generator) -> float:
    """Start a process and kill it at a random moment; the seconds it had, drawn anew if it ended before."""
    while True:
        after = float(rng.uniform(0, length))
        process = start(setup, run_dir)
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return after
        shutil.rmtree(run_dir)


def last_checkpoint(setup: Setup, run_dir: Path) -> dict[str, bytes]:
    """Every array of the last checkpoint by its path, with its type and shape."""
    config = setup.config
    templates = {"run": jax.eval_shape(lambda: init_run(config)), "acting": acting_template(config)}
    state = restore(run_dir, config.num_iterations, templates)
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    return {name: f"{array.dtype}{array.shape}".encode() + array.tobytes() for name, array in arrays.items()}


def reported(run_dir: Path) -> list[float | int | None]:
    """Iterations in the metrics."""
    return [row["iteration"] for row in read_metrics(run_dir)]


def measure(setup: Setup, whole: Path, index: int, length: float, rng: np.random.Generator) -> dict[str, Any]:
    """Kill one run within `length` seconds, continue it and compare it."""
    run_dir = setup.folder / f"killed_{index}"
    after = kill_one(setup, run_dir, length, rng)
    found = steps(run_dir)
    checkpoints = run_dir / "checkpoints"
    row = {
        "kill": index,
        "after_seconds": after,
        "checkpoint": found[-1] if found else None,
        "half_written": bool(list(checkpoints.glob("*tmp*"))) if checkpoints.is_dir() else False,
        "continued_seconds": finish(setup, run_dir),
    }
    expected, state = last_checkpoint(setup, whole), last_checkpoint(setup, run_dir)
    differing = [name for name in expected if state.get(name) != expected[name]]
    return row | {
        "arrays": len(state),
        "arrays_differing": len(differing) + len(state.keys() - expected.keys()),
        "same_reports": reported(run_dir) == reported(whole),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="two kills of a shorter run")
    parser.add_argument("--kills", type=int, default=20, help="runs to kill; default: 20")
    parser.add_argument("--seed", type=int, help="of the moments; default: another in every call")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    length_setting = "num_iterations=20" if options.quick else "num_iterations=60"
    settings = (length_setting, "checkpoint_every=2", "report_every=2", "evaluation.exact=false")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(Path(folder), settings)
        whole = setup.folder / "whole"
        finish(setup, whole)
        # The first process compiled; the length of the others is that of the second.
        length = finish(setup, setup.folder / "again")
        same = last_checkpoint(setup, whole) == last_checkpoint(setup, setup.folder / "again")
        print(f"left alone: {length:.1f} s, two such runs {'are' if same else 'ARE NOT'} the same")
        print(f"{'kill':>4}{'after s':>9}{'last checkpoint':>17}{'half written':>14}{'differing arrays':>18}")
        for index in range(1, 1 + (2 if options.quick else options.kills)):
            row = measure(setup, whole, index, length, rng)
            rows.append(row)
            print(
                f"{index:>4}{row['after_seconds']:>9.2f}{row['checkpoint'] or 'none':>17}"
                f"{'yes' if row['half_written'] else 'no':>14}"
                f"{row['arrays_differing']:>11} of {row['arrays']}"
                f"{'' if row['same_reports'] else '  other reports'}",
                flush=True,
            )
    alike = same and all(row["arrays_differing"] == 0 and row["same_reports"] for row in rows)
    print(f"{len(rows)} killed and continued; {'all end the same' if alike else 'NOT ALL END THE SAME'}")
    if options.json:
        figures = {"killed": len(rows), "all_same": alike, "uninterrupted_seconds": length, "rows": rows}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    if not alike:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
