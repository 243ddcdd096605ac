"""Whether a network that sees raw histories keeps what matters of them: read-outs, behaviour, longer ones."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.errors import UsageError
from exit.evaluate import decide_at, estimated_return, expected_return, gap_closed, policy_of
from exit.evaluate.learnt.probes import fitted_probe, principal_plane, scored_probe
from exit.evaluate.order import order_figures, swap_figures
from exit.game import action_name_of, baselines_of, statistic_game_of
from exit.network import make_network
from exit.probe.told import (
    Told,
    activations_of,
    playing_at,
    require_statistic,
    some_rows,
    splits_of,
    told_by,
    untrained,
)
from exit.solve import Exact, initial_value, table_of

NUM_HISTORIES = 8192
"""Histories that are played; distinct ones are probed."""

_NUM_SHOWN = 3000
_LEAST_HISTORIES = 8

ProgressFn = Callable[[str], None]


class Geometry(NamedTuple):
    """Activations on the plane in which they differ most, of the network and of the control.

    Attributes:
      colour: what `colour_name` says of each history.
    """

    layer: str
    colour_name: str
    colour: Float[np.ndarray, " n"]
    trained: Float[np.ndarray, "n 2"]
    control: Float[np.ndarray, "n 2"]


class Boundary(NamedTuple):
    """Where which action is taken, by two counts that say all.

    Attributes:
      counts: of each statistic.
      played: the reflex's action at most of the histories that come to it.
      optimal: the exact one.
      actions: names.
    """

    names: tuple[str, str]
    counts: Float[np.ndarray, "m 2"]
    played: Int[np.ndarray, " m"]
    optimal: Int[np.ndarray, " m"]
    actions: list[str]


class Probed(NamedTuple):
    """What was found: figures by the names of `xit probe --json`, and what pictures show."""

    figures: dict[str, Any]
    geometry: Geometry
    boundary: Boundary | None


def probe(
    agent: Agent,
    exact: Exact,
    *,
    longer: Exact | None = None,
    num_histories: int = NUM_HISTORIES,
    seed: int = 0,
    progress_fn: ProgressFn | None = None,
) -> Probed:
    """Probe an agent whose game names the sufficient statistic of its states.

    Linear probes are fitted on half of the histories of up to three quarters of the longest length and scored
    on the other half (`others`), on those of the remaining lengths (`longer`), and, of another game, on those
    that are longer than any in the agent's own (`beyond`); the control is the same network with random
    parameters, as they are before training.

    Args:
      exact: of the agent's game.
      longer: of a game with the same events and more of them; the agent plays it as it is.
      num_histories: to play in each game.

    Raises:
      UsageError: the game names no sufficient statistic, too few histories are asked for, or the agent
        cannot play the longer game.
    """
    report = progress_fn or (lambda what: None)
    require_statistic(agent.game)
    if num_histories < 256:
        raise UsageError(f"num_histories is {num_histories}; give at least 256")
    other = None if longer is None else playing_at(agent, longer.game)
    report("playing histories")
    told = told_by(agent, exact, num_histories, seed)
    sets = {name: some_rows(told, rows) for name, rows in splits_of(told, seed).items()}
    if min(len(sets[name].keys) for name in ("fitted", "others")) < _LEAST_HISTORIES:
        raise UsageError(f"{agent.game.name} has too few different histories to probe for; take a longer one")
    players = dict.fromkeys(sets, agent)
    if other is not None and longer is not None:
        there = told_by(other, longer, num_histories, seed + 1)
        far = np.flatnonzero(there.histories.length > told.histories.length.max())
        sets["beyond"], players["beyond"] = some_rows(there, far), other
    sets = {name: each for name, each in sets.items() if len(each.keys)}
    report("probing")
    trained, control = (
        {name: activations_of(players[name], params, each.states) for name, each in sets.items()}
        for params in (agent.params, untrained(agent, seed))
    )
    layers = list(_readouts(trained, control, sets))
    report("reordering histories")
    figures = _about(agent, sets) | {"layers": layers} | _behaviour(agent, told, seed)
    played = [(agent, exact)] + ([(other, longer)] if other is not None and longer is not None else [])
    figures["play"] = [_play(*each, report) for each in played]
    report("drawing")
    boundary = _boundary(agent, exact, told)
    figures["boundary"] = boundary and {
        "statistics": len(boundary.counts),
        "alike": float(np.mean(boundary.played == boundary.optimal)),
    }
    geometry = _geometry(trained["others"], control["others"], sets["others"], layers)
    return Probed(figures, geometry, boundary)


def _about(agent: Agent, sets: dict[str, Told]) -> dict[str, Any]:
    """Whose figures these are, and what histories they are of."""
    return {
        "game": agent.game.name,
        "run": str(agent.source),
        "statistic_game": str(getattr(statistic_game_of(agent.game), "name", None)),
        "hardware": hardware(),
        "histories": {
            name: {
                "count": len(each.keys),
                "lengths": [int(each.histories.length.min()), int(each.histories.length.max())],
            }
            for name, each in sets.items()
        },
        "provenance": provenance(agent),
    }


def _behaviour(agent: Agent, told: Told, seed: int) -> dict[str, Any]:
    """Whether the order of events matters to the agent."""
    network = make_network(agent.config.network, agent.game)
    asked = {"game": agent.game, "params": agent.params, "network": network, "seed": seed}
    return {
        "order": order_figures(told.histories, **asked),
        "swap": swap_figures(told.histories, **asked),
    }


def _readouts(
    trained: dict[str, dict[str, np.ndarray]],
    control: dict[str, dict[str, np.ndarray]],
    targets: dict[str, Told],
) -> Iterator[dict[str, Any]]:
    """A row for each layer, kind of target and set of histories that probes are scored on.

    Args:
      trained, control: activations by set of histories and layer.
      targets: by set of histories.
    """
    fitted = targets["fitted"].targets
    for layer in trained["fitted"]:
        for kind, named in fitted.items():
            wanted = {
                name: np.stack(list(told.targets[kind].values()), axis=1) for name, told in targets.items()
            }
            probes = [fitted_probe(each["fitted"][layer], wanted["fitted"]) for each in (trained, control)]
            for name in (name for name in targets if name != "fitted"):
                found, beside = (
                    scored_probe(probe, each[name][layer], wanted[name])
                    for probe, each in zip(probes, (trained, control), strict=True)
                )
                yield {
                    "layer": layer,
                    "kind": kind,
                    "scored_on": name,
                    "r2": found.mean_r2,
                    "ci95": found.ci95,
                    "targets": dict(zip(named, found.r2, strict=True)),
                    "control": {"r2": beside.mean_r2, "ci95": beside.ci95},
                }


def _play(agent: Agent, exact: Exact, report: ProgressFn) -> dict[str, Any]:
    """What the reflex earns in a game, and what it gives away at each move."""
    report(f"playing {agent.game.name}")
    game = agent.game
    found = estimated_return(exact, lambda keys: decide_at(agent.act, game, keys, 0).action)
    whole = exact.statistic or exact
    optimal, baselines = initial_value(table_of(whole)), baselines_of(whole.game)
    earned = {
        name: expected_return(whole.game, policy_of(whole.game, fn)).value for name, fn in baselines.items()
    }
    yardstick = next(iter(earned.items()), None)
    closed = None
    if yardstick is not None and optimal > yardstick[1]:
        closed = [
            gap_closed(value, baseline=yardstick[1], optimal=optimal) for value in (found.value, *found.ci95)
        ]
    return {
        "game": game.name,
        "optimal": optimal,
        "yardstick": None if yardstick is None else {"name": yardstick[0], "expected_return": yardstick[1]},
        "expected_return": found.value,
        "gap_closed": closed and closed[0],
        "ci95": {"expected_return": found.ci95, "gap_closed": closed and closed[1:]},
        "num_games": found.num_games,
        "regret_by_move": found.regret_by_move,
    }


def _geometry(
    trained: dict[str, np.ndarray], control: dict[str, np.ndarray], told: Told, layers: list[dict[str, Any]]
) -> Geometry:
    """The layer from which the first kind of target is read best, drawn."""
    kind = next(iter(told.targets))
    rows = [row for row in layers if row["kind"] == kind and row["scored_on"] == "others"]
    layer = max(rows, key=lambda row: row["r2"])["layer"]
    name, colour = next(iter(told.targets[kind].items()))
    some = slice(_NUM_SHOWN)
    planes = (principal_plane(each[layer][some]) for each in (trained, control))
    return Geometry(layer, f"{kind}, {name}", colour[some], *planes)


def _boundary(agent: Agent, exact: Exact, told: Told) -> Boundary | None:
    """The reflex's action by two counts; None where the statistic is not two of them."""
    counts = told.targets.get("count", {})
    if len(counts) != 2:
        return None
    first, second = counts
    pairs = np.stack([counts[first], counts[second]], axis=1)
    distinct, place = np.unique(pairs, axis=0, return_inverse=True)
    votes = np.zeros((len(distinct), agent.game.num_actions), int)
    played = decide_at(agent.act, agent.game, told.keys, 0).action
    np.add.at(votes, (place.reshape(-1), played), 1)
    representative = np.unique(place.reshape(-1), return_index=True)[1]
    optimal = exact.moves_fn(told.keys[representative]).optimal.argmax(axis=1)
    names = [action_name_of(agent.game, action) for action in range(agent.game.num_actions)]
    return Boundary((first, second), distinct, votes.argmax(axis=1), optimal, names)
