"""The frontier: what thinking buys, agent by agent and budget by budget, against all that it costs."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.cost import Flops, flops_of, latencies
from exit.errors import UsageError, UserError
from exit.evaluate import (
    ActFn,
    Acts,
    CriticalStates,
    Frontier,
    Strength,
    Yardstick,
    critical_states,
    exchange_rate,
    frontier_rows,
    measure_frontier,
    percentile_interval,
    promised_mean,
    regret_strength,
    resample,
    rows_of,
    yardstick,
)
from exit.learner import flops_of_optimizer
from exit.logs import read_metrics
from exit.ratings import Rated, rate, require_opponent
from exit.solve import Exact

MAX_STATES = 4096
"""Critical states that are measured, unless there are fewer."""

_MIN_OPENINGS = 10

NUM_CALLS = 24
"""Single calls that are timed at each budget."""

ProgressFn = Callable[[str, int, int], None]
"""Told what is measured, how much of it is done, and how much there is."""


def frontier(
    agents: Sequence[Agent],
    exact: Exact,
    budgets: Sequence[int],
    *,
    max_states: int = MAX_STATES,
    num_calls: int = NUM_CALLS,
    elo_openings: int = 0,
    seed: int = 0,
    acts_of: Callable[[Agent], Acts] | None = None,
    progress_fn: ProgressFn | None = None,
) -> dict[str, Any]:
    """Exact regret and mistakes of agents of one game at each budget, and what each budget costs.

    Args:
      budgets: simulations a state, each within every agent's capacity.
      max_states: critical states to measure on.
      num_calls: single calls timed at each budget; 0 times none.
      elo_openings: openings that agents at budgets play each other from, for Elo ratings; 0 for none.
      acts_of: who acts for an agent in batches; it does itself if left out, and always in single calls.

    Returns:
      The figures of `xit frontier --json`.

    Raises:
      UsageError: there is no agent, agents play different games, a budget is over a capacity, or games for
        Elo ratings are asked for where there is no opponent.
      UserError: the game has no critical state.
    """
    started = time.perf_counter()
    report = progress_fn or (lambda what, done, total: None)
    _require_one_game(agents)
    if elo_openings:
        require_opponent(exact.game)
    states = measured_states(exact, max_states, seed)
    measured = yardstick(exact, states.keys)
    counts = resample(states.stratum, seed=seed)
    act_fns = [agent.act if acts_of is None else acts_of(agent).act for agent in agents]
    rows, found, costs = [], [], []
    for number, agent in enumerate(agents, start=1):

        def part(what: str, done: int, total: int, number: int = number) -> None:
            report(f"agent {number} of {len(agents)}, {what}", done, total)

        row, curve, flops = _measure(
            agent, act_fns[number - 1], measured, budgets, states, counts, num_calls, part
        )
        rows.append(row)
        found.append(curve)
        costs.append(flops)
    by_regret = regret_strength(np.stack([each.regret for each in found]), greatest_regret(measured), counts)
    rated = _rated(agents, act_fns, rows, elo_openings, seed, report)
    return {
        "game": exact.game.name,
        "solver": exact.solver,
        "hardware": hardware(),
        "positions": {
            "kind": f"critical, {states.kind}",
            "count": len(states.keys),
            "strata": len(set(states.stratum.tolist())),
        },
        "agents": rows,
        "elo": rated and {"openings": rated.num_openings, "games": rated.num_games},
        "exchange": _exchange(rows, found, costs, by_regret),
        "exchange_elo": rated and _exchange(rows, found, costs, _where(by_regret, rated.strength)),
        "greatest_regret": greatest_regret(measured),
        "provenance": provenance(agents[0]) | {"seconds": time.perf_counter() - started},
    }


def measured_states(exact: Exact, max_states: int, seed: int = 0) -> CriticalStates:
    """Critical states of the game; UserError where it has none."""
    states = critical_states(exact, max_states, seed=seed)
    if not len(states.keys):
        raise UserError(f"{exact.game.name} has no position in which a move is a mistake; take another game")
    return states


def greatest_regret(measured: Yardstick) -> float:
    """The most that a legal move gives away in any of the states."""
    moves = measured.moves
    return float(moves.regrets[moves.legal].max(initial=0.0))


def _require_one_game(agents: Sequence[Agent]) -> None:
    if not agents:
        raise UsageError("give at least one agent")
    games = {agent.game.name for agent in agents}
    if len(games) > 1:
        raise UsageError(f"the agents play {', '.join(sorted(games))}; give agents of one game")


def _measure(
    agent: Agent,
    act_fn: ActFn,
    measured: Yardstick,
    budgets: Sequence[int],
    states: CriticalStates,
    counts: Int[np.ndarray, "R n"],
    num_calls: int,
    report: ProgressFn,
) -> tuple[dict[str, Any], Frontier, Flops]:
    """One agent's figures, what it did, and what its operations are."""
    curve = measure_frontier(
        act_fn,
        measured,
        budgets,
        progress_fn=lambda budget, done, total: report(f"budget {budget}, positions", done, total),
    )
    flops = flops_of(agent)
    rows = frontier_rows(curve, None if states.complete else counts)
    bounds = promised_mean(curve.regret, greatest_regret(measured), complete=states.complete)
    for row, bound in zip(rows, bounds, strict=True):
        row["flops"] = float(flops.of_search(row["mean_simulations"]))
        row["promised_regret"] = float(bound)
    if num_calls:
        # In random order, as the states stand in no order of their own that calls would follow.
        some = np.random.default_rng(0).permutation(len(states.keys))[:num_calls]
        spent = latencies(
            agent.act,
            rows_of(measured.states, some),
            [row["budget"] for row in rows],
            calls=num_calls,
            progress_fn=lambda done, total: report("single calls", done, total),
        )
        for row, calls in zip(rows, spent, strict=True):
            row["latency_ms"] = latency_figures(calls)
    described = {
        "run": str(agent.source),
        "config": " ".join([agent.info.config_name, *agent.info.overrides]),
        "iteration": agent.step,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(agent.params)),
        "flops": flops._asdict(),
        "training": training_cost(agent, flops),
        "budgets": rows,
    }
    return described, curve, flops


