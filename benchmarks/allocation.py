"""Rules that stop thinking early: simulations of a fixed budget over those of a rule of the same regret.

python benchmarks/allocation.py [--json FILE] [--quick] [--states N] AGENT [AGENT ...]

Searches critical states of each agent's game once, and looks at 0, 1, 2, 3, 4, 6, 8, ... simulations. Half
of the states, symmetric ones together, teach the learned rule, from the searches alone; all rules are
measured on the others, each at the threshold with the regret of a fixed budget there; where no thinking has
as little, there is nothing to save (nan). Fixed budgets are
charged in full; intervals of 95 % come from drawing states again. In brackets: against sequential halving
planned for the whole budget, in place of the repeated halving that can be stopped.

Gates look at a state before its first simulation, and decide with the rule of `auto` from then on: what
the agent foresees that a search of the largest budget would gain (charged with one simulation), and how
far its policy is from its own look ahead (charged with one for each move). Both are brought to scale by the
searches of the states that teach, some of which have also taught what is foreseen; the others have not.

Then the rule of `budget="auto"`, doubted information, at one price of a simulation for all games: for each
game the geometric mean of the prices that suit the other games; and the wall time of batches of 256
states with it, in turns with the fixed budget, beside the simulations that both spend. --quick takes few
states.

Several agents of one game, such as seeds of one run, are shown together as well: mean, least and greatest
saving. An agent may be a snapshot, RUN/snapshots/00000016.npz.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from measuring.networks import seconds
from sklearn.ensemble import HistGradientBoostingRegressor

from exit.agent import Agent
from exit.cli.exact import load_exact
from exit.coherence import coherence
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
from exit.evaluate.stopping import (
    RULES,
    at_first,
    features,
    gain_seen_later,
    gate_ratio,
    gated,
    oracle,
    stops_of,
    within,
    worth_score,
)
from exit.foresight import foresee, lesson_positions, measures, teach
from exit.game import State
from exit.network import make_network

_LOOKS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256], np.int32)
_TARGETS = (16, 64, 256)
_NUM_RESAMPLES = 200
_PRICES = np.logspace(-6, 0, 121)
_TIMED_STATES, _TURNS = 256, 5


def measure(source: Path, num_states: int) -> dict[str, Any]:
    """Savings of every rule for one agent."""
    agent = Agent.load(source, max_simulations=int(_LOOKS[-1]))
    exact = load_exact(agent.game)
    states = critical_states(exact, num_states)
    measured = yardstick(exact, states.keys)
    looks = look(agent.curve, measured, _LOOKS, bounds=agent.game.value_bounds)
    held_out = measures(agent.game, states.keys)
    taught_on, tried_on = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    tried = looks.of(tried_on)
    rules = {name: rule(tried) for name, rule in RULES.items()}
    rules["learned"] = _learned(looks.of(taught_on), tried)
    extra = dict.fromkeys(rules, np.zeros(len(tried_on), np.int32))
    gates = _gates(agent, measured.states, 2 * num_states)
    for name, (gate, cost) in gates.items():
        stops = _gated(looks.of(taught_on), gate[taught_on], cost[taught_on], tried, gate[tried_on])
        rules[name], extra[name] = stops, cost[tried_on]
    rules["oracle"], extra["oracle"] = oracle(tried), np.zeros(len(tried_on), np.int32)
    planned = _planned(agent, measured, tried_on)
    fixed = fixed_spending(tried)
    return {
        "game": agent.game.name,
        "run": str(source),
        "positions": len(tried_on),
        "fixed_regret": dict(zip(map(int, _LOOKS), fixed.regret.tolist(), strict=True)),
        "planned_regret": planned,
        "rules": {
            name: {target: _saving(tried, stops, target, planned[target], extra[name]) for target in _TARGETS}
            for name, stops in rules.items()
        },
        "prices": _at_prices(tried),
        "time": {target: _timed(agent, measured, tried_on, tried, target) for target in _TARGETS[:2]},
    }


def _at_prices(looks: Looks) -> list[dict[str, float]]:
    """What `budget="auto"` comes to at each price: simulations, regret, the fixed budget of that regret."""
    fixed = fixed_spending(looks)
    rows = []
    for price in _PRICES:
        found = spending(looks, within(worth_score(looks), looks, np.array([price])))
        budget = simulations_for(fixed, float(found.regret[0]))
        # Where no fixed budget is as good, the largest stands for what would be.
        budget = float(looks.budgets[-1]) if budget is None else budget
        simulations = float(found.simulations[0])
        rows.append(
            {"price": float(price), "simulations": simulations, "regret": float(found.regret[0])}
            | {"fixed_budget": budget, "saving": budget / max(simulations, 1e-9)}
        )
    return rows


def _price_for(row: dict[str, Any], target: int) -> float:
    """The highest price at which the regret is that of a fixed budget."""
    wanted = row["fixed_regret"][target]
    return max((each["price"] for each in row["prices"] if each["regret"] <= wanted), default=_PRICES[0])


def transfer(rows: list[dict[str, Any]], target: int) -> list[dict[str, Any]]:
    """For each game, the rule at the price that suits the others."""
    found = []
    for row in rows:
        others = [
            _price_for(other, target)
            for other in rows
            if other["game"] != row["game"] and other["fixed_regret"][target] > 0
        ]
        if not others or row["fixed_regret"][0] <= row["fixed_regret"][target]:
            continue
        price = float(np.exp(np.mean(np.log(others))))
        nearest = min(row["prices"], key=lambda each: abs(np.log(each["price"] / price)))
        found.append({"game": row["game"], "run": row["run"], "target": target, **nearest})
    return found


def _timed(agent: Agent, measured: Yardstick, rows: np.ndarray, looks: Looks, target: int) -> dict[str, Any]:
    """Wall time and simulations of a fixed budget over those of the rule at the price of the same regret."""
    at_prices = {"prices": _at_prices(looks), "fixed_regret": {target: _regret_at(looks, target)}}
    price = _price_for(at_prices, target)
    states = rows_of(measured.states, np.resize(rows, _TIMED_STATES))
    runs = {
        "fixed": lambda: agent.act(states, target),
        "auto": lambda: agent.act(states, "auto", price=price),
    }
    spent = {name: float(np.mean(run().num_simulations)) for name, run in runs.items()}
    turns = [{name: seconds(run) for name, run in runs.items()} for _ in range(_TURNS)]
    ratios = [turn["fixed"] / turn["auto"] for turn in turns]
    return {
        "price": price,
        "simulations": spent,
        "simulations_ratio": spent["fixed"] / max(spent["auto"], 1e-9),
        "time_ratio": float(np.median(ratios)),
        "time_range": [min(ratios), max(ratios)],
        "turns": turns,
    }


def _regret_at(looks: Looks, target: int) -> float:
    return float(looks.regret[int(np.flatnonzero(looks.budgets == target)[0])].mean())


def _learned(taught: Looks, tried: Looks) -> Stops:
    """Predicts what thinking on will bring, from what the searches of other states brought."""
    columns = features(taught)
    model = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.08, random_state=0)
    model.fit(columns.reshape(-1, columns.shape[-1]), gain_seen_later(taught).ravel())
    asked = features(tried)
    predicted = model.predict(asked.reshape(-1, asked.shape[-1])).reshape(asked.shape[:2])
    steps = np.diff(tried.budgets, append=2 * tried.budgets[-1])
    return stops_of(tried, np.maximum(predicted, 0.0), steps)


def _gates(agent: Agent, states: State, num_taught: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What may be known of each state before a search, and the simulations that knowing it stands for."""
    network = make_network(agent.config.network, agent.game)
    keys = lesson_positions(agent.params, config=agent.config, num_states=num_taught)
    foresight = teach(agent.params, keys, config=agent.config)
    found = foresee(foresight, agent.params, states, game=agent.game, network=network)
    seen = coherence(agent.params, states, game=agent.game, predict=network.predict, max_depth=1)
    moves = (seen.prior > 0).sum(axis=-1)
    gains = np.asarray(found.gains[:, -1])
    return {
        "foreseen gain": (gains, np.ones(len(gains), np.int32)),
        "coherence": (seen.policy_residual[0], moves.astype(np.int32) * agent.game.num_outcomes),
    }


