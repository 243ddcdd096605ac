"""Rules that stop thinking early: simulations of a fixed budget over those of a rule of the same regret.

python benchmarks/allocation.py [--json FILE] [--quick] [--states N] AGENT [AGENT ...]

Searches critical states of each agent's game once, and looks at 0, 1, 2, 3, 4, 6, 8, ... simulations. Half
of the states, symmetric ones together, teach the learned rule, from the searches alone; all rules are
measured on the others, each at the threshold with the regret that a fixed budget of 16, 64 or 256 has there.
A saving is how many times more simulations fixed budgets need for as little. Of fixed budgets every
simulation is charged, also those that a proof makes needless; a rule is charged what its searches spent. In
parentheses, 95 % intervals from drawing states again; in brackets, against sequential halving planned for
the whole budget, in place of the repeated halving that can be stopped. "-": there is nothing to save, since
the reflex has as little regret, or the rule never has.

Gates look at a state before its first simulation, and decide with the rule of `auto` from then on: what
the agent foresees that a search of the largest budget would gain (charged with one simulation), and how
far its policy is from its own look ahead (charged with one for each move). Both are brought to scale by the
searches of the states that teach, some of which have also taught what is foreseen; the others have not.

Then the rule of `budget="auto"`, doubted information, at one price of a simulation for all games: for each
game the geometric mean of the prices that suit the other games; and the wall time of batches of 256
states with it, in turns with the least fixed budget of that regret, beside the simulations that both spend,
of which proofs spare both. --quick takes few states.

Several agents of one game, such as seeds of one run, are shown together as well: mean, least and greatest
saving. Of an agent that makes no mistakes, nothing can be told: take one from before, such as
RUN/snapshots/00000016.npz.
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
from exit.errors import UserError
from exit.evaluate import Yardstick, critical_states, decide, regrets, rows_of, yardstick
from exit.evaluate.allocation import (
    Looks,
    Stops,
    fixed_spending,
    look,
    saving,
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


def measure(agent: Agent, source: Path, num_states: int) -> dict[str, Any] | None:
    """Savings of every rule for one agent; None where thinking takes no regret away."""
    exact = load_exact(agent.game)
    states = critical_states(exact, num_states)
    measured = yardstick(exact, states.keys)
    looks = look(agent.curve, measured, _LOOKS, bounds=agent.game.value_bounds)
    held_out = measures(agent.game, states.keys)
    taught_on, tried_on = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    tried = looks.of(tried_on)
    fixed = fixed_spending(tried)
    if fixed.regret[0] <= fixed.regret.min():
        return None
    rules = {name: rule(tried) for name, rule in RULES.items()}
    rules["learned"] = _learned(looks.of(taught_on), tried)
    extra = dict.fromkeys(rules, np.zeros(len(tried_on), np.int32))
    gates = _gates(agent, measured.states, 2 * num_states)
    for name, (gate, cost) in gates.items():
        stops = _gated(looks.of(taught_on), gate[taught_on], cost[taught_on], tried, gate[tried_on])
        rules[name], extra[name] = stops, cost[tried_on]
    rules["oracle"], extra["oracle"] = oracle(tried), np.zeros(len(tried_on), np.int32)
    planned = _planned(agent, measured, tried_on)
    return {
        "game": agent.game.name,
        "run": str(source),
        "positions": len(tried_on),
        "fixed_regret": dict(zip(map(int, _LOOKS), fixed.regret.tolist(), strict=True)),
        "planned_regret": planned,
        "rules": {
            name: {target: _saving(tried, stops, target, planned, extra[name]) for target in _TARGETS}
            for name, stops in rules.items()
        },
        "prices": _at_prices(tried),
        "time": {
            target: _timed(agent, measured, tried_on, tried, target)
            for target in _TARGETS[:2]
            if _regret_at(tried, target) < fixed.regret[0]
        },
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
    """Wall time and simulations of the least fixed budget with the regret of one, over those of the rule."""
    wanted = _regret_at(looks, target)
    price = _price_for({"prices": _at_prices(looks), "fixed_regret": {target: wanted}}, target)
    budget = int(looks.budgets[int(np.argmax(fixed_spending(looks).regret <= wanted))])
    states = rows_of(measured.states, np.resize(rows, _TIMED_STATES))
    runs = {
        "fixed": lambda: agent.act(states, budget),
        "auto": lambda: agent.act(states, "auto", price=price),
    }
    spent = {name: float(np.mean(run().num_simulations)) for name, run in runs.items()}
    turns = [{name: seconds(run) for name, run in runs.items()} for _ in range(_TURNS)]
    ratios = [turn["fixed"] / turn["auto"] for turn in turns]
    return {
        "price": price,
        "budget": budget,
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


def _saving(
    looks: Looks, stops: Stops, target: int, planned: dict[int, float], extra: np.ndarray
) -> dict[str, Any]:
    """A rule's saving at the regret of a fixed budget, its interval, and what is saved of planned searches.

    Args:
      planned: regret of planned searches by their budget.
      extra: simulations that the rule costs each state besides.
    """

    def ratio(rows: np.ndarray) -> float | None:
        some = looks.of(rows)
        return saving(some, stops[:, rows], _regret_at(some, target), some.spent + extra[rows])

    rng, count = np.random.default_rng(0), stops.shape[1]
    resampled = [ratio(rng.integers(0, count, count)) for _ in range(_NUM_RESAMPLES)]
    found = [each for each in resampled if each is not None]
    least = min(budget for budget in planned if planned[budget] <= planned[target])
    needed = simulations_for(spending(looks, stops, looks.spent + extra), planned[target])
    return {
        "saving": ratio(np.arange(count)),
        "ci95": np.quantile(found, (0.025, 0.975)).tolist() if found else None,
        "planned": least / needed if needed else None,
    }


def main() -> None:
    use_all_cores()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("agents", nargs="*", metavar="AGENT", type=Path, help="default: runs/tic_tac_toe")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="few states")
    parser.add_argument("--states", type=int, default=4000, help="critical states, half of them to teach")
    options = parser.parse_args()
    sources = options.agents or [Path("runs/tic_tac_toe")]
    try:
        rows = _measured(sources, 400 if options.quick else options.states)
    except UserError as error:
        parser.error(str(error))
    games = _by_game(rows)
    if len(games) == 1:
        print("whether the price of one game suits another is told of agents of several games")
    transferred = [each for target in _TARGETS for each in transfer(rows, target)]
    for each in transferred:
        print(
            f"{each['run']} at the price that suits other games at {each['target']}, {each['price']:.2g}: "
            f"{each['simulations']:.1f} simulations, regret {each['regret']:.5f}, "
            f"{each['saving']:.2f} times fewer than a fixed budget"
        )
    for game, same in games.items():
        if len(same) > 1:
            _show_together(game, same)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "transfer": transferred}, indent=1) + "\n")


def _measured(sources: list[Path], num_states: int) -> list[dict[str, Any]]:
    """Shows and returns the rows of the agents of which anything can be told."""
    agents = [Agent.load(source, max_simulations=int(_LOOKS[-1])) for source in sources]
    rows = []
    for agent, source in zip(agents, sources, strict=True):
        row = measure(agent, source, num_states)
        if row is None:
            print(f"{source}: nothing to save, thinking takes no regret away; take an agent from before")
        else:
            rows.append(row)
            _show(row)
    return rows


def _by_game(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {
        game: [row for row in rows if row["game"] == game] for game in {row["game"]: None for row in rows}
    }


def _show_together(game: str, rows: list[dict[str, Any]]) -> None:
    """The savings of several agents; "-" where one of them has nothing to save or never gets so good."""
    print(f"{game}, {len(rows)} agents together, mean (least to greatest):")
    table: dict[str, list[str]] = {}
    for name in rows[0]["rules"]:
        columns = [[row["rules"][name][target]["saving"] for row in rows] for target in _TARGETS]
        table[name] = [
            "-" if None in found else f"{np.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})"
            for found in columns
        ]
    _print_savings(table)


def _print_savings(cells: dict[str, list[str]]) -> None:
    """A table of a line a rule."""
    lines = {"saving at the regret of": list(map(str, _TARGETS))} | cells
    first = max(map(len, lines))
    widths = [max(map(len, column)) for column in zip(*lines.values(), strict=True)]
    for name, row in lines.items():
        print(
            f"  {name:<{first}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        )


def _times(found: float | None) -> str:
    return "-" if found is None else f"{found:.2f}"


def _show(row: dict[str, Any]) -> None:
    print(
        f"{row['game']}, {row['run']}: {row['positions']} positions; mean regret of fixed budgets (planned):",
        flush=True,
    )
    fixed = row["fixed_regret"]
    print("  " + ", ".join(f"{n}: {fixed[n]:.5f} ({row['planned_regret'][n]:.5f})" for n in _TARGETS))
    table: dict[str, list[str]] = {}
    for name, found in row["rules"].items():
        table[name] = []
        for each in (found[target] for target in _TARGETS):
            low, high = each["ci95"] or (None, None)
            shown = f"{_times(each['saving'])} ({_times(low)} to {_times(high)})"
            table[name].append("-" if each["saving"] is None else f"{shown} [{_times(each['planned'])}]")
    _print_savings(table)
    for target, found in row["time"].items():
        low, high = found["time_range"]
        print(
            f"  batches of {_TIMED_STATES} at the regret of {target}, which budget {found['budget']} has, "
            f"price {found['price']:.2g}: "
            f"{found['simulations']['fixed']:.1f} / {found['simulations']['auto']:.1f} = "
            f"{found['simulations_ratio']:.2f} simulations, time {found['time_ratio']:.2f} "
            f"({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
