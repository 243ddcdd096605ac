"""What proofs are worth in training: the same runs with and without them, exact mistakes against CPU time.

python benchmarks/proofs_in_training.py [--json FILE] [--quick] [--config NAME] [--iterations N] [--seeds N]

With proofs, a state that search has solved is given its exact value and only its best moves as targets, and
what is left of its budget is not spent. Seeds are run in turn, with proofs and without. Takes about ten
minutes; --quick trains tic-tac-toe for a few iterations.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


def measure(config: str, iterations: int, seed: int, prove: bool) -> dict[str, Any]:
    """One run: CPU seconds in all, and its figures as it went."""
    settings = (f"search.prove={str(prove).lower()}", f"seed={seed}", f"num_iterations={iterations}")
    before = _cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["train", config, "--run-dir", f"{folder}/run"]
        for setting in settings:
            arguments += ["--set", setting]
        subprocess.run(
            [sys.executable, "-m", "exit", *arguments], cwd=_ROOT, check=True, stdout=subprocess.DEVNULL
        )
        lines = Path(folder, "run", "metrics.jsonl").read_text().splitlines()
    reports = [json.loads(line) for line in lines]
    return {
        "prove": prove,
        "seed": seed,
        "cpu_seconds": _cpu_seconds() - before,
        "reports": [
            {
                name: report[name]
                for name in ("iteration", "seconds", "reflex_mistake_rate", "search_mistake_rate")
            }
            for report in reports
        ],
    }


def _cpu_seconds() -> float:
    """CPU time of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="tic-tac-toe, one seed, few iterations")
    parser.add_argument("--config", default="connect_four_4x4", metavar="NAME")
    parser.add_argument("--iterations", type=int, default=120, metavar="N")
    parser.add_argument("--seeds", type=int, default=2, metavar="N")
    options = parser.parse_args()
    if options.quick:
        options.config, options.iterations, options.seeds = "tic_tac_toe", 10, 1
    rows = []
    for seed in range(options.seeds):
        for prove in (False, True):
            row = measure(options.config, options.iterations, seed, prove)
            rows.append(row)
            print(f"proofs {'yes' if prove else 'no'}, seed {seed}: {row['cpu_seconds']:.0f} CPU seconds")
            for report in row["reports"]:
                reflex, searching = report["reflex_mistake_rate"], report["search_mistake_rate"]
                print(
                    f"  iteration {report['iteration']:>5}{report['seconds']:>6.0f} s:"
                    f" reflex {reflex:.2%}, search {searching:.2%}",
                    flush=True,
                )
    if options.json:
        options.json.write_text(json.dumps({"config": options.config, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
