"""The demonstration, seed by seed: wall time from a cold start to a tic-tac-toe reflex without a mistake.

python benchmarks/perfect_reflex.py [--json FILE] [--quick]

Each seed runs the two commands of `make demo` in processes of their own, so that seconds include
importing, compiling, training, solving and measuring. Takes about five minutes for five seeds; --quick
runs one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


def measure(seed: int, folder: Path) -> dict[str, Any]:
    """Train and benchmark one seed."""
    run_dir, figures = folder / f"seed_{seed}", folder / f"seed_{seed}.json"
    train_seconds = _run("train", "tic_tac_toe", "--run-dir", run_dir, "--set", f"seed={seed}")
    bench_seconds = _run("bench", run_dir, "--json", figures)
    bench = json.loads(figures.read_text())
    return {
        "seed": seed,
        "train_seconds": train_seconds,
        "bench_seconds": bench_seconds,
        "seconds": train_seconds + bench_seconds,
        "positions": bench["positions"]["count"],
        "mistakes": {row["budget"]: row["mistakes"] for row in bench["budgets"]},
        "hardware": bench["hardware"],
    }


def _run(*arguments: str | Path) -> float:
    """Wall time of one `xit` command."""
    command = [sys.executable, "-m", "exit", *map(str, arguments)]
    started = time.perf_counter()
    subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="one seed")
    options = parser.parse_args()
    rows = []
    print(f"{'seed':>4}{'train s':>9}{'bench s':>9}{'total s':>9}  mistakes at budget 0, 16, 64")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1 if options.quick else 5):
            row = measure(seed, Path(folder))
            rows.append(row)
            print(
                f"{seed:>4}{row['train_seconds']:>9.1f}{row['bench_seconds']:>9.1f}{row['seconds']:>9.1f}  "
                f"{', '.join(map(str, row['mistakes'].values()))} of {row['positions']:,}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
