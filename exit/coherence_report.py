"""Where an agent's cache disagrees with itself, and whether that is where it is wrong."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.coherence import Coherence, coherence, deepest, num_leaves
from exit.errors import UsageError
from exit.evaluate import (
    CriticalStates,
    Yardstick,
    own_positions,
    rows_of,
    yardstick,
)
from exit.evaluate.learnt.detection import combined, detection
from exit.fingerprint import classes
from exit.frontier import MAX_STATES, measured_states
from exit.game import action_name_of, render_of
from exit.network import Params, PredictFn, make_network
from exit.solve import Exact

_MAX_LEAVES = 4096
"""Successors of a state, at most, at the depth that is gone to where none is asked for."""

_NUM_SHOWN = 8

ProgressFn = Callable[[str], None]
"""Told what is being done."""


def coherence_report(
    agent: Agent,
    exact: Exact,
    *,
    max_depth: int | None = None,
    ensemble: Sequence[Agent] = (),
    max_states: int = MAX_STATES,
    seed: int = 0,
    progress_fn: ProgressFn | None = None,
) -> dict[str, Any]:
    """Coherence residuals of an agent's network, held against its exact mistakes.

    Args:
      max_depth: the deepest backup; if left out, as deep as 4,096 successors a state allow, and 3 at most.
      ensemble: other agents of the game, whose disagreement with this one is measured beside.
      max_states: critical states to measure on, of all states and of the agent's own each.

    Returns:
      The figures of `xit coherence --json`.

    Raises:
      UsageError: the depth is out of range, or agents play different games.
      UserError: the game has no critical state.
    """
    started = time.perf_counter()
    report = progress_fn or (lambda what: None)
    for other in ensemble:
        # What their networks see may differ.
        if repr(other.game) != repr(agent.game):
            raise UsageError(f"{other.source} plays {other.game.name}, not {agent.game.name}")
    depth = deepest(agent.game, _MAX_LEAVES) if max_depth is None else max_depth
    states = measured_states(exact, max_states, seed)
    sets = {"all": yardstick(exact, states.keys)}
    report("playing games of its own")
    predict = make_network(agent.config.network, agent.game).predict
    own = own_positions(agent.params, game=agent.game, predict=predict, num=4 * max_states, seed=seed)
    met = yardstick(exact, own)
    critical = np.flatnonzero(met.moves.critical)[:max_states]
    if len(critical):
        sets["own"] = Yardstick(rows_of(met.states, critical), met.moves.of(critical))
    found = {}
    for name, measured in sets.items():
        report(f"looking ahead, {name} states")
        found[name] = _residuals(agent, measured, depth)
    main = found["all"]
    return {
        "game": agent.game.name,
        "run": str(agent.source),
        "solver": exact.solver,
        "hardware": hardware(),
        "positions": {
            name: {
                "kind": f"critical, {states.kind if name == 'all' else 'own'}",
                "count": len(each.moves.values),
            }
            for name, each in sets.items()
        },
        "depths": [_depth_figures(agent, main, sets["all"], index) for index in range(depth)],
        "by_ply": _by_ply(main, sets["all"], states),
        "detection": {
            name: _detection(agent, found[name], sets[name], ensemble, depth, seed) for name in sets
        },
        "control": _control(agent, sets["all"], depth),
        "worst": _worst(agent, main, sets["all"]),
        "provenance": provenance(agent) | {"seconds": time.perf_counter() - started},
    }


@dataclass(frozen=True)
class ConstantValue:
    """A network's policy with a value that is 0 everywhere: coherent, and of no use."""

    predict: PredictFn

    def __call__(self, params: Params, observation: Array) -> tuple[Array, Array]:
        """The prior logits, and nothing."""
        logits, value = self.predict(params, observation)
        return logits, jnp.zeros_like(value)