def latency_figures(calls: Float[np.ndarray, " calls"]) -> dict[str, float]:
    """Median and 95th percentile of the milliseconds of single calls."""
    return {"median": float(np.median(calls)), "p95": float(np.quantile(calls, 0.95))}


def training_cost(agent: Agent, flops: Flops) -> dict[str, float] | None:
    """What an agent's training had cost when it was kept; None for an agent whose run is not at hand.

    Returns:
      `positions` of self-play; mean `simulations` of each; `examples` learned from; `seconds` of wall time;
      `flops` of all that.
    """
    if not agent.source.is_dir():
        return None
    rows = [row for row in read_metrics(agent.source) if int(row["iteration"] or 0) <= agent.step]
    if not rows or rows[-1]["iteration"] != agent.step:
        return None
    iterations = np.array([float(row["iteration"] or 0) for row in rows])
    simulations = np.array([float(row.get("simulations") or 0) for row in rows])
    # A report is of its last iteration; it stands for those since the report before.
    mean = float(np.average(simulations, weights=np.diff(iterations, prepend=0)))
    positions = float(rows[-1]["positions"] or 0)
    learner = agent.config.learner
    updates = agent.step * learner.num_updates
    examples = float(updates * learner.batch_size)
    optimizing = updates * flops_of_optimizer(agent.params, learner)
    return {
        "positions": positions,
        "simulations": mean,
        "examples": examples,
        "seconds": float(rows[-1]["seconds"] or 0),
        "flops": flops.of_training(positions, mean, examples) + optimizing,
    }


def _rated(
    agents: Sequence[Agent],
    act_fns: Sequence[ActFn],
    rows: Sequence[dict[str, Any]],
    num_openings: int,
    seed: int,
    report: ProgressFn,
) -> Rated | None:
    """Elo ratings, written into the rows as well; None where none are asked for."""
    if not num_openings:
        return None
    budgets = [row["budget"] for row in rows[0]["budgets"]]
    regret = np.array([[row["mean_regret"] for row in each["budgets"]] for each in rows])
    rated = rate(agents, act_fns, budgets, regret, num_openings=num_openings, seed=seed, progress_fn=report)
    for index, column in np.ndindex(regret.shape):
        row = rows[index]["budgets"][column]
        row["elo"] = float(rated.strength.found[index, column])
        # Of fewer openings resamples may all be alike, and would show no doubt.
        some = rated.num_openings >= _MIN_OPENINGS
        row["ci95"]["elo"] = percentile_interval(rated.strength.resampled[index, column]) if some else None
    return rated


def _where(known: Strength, strength: Strength) -> Strength:
    """Strength where another one is known as well, so that both are fitted to the same points."""
    where = np.isfinite(known.found)
    return Strength(
        np.where(where, strength.found, np.inf), np.where(where[..., None], strength.resampled, np.inf)
    )


def _exchange(
    rows: Sequence[dict[str, Any]], found: Sequence[Frontier], costs: Sequence[Flops], strength: Strength
) -> dict[str, Any] | None:
    """The exchange rate over the agents whose training is known; None for fewer than two of them."""
    known = [index for index, row in enumerate(rows) if row["training"]]
    if len(known) < 2:
        return None
    test = np.array([costs[index].of_search(found[index].simulations.mean(-1)) for index in known])
    train = np.array([rows[index]["training"]["flops"] for index in known])
    usable = np.broadcast_to(found[0].budgets > 0, test.shape)
    fit = exchange_rate(train, test, Strength(*(each[known] for each in strength)), usable)
    return None if fit is None else fit | {"agents": known}