def _gated(
    taught: Looks, taught_gate: np.ndarray, taught_cost: np.ndarray, tried: Looks, gate: np.ndarray
) -> Stops:
    """The rule of `auto` behind a gate."""
    ratio = gate_ratio(taught_gate, worth_score(taught), taught, taught_cost)
    return at_first(gated(gate, worth_score(tried), ratio), tried)


def _planned(agent: Agent, measured: Yardstick, rows: np.ndarray) -> dict[int, float]:
    """Mean regret of searches planned for their whole budget."""
    states, moves = rows_of(measured.states, rows), measured.moves.of(rows)
    return {target: float(regrets(decide(agent.act, states, target), moves).mean()) for target in _TARGETS}


def _saving(looks: Looks, stops: Stops, target: int, planned: float, extra: np.ndarray) -> dict[str, Any]:
    """A rule's saving at the regret of a fixed budget, and its interval.

    Args:
      extra: simulations that the rule costs each state besides.
    """
    index = int(np.flatnonzero(looks.budgets == target)[0])

    def ratio(rows: np.ndarray, regret: float | None = None) -> float:
        some = looks.of(rows)
        wanted = float(some.regret[index].mean()) if regret is None else regret
        if float(some.regret[0].mean()) <= wanted:
            return float("nan")
        needed = simulations_for(spending(some, stops[:, rows], some.spent + extra[rows]), wanted)
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
    rows = []
    for agent in agents:
        rows.append(measure(agent, 400 if options.quick else options.states))
        _show(rows[-1])
    transferred = [each for target in _TARGETS for each in transfer(rows, target)]
    for each in transferred:
        print(
            f"{each['run']} at the price that suits other games at {each['target']}, {each['price']:.2g}: "
            f"{each['simulations']:.1f} simulations, regret {each['regret']:.5f}, "
            f"{each['saving']:.2f} times fewer than a fixed budget"
        )
    for game, same in _by_game(rows).items():
        if len(same) > 1:
            _show_together(game, same)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "transfer": transferred}, indent=1) + "\n")


