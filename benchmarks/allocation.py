"""Rules that stop thinking early: simulations of a fixed budget over those of a rule of the same regret.

python benchmarks/allocation.py [--json FILE] [--quick] [--states N] AGENT [AGENT ...]

Searches critical states of each agent's game once, and looks at 0, 1, 2, 3, 4, 6, 8, ... simulations. Half
of the states teach the learned rule, from the searches alone; all rules are measured on the others, each
at the threshold with the regret of a fixed budget there. Fixed budgets are charged in full; intervals of
95 % come from drawing states again. In brackets: against sequential halving planned for the whole budget,
in place of the repeated halving that can be stopped. --quick takes few states.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from exit.agent import Agent
from exit.cli.exact import load_exact
from exit.devices import use_all_cores
from exit.evaluate import Yardstick, critical_states, decide, regrets, rows_of, yardstick
from exit.evaluate.allocation import (
    Looks,
    Stops,
    fixed_spending,
    look,
    simulations_for,
    spending,
)
from exit.evaluate.stopping import RULES, features, gain_seen_later, oracle, stops_of

_LOOKS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256], np.int32)
_TARGETS = (16, 64, 256)
_NUM_RESAMPLES = 200


def measure(source: Path, num_states: int) -> dict[str, Any]:
    """Savings of every rule for one agent."""
    agent = Agent.load(source, max_simulations=int(_LOOKS[-1]))
    exact = load_exact(agent.game)
    states = critical_states(exact, num_states)
    measured = yardstick(exact, states.keys)
    looks = look(agent.curve, measured, _LOOKS, bounds=agent.game.value_bounds)
    order = np.random.default_rng(0).permutation(len(states.keys))
    taught_on, tried_on = (np.sort(rows) for rows in np.array_split(order, 2))
    tried = looks.of(tried_on)
    rules = {name: rule(tried) for name, rule in RULES.items()}
    rules["learned"] = _learned(looks.of(taught_on), tried)
    rules["oracle"] = oracle(tried)
    planned = _planned(agent, measured, tried_on)
    fixed = fixed_spending(tried)
    return {
        "game": agent.game.name,
        "run": str(source),
        "positions": len(tried_on),
        "fixed_regret": dict(zip(map(int, _LOOKS), fixed.regret.tolist(), strict=True)),
        "planned_regret": planned,
        "rules": {
            name: {target: _saving(tried, stops, target, planned[target]) for target in _TARGETS}
            for name, stops in rules.items()
        },
    }


def _learned(taught: Looks, tried: Looks) -> Stops:
    """Predicts what thinking on will bring, from what the searches of other states brought."""
    columns = features(taught)
    model = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.08, random_state=0)
    model.fit(columns.reshape(-1, columns.shape[-1]), gain_seen_later(taught).ravel())
    asked = features(tried)
    predicted = model.predict(asked.reshape(-1, asked.shape[-1])).reshape(asked.shape[:2])
    steps = np.diff(tried.budgets, append=2 * tried.budgets[-1])
    return stops_of(tried, np.maximum(predicted, 0.0), steps)


def _planned(agent: Agent, measured: Yardstick, rows: np.ndarray) -> dict[int, float]:
    """Mean regret of searches planned for their whole budget."""
    states, moves = rows_of(measured.states, rows), measured.moves.of(rows)
    return {target: float(regrets(decide(agent.act, states, target), moves).mean()) for target in _TARGETS}


def _saving(looks: Looks, stops: Stops, target: int, planned: float) -> dict[str, Any]:
    """A rule's saving at the regret of a fixed budget, and its interval."""
    index = int(np.flatnonzero(looks.budgets == target)[0])

    def ratio(rows: np.ndarray, regret: float | None = None) -> float:
        some = looks.of(rows)
        wanted = float(some.regret[index].mean()) if regret is None else regret
        needed = simulations_for(spending(some, stops[:, rows]), wanted)
        return float("nan") if needed is None else target / max(needed, 1e-9)

    rng, count = np.random.default_rng(0), stops.shape[1]
    resampled = [ratio(rng.integers(0, count, count)) for _ in range(_NUM_RESAMPLES)]
    found = [each for each in resampled if np.isfinite(each)]
    every = np.arange(count)
    return {
        "saving": ratio(every),
        "ci95": np.quantile(found, (0.025, 0.975)).tolist() if found else None,
        "planned": ratio(every, planned),
    }


def main() -> None:
    use_all_cores()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("agents", nargs="*", metavar="AGENT", type=Path, help="default: runs/tic_tac_toe")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="few states")
    parser.add_argument("--states", type=int, default=4000, help="critical states, half of them to teach")
    options = parser.parse_args()
    agents = options.agents or [Path("runs/tic_tac_toe")]
    rows = [measure(agent, 400 if options.quick else options.states) for agent in agents]
    for row in rows:
        _show(row)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


def _show(row: dict[str, Any]) -> None:
    print(
        f"{row['game']}, {row['run']}: {row['positions']} positions; mean regret of fixed budgets (planned):"
    )
    fixed = row["fixed_regret"]
    print("  " + ", ".join(f"{n}: {fixed[n]:.5f} ({row['planned_regret'][n]:.5f})" for n in _TARGETS))
    print(f"  {'saving at the regret of':<22}" + "".join(f"{n:>30}" for n in _TARGETS))
    for name, found in row["rules"].items():
        cells = []
        for target in _TARGETS:
            each = found[target]
            low, high = each["ci95"] or (float("nan"), float("nan"))
            cells.append(f"{each['saving']:.2f} ({low:.2f}-{high:.2f}) [{each['planned']:.2f}]")
        print(f"  {name:<22}" + "".join(f"{cell:>30}" for cell in cells))


if __name__ == "__main__":
    main()