def _residuals(agent: Agent, measured: Yardstick, depth: int, *, constant: bool = False) -> Coherence:
    predict = make_network(agent.config.network, agent.game).predict
    try:
        return coherence(
            agent.params,
            measured.states,
            game=agent.game,
            predict=ConstantValue(predict) if constant else predict,
            max_depth=depth,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _depth_figures(agent: Agent, found: Coherence, measured: Yardstick, index: int) -> dict[str, Any]:
    """Residuals at one depth, and how far the backup is from the truth."""
    backup = found.qvalues[index].max(axis=-1)
    return {
        "depth": index + 1,
        "evaluations": num_leaves(agent.game, index + 1),
        "mean_abs_value_residual": float(np.abs(found.value_residual[index]).mean()),
        "mean_policy_residual": float(found.policy_residual[index].mean()),
        "mean_reflex_regret": float(found.reflex_regret[index].mean()),
        "value_mae": float(np.abs(found.value - measured.moves.values).mean()),
        "backup_mae": float(np.abs(backup - measured.moves.values).mean()),
    }


def _wrong(found: Coherence, measured: Yardstick) -> Bool[np.ndarray, " n"]:
    """Where the reflex is mistaken."""
    move = found.prior.argmax(axis=-1)
    return ~measured.moves.optimal[np.arange(len(move)), move]


def _by_ply(found: Coherence, measured: Yardstick, states: CriticalStates) -> list[dict[str, Any]]:
    """Residuals at depth 1 and mistakes, ply by ply."""
    wrong, residual = _wrong(found, measured), np.abs(found.value_residual[0])
    return [
        {
            "ply": int(ply),
            "count": int(here.sum()),
            "mean_abs_value_residual": float(residual[here].mean()),
            "mistake_rate": float(wrong[here].mean()),
        }
        for ply in np.unique(states.stratum)
        if (here := states.stratum == ply).any()
    ]


def _detection(
    agent: Agent,
    found: Coherence,
    measured: Yardstick,
    ensemble: Sequence[Agent],
    depth: int,
    seed: int,
) -> dict[str, Any]:
    """How well each measure tells the reflex's mistakes from its best moves."""
    wrong = _wrong(found, measured)
    alike = classes(measured.states, game=agent.game)
    baselines = _baselines(found)
    evaluations = dict.fromkeys(baselines, 1)
    residuals: dict[str, np.ndarray] = {}
    for index in range(depth):
        here = {
            f"value residual, depth {index + 1}": np.abs(found.value_residual[index]),
            f"reflex regret, depth {index + 1}": found.reflex_regret[index],
            f"policy residual, depth {index + 1}": found.policy_residual[index],
        }
        residuals |= here
        evaluations |= dict.fromkeys(here, num_leaves(agent.game, index + 1))
    others = _disagreement(found, measured, ensemble)
    evaluations |= dict.fromkeys(others, 1 + len(ensemble))
    rows = [
        {"measure": name, "evaluations": evaluations[name], **figures}
        for name, score in (baselines | others | residuals).items()
        if (figures := detection(wrong, score, alike, seed=seed)) is not None
    ]
    learnt = combined(wrong, baselines | residuals, alike, seed=seed)
    if learnt is not None and (figures := detection(wrong, learnt, alike, seed=seed)) is not None:
        most = max(evaluations[name] for name in (baselines | residuals))
        rows.append({"measure": "learnt from these", "evaluations": most, **figures})
    return {"mistakes": int(wrong.sum()), "count": len(wrong), "measures": rows}


def _baselines(found: Coherence) -> dict[str, np.ndarray]:
    """Measures that cost no evaluation beside the state's own."""
    ranked = np.sort(found.prior, axis=-1)
    safe = np.maximum(found.prior, 1e-30)
    return {
        "entropy": -(found.prior * np.log(safe)).sum(axis=-1),
        "top two, margin": ranked[:, -2] - ranked[:, -1],
        "value near 0": -np.abs(found.value),
    }


def _disagreement(found: Coherence, measured: Yardstick, ensemble: Sequence[Agent]) -> dict[str, np.ndarray]:
    """How far the networks of several agents are apart."""
    if not ensemble:
        return {}
    said = [found, *(_residuals(other, measured, 1) for other in ensemble)]
    values = np.stack([each.value for each in said])
    priors = np.maximum(np.stack([each.prior for each in said]), 1e-30)
    mean = priors.mean(axis=0)
    return {
        "value, disagreement": values.std(axis=0),
        "policy, disagreement": (priors * (np.log(priors) - np.log(mean))).sum(axis=-1).mean(axis=0),
    }


def _control(agent: Agent, measured: Yardstick, depth: int) -> dict[str, Any]:
    """The same policy with a value that is 0 everywhere."""
    found = _residuals(agent, measured, depth, constant=True)
    wrong = _wrong(found, measured)
    rows = []
    for index in range(depth):
        figures = detection(wrong, np.abs(found.value_residual[index]))
        rows.append(
            {
                "depth": index + 1,
                "mean_abs_value_residual": float(np.abs(found.value_residual[index]).mean()),
                "auc": None if figures is None else figures["auc"],
            }
        )
    return {"depths": rows}


def _worst(agent: Agent, found: Coherence, measured: Yardstick) -> list[dict[str, Any]]:
    """The states with the greatest residual at the deepest look, with what each depth makes of each move."""
    rows = np.argsort(-np.abs(found.value_residual[-1]), kind="stable")[:_NUM_SHOWN]
    states = rows_of(measured.states, rows)
    shown = []
    for place, row in enumerate(rows):
        state = jax.tree.map(lambda leaf, place=place: leaf[place], states)
        shown.append(
            {
                "board": render_of(agent.game, state),
                "exact": float(measured.moves.values[row]),
                "value": float(found.value[row]),
                "backups": [float(each.max()) for each in found.qvalues[:, row]],
                "actions": [
                    {
                        "action": int(action),
                        "name": action_name_of(agent.game, int(action)),
                        "prior": float(found.prior[row, action]),
                        "exact": float(measured.moves.qvalues[row, action]),
                        "backups": [float(each) for each in found.qvalues[:, row, action]],
                    }
                    for action in np.flatnonzero(measured.moves.legal[row])
                ],
            }
        )
    return shown
