"""Games of chance and of beliefs, solved exactly from their rules, beside values known from elsewhere.

python benchmarks/belief_solving.py [--json FILE] [--quick] [GAME ...]

Solves each game in a process of its own, whatever table is on disk, and compares the value of its initial
state with one that another program or a publication gives; then measures rules of thumb by their exact
returns. Takes some minutes; --quick leaves most games out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

_ROOT = Path(__file__).resolve().parent.parent


class Known(NamedTuple):
    """What is known of a game.

    Attributes:
      value: of the initial state, in the game's units; None where nothing is known.
      tolerance: by which the solver's may differ.
      is_quick: kept by --quick.
    """

    value: float | None
    tolerance: float
    is_quick: bool = False


_KNOWN = {
    "bandit_2_5": Known(2.888888889, 1e-9),
    "bandit_2_10": Known(6.021785714, 1e-9, is_quick=True),
    "bandit_2_20": Known(12.431264906, 1e-9),
    "bandit_2_40": Known(25.446876777, 1e-9, is_quick=True),
    "bandit_3_10": Known(6.409642857, 1e-9),
    "bandit_2_100": Known(None, 0),
    "kelly_25_250_10": Known(62.604887, 1e-5),
    "kelly_25_250_23": Known(93.759831, 1e-5),
    "kelly_25_250_300": Known(246.20805, 1e-5),
    "kelly_25_250_300_2": Known(246.49613, 1e-5),
    "kelly_beta_3_2_10": Known(51.673926, 1e-5),
    "kelly_beta_3_2_20": Known(57.567433, 1e-5, is_quick=True),
    "kelly_beta_7_3_20": Known(77.016234, 1e-5),
    "sequential_test_4_6": Known(-0.299625463, 1e-9, is_quick=True),
    "sequential_test_3_7": Known(-0.201237022, 1e-9),
    # A chance of 0.530593 to win is a value of 2 * 0.530593 - 1; both to half a unit of the last digit.
    "pig_100": Known(0.061186, 2e-6),
    "2048_2x2": Known(None, 0),
}
_COMPARED = ("bandit_2_10", "bandit_2_20", "bandit_2_30", "bandit_2_40")


def solve(name: str) -> dict[str, Any]:
    """What `xit solve` says of a game, and how that compares with what is known."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "exit", "solve", name, "--force", "--json", str(figures)]
        subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = json.loads(figures.read_text())
    known = _KNOWN.get(name, Known(None, 0))
    off = None if known.value is None else abs(found["value"] - known.value)
    row = {key: found[key] for key in ("game", "states", "value", "error_bound", "seconds", "peak_mb")}
    agrees = None if off is None else off <= known.tolerance
    return row | {"known": known.value, "tolerance": known.tolerance, "off": off, "agrees": agrees}


def compare(name: str) -> list[dict[str, Any]]:
    """Exact returns of a game's rules of thumb, and the share of the first one's gap that each closes."""
    from exit.catalog import load_game
    from exit.evaluate import expected_return, gap_closed, policy_of
    from exit.game import baselines_of
    from exit.solve import initial_value
    from exit.solve import solve as solve_game

    game = load_game(name)
    optimal, first, rows = initial_value(solve_game(game)), None, []
    for rule, baseline_fn in baselines_of(game).items():
        value = expected_return(game, policy_of(game, baseline_fn)).value
        first = value if first is None else first
        closed = gap_closed(value, baseline=first, optimal=optimal)
        rows.append({"game": name, "policy": rule, "value": value, "optimal": optimal, "gap_closed": closed})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("games", nargs="*", metavar="GAME", help="default: all that are known")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="leave most games out")
    options = parser.parse_args()
    names = options.games or [name for name, known in _KNOWN.items() if known.is_quick or not options.quick]
    print(f"{'game':<20}{'positions':>11}{'value':>16}{'known':>16}{'off':>10}{'seconds':>9}{'MB':>6}")
    solved = []
    for name in names:
        row = solve(name)
        solved.append(row)
        known, off = (
            "-" if each is None else f"{each:{form}}"
            for each, form in ((row["known"], ""), (row["off"], ".1e"))
        )
        print(
            f"{name:<20}{row['states']:>11,}{row['value']:>16.9f}{known:>16}{off:>10}"
            f"{row['seconds']:>9.1f}{row['peak_mb']:>6.0f}",
            flush=True,
        )
    compared = [row for name in _COMPARED[: 1 if options.quick else None] for row in compare(name)]
    print(f"\n{'game':<14}{'policy':<12}{'exact return':>14}{'perfect play':>14}{'gap closed':>12}")
    for row in compared:
        print(
            f"{row['game']:<14}{row['policy']:<12}{row['value']:>14.6f}{row['optimal']:>14.6f}"
            f"{row['gap_closed']:>12.4f}"
        )
    if options.json:
        options.json.write_text(json.dumps({"solved": solved, "policies": compared}, indent=1) + "\n")
    if any(row["agrees"] is False for row in solved):
        sys.exit("a value differs from the one that is known")


if __name__ == "__main__":
    main()
