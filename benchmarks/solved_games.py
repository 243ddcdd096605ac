"""Training on solved games: exact mistakes of the reflex and of search, and the training they took.

python benchmarks/solved_games.py [--json FILE] [--quick] [--runs DIR] [--max-positions N] [CONFIG ...]

Trains each configuration and measures it at budgets 0 and 64, over all unfinished reachable positions or,
with --max-positions, over a random sample of them. Runs are kept in DIR and continued from there, so
finished ones are only measured. --quick trains Nim alone.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from measuring.commands import xit

_ROOT = Path(__file__).resolve().parent.parent
_CONFIGS = ("nim_3_4_5", "connect_four_4x4", "connect_four_4x5")
_BUDGETS = (0, 64)


def measure(config: str, runs: Path, max_positions: int | None) -> dict[str, Any]:
    """Train one configuration, or continue it, and benchmark it."""
    run_dir = (runs / config).absolute()
    figures = run_dir / "solved_games.json"
    xit("train", config, "--run-dir", str(run_dir))
    sample = [] if max_positions is None else ["--max-positions", str(max_positions)]
    budgets = ",".join(map(str, _BUDGETS))
    xit("bench", str(run_dir), "--budgets", budgets, "--json", str(figures), *sample)
    bench = json.loads(figures.read_text())
    last = json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "config": config,
        "training_minutes": last["seconds"] / 60,
        "trained_positions": last["positions"],
        **{name: bench[name] for name in ("positions", "budgets", "hardware")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="default: Nim and the small boards")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="Nim alone")
    parser.add_argument("--runs", type=Path, default=_ROOT / "runs" / "benchmarks", help="folder of the runs")
    parser.add_argument("--max-positions", type=int, metavar="N", help="measure a random sample of at most N")
    options = parser.parse_args()
    configs = options.configs or (_CONFIGS[:1] if options.quick else _CONFIGS)
    rows = [measure(config, options.runs, options.max_positions) for config in configs]
    header = f"{'config':<18}{'minutes':>8}{'trained on':>12}{'measured on':>13}{'critical':>11}"
    print(f"{header}  of these wrong at 0, 64")
    for row in rows:
        rates = ", ".join(f"{100 * found['critical_mistake_rate']:.3f} %" for found in row["budgets"])
        print(
            f"{row['config']:<18}{row['training_minutes']:>8.1f}{row['trained_positions']:>12,}"
            f"{row['positions']['count']:>13,}{row['positions']['critical']:>11,}  {rates}"
        )
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