def _by_game(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {
        game: [row for row in rows if row["game"] == game] for game in {row["game"]: None for row in rows}
    }


def _show_together(game: str, rows: list[dict[str, Any]]) -> None:
    """The savings of several agents: mean, least and greatest; nan where one never gets so good."""
    print(f"{game}, {len(rows)} agents together:")
    print(f"  {'saving at the regret of':<22}" + "".join(f"{target:>30}" for target in _TARGETS))
    for name in rows[0]["rules"]:
        cells = []
        for target in _TARGETS:
            found = [row["rules"][name][target]["saving"] for row in rows]
            cells.append(f"{np.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})")
        print(f"  {name:<22}" + "".join(f"{cell:>30}" for cell in cells))


def _show(row: dict[str, Any]) -> None:
    print(
        f"{row['game']}, {row['run']}: {row['positions']} positions; mean regret of fixed budgets (planned):",
        flush=True,
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
    for target, found in row["time"].items():
        low, high = found["time_range"]
        print(
            f"  batches of {_TIMED_STATES} at the regret of {target}, price {found['price']:.2g}: "
            f"{found['simulations']['fixed']:.1f} / {found['simulations']['auto']:.1f} = "
            f"{found['simulations_ratio']:.2f} simulations, time {found['time_ratio']:.2f} "
            f"({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
