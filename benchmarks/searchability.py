"""Trained to be searched, or merely as good a reflex: what search makes of either.

python benchmarks/searchability.py [--json FILE] [--quick] [--states N] [RUN]

RUN has snapshots (`xit train GAME --set snapshots=true`); without it, tic-tac-toe is trained. Its newest
agent teaches a control: the same network from new parameters, which imitates prior and value of the teacher's
reflex in positions of the teacher's own games and of random play, without any search. The control is kept
after 8, 16, 32, ... updates. Both are searched in the same critical positions. Of each snapshot, and of the
control where its reflex gives away as much (between two that it is kept at), the mean regret at each budget
is compared. Takes some minutes for a small game; --quick takes few positions and few updates.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from measuring.quickly import compile_quickly

from exit import replay as ring
from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.cli.exact import load_exact
from exit.devices import use_all_cores
from exit.evaluate import Yardstick, critical_states, own_positions, random_positions, resample, yardstick
from exit.evaluate.decisions import actions_along
from exit.learner import init_learner, learn
from exit.network import Params, make_network
from exit.portable import snapshot_iterations
from exit.solve import states_of
from exit.targets import Targets

_ROOT = Path(__file__).resolve().parent.parent
_BUDGETS = (0, 4, 16, 64)
_AT_ONCE = 8
_NUM_UPDATES, _NUM_TAUGHT = 8192, 65_536
_NUM_RESAMPLES = 400


def tic_tac_toe(num_iterations: int) -> Path:
    """A run of tic-tac-toe with snapshots, trained unless it is there."""
    run = _ROOT / "runs" / "benchmarks" / "searchability" / f"tic_tac_toe-{num_iterations}"
    asked = (f"num_iterations={num_iterations}", "snapshots=true")
    settings = [word for each in asked for word in ("--set", each)]
    command = [sys.executable, "-m", "exit", "train", "tic_tac_toe", "--run-dir", str(run), *settings]
    subprocess.run(command, cwd=_ROOT, check=True)
    return run


def control(teacher: Agent, num_updates: int, num_taught: int) -> dict[int, Params]:
    """What imitates the teacher's reflex, by the number of updates."""
    game, config = teacher.game, teacher.config
    network = make_network(config.network, game)
    own = own_positions(teacher.params, game=game, predict=network.predict, num=num_taught // 2)
    plies = config.self_play.max_random_plies
    others = random_positions(game, num_taught - len(own), plies).keys
    states = states_of(game, np.concatenate([own, others]))
    logits, value = jax.jit(network.predict)(teacher.params, jax.vmap(game.observe)(states))
    legal_actions = jax.vmap(game.legal_actions)(states)
    prior = jnp.where(legal_actions, jax.nn.softmax(jnp.where(legal_actions, logits, -jnp.inf)), 0.0)
    silent = jnp.zeros_like(prior)
    taught = Targets(states, prior, value, solved=jnp.isnan(value), regrets=silent, regret=silent[:, 0])
    replay = ring.add(ring.init(jax.tree.map(lambda leaf: leaf[0], taught), len(value)), taught)
    learner_config = dataclasses.replace(config.learner, num_updates=_AT_ONCE)
    key_init, key_learn = jax.random.split(jax.random.key(config.seed + 1))
    settings = {"network": network, "config": learner_config, "total_updates": num_updates}
    state, kept = init_learner(key_init, **settings), {}
    for done in range(_AT_ONCE, num_updates + 1, _AT_ONCE):
        state, replay, _ = learn(state, jax.random.fold_in(key_learn, done), replay, game=game, **settings)
        # Devices that share updates wait for each other, and must not be given several at once.
        jax.block_until_ready(state)
        if done.bit_count() == 1:
            kept[done] = state.averaged_params
    return kept


def regret_curve(agent: Agent, measured: Yardstick) -> np.ndarray:
    """What its moves give away at each budget, `[S, n]`."""
    actions = actions_along(agent.curve, measured.states, _BUDGETS)
    return measured.moves.regrets[np.arange(actions.shape[1]), actions]


def compare(run: Path, num_states: int, num_updates: int, num_taught: int) -> dict[str, Any]:
    """Regret of the run's snapshots and of the control at equal reflexes."""
    teacher = Agent.load(run, max_simulations=_BUDGETS[-1])
    exact = load_exact(teacher.game)
    states = critical_states(exact, num_states)
    measured = yardstick(exact, states.keys)
    counts = resample(states.stratum, _NUM_RESAMPLES)
    imitated = {
        updates: regret_curve(dataclasses.replace(teacher, params=params), measured)
        for updates, params in control(teacher, num_updates, num_taught).items()
    }
    rows = []
    for iteration in snapshot_iterations(run):
        found = regret_curve(Agent.load(run, iteration, max_simulations=_BUDGETS[-1]), measured)
        rows.append({"iteration": iteration} | _at_equal_reflexes(found, imitated, counts))
    return {
        "game": teacher.game.name,
        "run": str(run),
        "positions": len(states.keys),
        "budgets": _BUDGETS,
        "control": {updates: curve.mean(-1).tolist() for updates, curve in imitated.items()},
        "rows": rows,
        "hardware": hardware(),
        "provenance": provenance(teacher),
    }


def _at_equal_reflexes(
    found: np.ndarray, imitated: dict[int, np.ndarray], counts: np.ndarray
) -> dict[str, Any]:
    """Mean regret at each budget, of the control with the same reflex regret, and their ratio."""
    weights = counts / counts.sum(axis=1, keepdims=True)
    here, curves = found.mean(-1), np.stack(list(imitated.values()))
    there = _between(curves.mean(-1), here[0])
    row: dict[str, Any] = {"regret": here.tolist(), "control": None, "ratio": None}
    if there is None:
        return row
    ratios = []
    # A resample without any regret has no ratio.
    for drawn in weights:
        mine, its = found @ drawn, _between(curves @ drawn, float(found[0] @ drawn))
        if its is not None and (mine > 0).all():
            ratios.append(its / mine)
    low, high = np.quantile(ratios, (0.025, 0.975), axis=0) if ratios else (None, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = there / here
    interval = None if low is None or high is None else np.stack([low, high], axis=1).tolist()
    return row | {"control": there.tolist(), "ratio": ratio.tolist(), "ci95": {"ratio": interval}}


def _between(curves: np.ndarray, reflex: float) -> np.ndarray | None:
    """The regret at each budget of a control whose reflex gives away so much; None beyond those there are."""
    order = np.argsort(curves[:, 0])
    firsts = curves[order, 0]
    if not firsts[0] <= reflex <= firsts[-1] or reflex <= 0:
        return None
    return np.array([np.interp(reflex, firsts, column) for column in curves[order].T])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", metavar="RUN", type=Path, help="default: one of tic-tac-toe")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="few positions and updates")
    parser.add_argument("--states", type=int, default=3000, help="critical positions")
    options = parser.parse_args()
    if options.quick:
        compile_quickly()
    use_all_cores()
    sizes = (200, 64, 2048) if options.quick else (options.states, _NUM_UPDATES, _NUM_TAUGHT)
    found = compare(options.run or tic_tac_toe(4 if options.quick else 32), *sizes)
    print(f"{found['game']}: {found['positions']} critical positions, mean regret at {_BUDGETS} simulations")
    for row in found["rows"]:
        print(f"  after {row['iteration']:>4} iterations   {_figures(row['regret'])}")
        if row["control"] is not None:
            print(f"    control, as good a reflex {_figures(row['control'])}")
            spans = [f"{low:.2f} to {high:.2f}" for low, high in row["ci95"]["ratio"] or []]
            print(f"    times as much             {_figures(row['ratio'], 2)}   ({', '.join(spans)})")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def _figures(values: list[float], digits: int = 5) -> str:
    return "  ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
