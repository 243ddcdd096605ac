"""Ways to search side by side: exact regret on the same states, with the same network, at equal budgets.

python benchmarks/search_strength.py [--json FILE] [--quick] [--config NAME] [--iterations N] [--states N]

Trains a configuration for some iterations, so that the network is good but far from perfect, and then
searches one fixed sample of critical states in each way. Regret is what the move played gives away,
exactly; the interval is of the paired difference from plain sequential halving. Without noise at the root.
Takes about ten minutes; --quick uses few states and budgets.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from exit.acting import make_act_fn
from exit.agent import Agent
from exit.catalog import load_config
from exit.devices import use_all_cores
from exit.evaluate import EvaluationConfig, Yardstick, critical_sample, decide
from exit.loop import train
from exit.network import make_network
from exit.search import PUCT, Gumbel, Policy, SearchConfig
from exit.solve import exact_of

_BUDGETS = (4, 16, 64, 256)
_POLICIES: dict[str, Policy] = {
    "halving": Gumbel(),
    "halving, side by side": Gumbel(side_by_side=True),
    "anytime halving": Gumbel(anytime=True),
    "anytime, side by side": Gumbel(anytime=True, side_by_side=True),
    "PUCT": PUCT(),
}


def trained(name: str, num_iterations: int) -> Agent:
    """A configuration after some of its iterations."""
    config = replace(load_config(name), evaluation=EvaluationConfig(exact=False))
    with tempfile.TemporaryDirectory() as folder:
        overrides = ("evaluation.exact=false",)
        train(config, folder, config_name=name, overrides=overrides, stop_iteration=num_iterations)
        return Agent.load(folder)


def regrets(agent: Agent, sample: Yardstick, search: SearchConfig, budget: int) -> tuple[np.ndarray, float]:
    """Regret of each move of one way to search, and the simulations it spent on the average."""
    network = make_network(agent.config.network, agent.game)
    act_fn = make_act_fn(agent.params, game=agent.game, network=network, config=search)
    decisions = decide(act_fn, sample.states, budget)
    regret = sample.moves.regrets[np.arange(len(decisions.action)), decisions.action]
    return np.maximum(regret, 0.0), float(decisions.num_simulations.mean())


def compare(
    agent: Agent, sample: Yardstick, names: Sequence[str], budgets: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """A row for each way to search and budget; differences are from the first way, with the same proofs."""
    for prove in (False, True):
        baseline: dict[int, np.ndarray] = {}
        for name in names:
            search = SearchConfig(max_simulations=max(budgets), policy=_POLICIES[name], prove=prove)
            for budget in budgets:
                regret, spent = regrets(agent, sample, search, budget)
                difference = regret - baseline.setdefault(budget, regret)
                yield {
                    "policy": name,
                    "prove": prove,
                    "budget": budget,
                    "mean_simulations": spent,
                    "mistake_rate": float((regret > 1e-6).mean()),
                    "mean_regret": float(regret.mean()),
                    "difference": float(difference.mean()),
                    "difference_ci95": 1.96 * float(difference.std()) / len(difference) ** 0.5,
                }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="few states, two budgets, two policies")
    parser.add_argument("--config", default="connect_four_4x5", metavar="NAME")
    parser.add_argument("--iterations", type=int, default=40, metavar="N", help="of training (default: 40)")
    parser.add_argument("--states", type=int, default=4096, metavar="N", help="critical states searched")
    options = parser.parse_args()
    if options.quick:
        options.config, options.iterations, options.states = "tic_tac_toe", 4, 256
    use_all_cores()
    agent = trained(options.config, options.iterations)
    sample = critical_sample(exact_of(agent.game), options.states)
    names, budgets = list(_POLICIES), list(_BUDGETS)
    if options.quick:
        names, budgets = names[:2], budgets[:2]
    print(f"{agent.game.name}, {options.iterations} iterations, {len(sample.moves.values):,} critical states")
    print(f"{'':<20}{'proofs':>7}{'budget':>8}{'simulations':>13}{'mistakes':>10}{'regret':>9}  difference")
    rows = []
    for row in compare(agent, sample, names, budgets):
        rows.append(row)
        print(
            f"{row['policy']:<20}{'yes' if row['prove'] else 'no':>7}{row['budget']:>8}"
            f"{row['mean_simulations']:>13.1f}{row['mistake_rate']:>10.2%}{row['mean_regret']:>9.5f}"
            f"  {row['difference']:+.5f} ± {row['difference_ci95']:.5f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"config": options.config, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
