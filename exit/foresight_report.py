"""Whether what an agent foresees of its searches is what exact values say of them."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt32

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.errors import UserError
from exit.evaluate import decide, own_positions, yardstick
from exit.evaluate.allocation import look
from exit.evaluate.calibration import calibration
from exit.evaluate.learnt.detection import detection
from exit.evaluate.sample import MAX_PLIES, random_positions
from exit.fingerprint import classes
from exit.foresight import BUDGETS, Foresight, foresee, measures
from exit.network import make_network
from exit.solve import Exact, unfinished_keys

MAX_STATES = 4096
"""States of each kind that are measured where nothing else is said."""

_SPARE = 3
"""Times as many are drawn, since half of them may teach."""

ProgressFn = Callable[[str], None]
"""Told what is being done."""


def foresight_report(
    agent: Agent,
    exact: Exact,
    foresight: Foresight,
    *,
    max_states: int = MAX_STATES,
    seed: int = 1,
    progress_fn: ProgressFn | None = None,
) -> dict[str, Any]:
    """What is foreseen at states of all kinds and at the agent's own, beside what exact values say.

    The value's error is held against its distance from the exact value; the gain of a search against the
    exact value of the move that it plays, less that of the reflex's. All of it is in shares of the distance
    between the game's value bounds, at critical states and at others.

    Args:
      max_states: unfinished states of each kind, a sample where there are more; all of them among those
        that never teach (`exit.foresight.measures`).
      seed: of the samples.

    Returns:
      The figures of `xit foresee --json`.

    Raises:
      UserError: there is no position of a kind.
    """
    started = time.perf_counter()
    report = progress_fn or (lambda what: None)
    predict = make_network(agent.config.network, agent.game).predict
    kind, every = _states(exact, max_states, seed)
    own = own_positions(agent.params, game=agent.game, predict=predict, num=2 * max_states, seed=seed)
    kinds = {"all": every, "own": own[measures(agent.game, own)][:max_states]}
    rows = {}
    for name, keys in kinds.items():
        if not len(keys):
            raise UserError(f"{agent.game.name} has too few positions to keep some for measuring")
        report(f"searching, {name} states")
        rows[name] = _held(agent, exact, foresight, keys)
    return {
        "game": agent.game.name,
        "run": str(agent.source),
        "solver": exact.solver,
        "hardware": hardware(),
        "budgets": list(BUDGETS),
        "positions": {
            name: {"kind": f"{kind if name == 'all' else 'own'}, held out", "count": len(keys)}
            for name, keys in kinds.items()
        },
        **{name: {kind: each[name] for kind, each in rows.items()} for name in ("calibration", "detection")},
        "provenance": provenance(agent) | {"seconds": time.perf_counter() - started},
    }


def _states(exact: Exact, max_states: int, seed: int) -> tuple[str, UInt32[np.ndarray, "n K"]]:
    """Unfinished states that never teach: all of them, or a sample, uniform where a table knows them."""
    if exact.table is None:
        found = random_positions(exact.game, 2 * max_states, MAX_PLIES, seed).keys
        return "random play", found[measures(exact.game, found)][:max_states]
    keys = unfinished_keys(exact.table)
    drawn = keys[np.random.default_rng(seed).permutation(len(keys))[: _SPARE * max_states]]
    kept = drawn[measures(exact.game, drawn)]
    every = len(drawn) == len(keys) and len(kept) <= max_states
    return "all" if every else "uniform", kept[:max_states]


def _held(
    agent: Agent, exact: Exact, foresight: Foresight, keys: UInt32[np.ndarray, "n K"]
) -> dict[str, Any]:
    """Calibration of each thing that is foreseen, and how well the last gain tells mistakes."""
    measured = yardstick(exact, keys)
    low, high = agent.game.value_bounds
    foreseen = _foreseen(agent, foresight, measured.states)
    looks = look(agent.curve, measured, np.array([0, *BUDGETS], np.int32), bounds=(low, high))
    value = decide(agent.act, measured.states, 0).value
    gains = (looks.regret[0] - looks.regret[1:]) / (high - low)
    found = [np.abs(value - measured.moves.values) / (high - low), *gains]
    names = ["value_error", *(f"gain_{budget}" for budget in BUDGETS)]
    critical = measured.moves.critical
    alike = classes(measured.states, game=agent.game)
    return {
        "calibration": {
            name: calibration(foreseen[:, index], each, alike)
            for index, (name, each) in enumerate(zip(names, found, strict=True))
        },
        "detection": detection(looks.regret[0][critical] > 0, foreseen[critical, -1], alike[critical]),
    }


def _foreseen(agent: Agent, foresight: Foresight, states: Any) -> Float[np.ndarray, "n K"]:
    """What is foreseen, in shares of the distance between the value bounds."""
    low, high = agent.game.value_bounds
    network = make_network(agent.config.network, agent.game)
    found = foresee(foresight, agent.params, states, game=agent.game, network=network)
    columns = jax.device_get(found)
    return np.concatenate([columns.value_error[:, None], columns.gains], axis=1) / (high - low)
