"""How far agents of 6x7 Connect Four are from perfect play, at the levels that AlphaZero.jl publishes.

python benchmarks/levels.py [AGENT ...] [--json FILE] [--quick] [--budgets N,...]

An agent is a run, a `.npz` file or a name; by default the one that comes with the product. Measured is the
share of positions in which its move is a mistake: over all positions of six sets of 1,000, named by stage and
by how far off the end is, beside what AlphaZero.jl's tutorial plots for 600 simulations; and over three
sets of 2,000 critical positions. benchmarks/measuring/position_sets.py says how the sets are made. They are
labelled by BitBully once and then read from their files, so that a machine without it can measure too.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
from measuring import position_sets
from measuring.connect_four import connect_four_exact

from exit.agent import Agent
from exit.devices import use_all_cores
from exit.evaluate import Yardstick, decide, mistakes

_ROOT = Path(__file__).resolve().parent.parent
_PUBLISHED = {
    "begin-easy": 0.0,
    "middle-easy": 0.0,
    "end-easy": 0.0,
    "begin-medium": 0.021,
    "middle-medium": 0.028,
    "begin-hard": 0.076,
}
"""Mistakes of AlphaZero.jl at 600 simulations, read off the plot in its tutorial, on its own sets."""


def load_sets(folder: Path, quick: bool) -> dict[str, Yardstick]:
    """All nine sets, made if they are not there yet."""
    sizes = dict.fromkeys(position_sets.STAGED_SETS, 100 if quick else 1000)
    sizes |= dict.fromkeys(position_sets.MAIN_SETS, 50 if quick else 2000)
    return {
        name: position_sets.load_or_make(name, connect_four_exact, folder, num) for name, num in sizes.items()
    }


def measure(agent: Agent, budget: int, sets: dict[str, Yardstick]) -> dict[str, Any]:
    """Mistake rates on each set at a budget, and what was spent."""
    rates, seconds, spent = {}, 0.0, 0
    for name, (states, moves) in sets.items():
        decisions = decide(agent.act, states, budget, chunk=min(len(moves.values), 1000))
        # Where nothing can go wrong there is no mistake either.
        rates[name] = float(mistakes(decisions, moves).mean())
        seconds += decisions.seconds
        spent += int(decisions.num_simulations.sum())
    return {"budget": budget, "rates": rates, "seconds": seconds, "simulations": spent}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("agents", nargs="*", default=["connect_four"], metavar="AGENT")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="small sets")
    parser.add_argument("--budgets", default="0,64,600", metavar="N,...")
    parser.add_argument(
        "--sets", type=Path, default=_ROOT / "runs" / "benchmarks" / "connect_four_sets", metavar="DIR"
    )
    options = parser.parse_args()
    use_all_cores()
    sets = load_sets(options.sets, options.quick)
    budgets = sorted(map(int, options.budgets.split(",")))
    print(f"{len(jax.devices())} x {jax.devices()[0].device_kind}, jax {jax.__version__}")
    print(f"{'':<28}" + "".join(f"{name:>14}" for name in sets))
    published = (f"{_PUBLISHED[name]:.1%}" if name in _PUBLISHED else "" for name in sets)
    print(f"{'AlphaZero.jl at 600':<28}" + "".join(f"{rate:>14}" for rate in published))
    rows = []
    for source in options.agents:
        agent = Agent.load(source, max_simulations=budgets[-1])
        for budget in budgets:
            row = {"agent": str(source), "step": agent.step, **measure(agent, budget, sets)}
            rows.append(row)
            rates = "".join(f"{rate:>14.2%}" for rate in row["rates"].values())
            print(f"{f'{source} at {budget}':<28}{rates}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
