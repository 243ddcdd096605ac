"""A tree learnt from an agent: asked where the tree's own play leads, and where it matters."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float, UInt32

from exit.compile.tree.classify import classify
from exit.compile.tree.grow import Sample, grow
from exit.compile.tree.nodes import Tree, play
from exit.compile.tree.objective import Objective, floored, loss, weights
from exit.compile.tree.prune import prune
from exit.game import Game, State, statistics_of
from exit.solve import states_of

NUM_ROUNDS = 8
_DECIMALS = 6

_ROUNDING = 1e-6
"""Numbers so little apart, or by this share of them, differ by rounding alone."""

_MAX_SCANNED = 20_000_000

SIZES = (3, 5, 7, 11, 15, 23, 31, 47, 63, 95, 127, 191, 255, 383, 511)
"""Sizes of the trees of a frontier, at most."""

RoundFn = Callable[[int, Tree, float], None]
"""Told after each round how many are done, and the best tree so far with what it loses."""


def extract(
    statistics: Float[np.ndarray, "n F"],
    objective: Objective,
    *,
    max_nodes: int | None = None,
    num_rounds: int = NUM_ROUNDS,
    num_attempts: int = 1,
    round_fn: RoundFn | None = None,
) -> Tree:
    """The best tree of several rounds, pruned as far as it costs nothing.

    Each round fits trees to states weighted as the trees before come to them (S. Ross et al. 2011, DAgger),
    the first one as the agent does: one tree by what wrong moves cost, one by the agent's moves alone.

    Args:
      max_nodes: tests and leaves at most; None is as many as are needed.
      num_attempts: trees to prune, the others grown with weights and purities drawn at random; the best
        one counts, of equals the smallest.
    """
    most = max_nodes or 2 * len(objective.agent)
    growers = [grow, classify] if objective.cost.size * statistics.shape[1] <= _MAX_SCANNED else [classify]
    best, least = None, np.inf
    mixed = weights(objective, objective.agent)
    for round_ in range(num_rounds):
        trees = [grower(_sample(statistics, objective, mixed), most) for grower in growers]
        losses = [loss(objective, play(tree, statistics)) for tree in trees]
        leading = int(np.argmin(losses))
        if losses[leading] < least:
            best, least = trees[leading], losses[leading]
        if round_fn is not None and best is not None:
            round_fn(round_ + 1, best, least)
        if least <= 0:
            break
        mixed += (weights(objective, play(trees[leading], statistics)) - mixed) / (round_ + 2)
    assert best is not None
    pruned = [prune(best, statistics, objective)]
    for attempt in range(1, num_attempts):
        pruned.append(prune(_another(statistics, objective, mixed, most, attempt), statistics, objective))
    return min(pruned, key=lambda tree: (_lost(tree, statistics, objective), tree.num_nodes))


def extract_within(
    statistics: Float[np.ndarray, "n F"],
    objective: Objective,
    max_nodes: int,
    *,
    num_attempts: int = 1,
    round_fn: RoundFn | None = None,
) -> Tree:
    """The best tree of at most `max_nodes` nodes of all those of `SIZES` up to twice as large, pruned.

    Larger trees are not always better, and what a larger one is pruned to may be small enough.
    """
    asked = extract(statistics, objective, max_nodes=max_nodes, num_attempts=num_attempts, round_fn=round_fn)
    trees = [asked]
    for size in SIZES:
        if size != max_nodes and size <= 2 * max_nodes:
            tree = extract(statistics, objective, max_nodes=size)
            trees += [tree] if tree.num_nodes <= max_nodes else []
    return min(trees, key=lambda tree: (_lost(tree, statistics, objective), tree.num_nodes))


def _another(
    statistics: Float[np.ndarray, "n F"],
    objective: Objective,
    mixed: Float[np.ndarray, " n"],
    most: int,
    seed: int,
) -> Tree:
    """A tree grown as if other states mattered more or less than they do."""
    rng = np.random.default_rng(seed)
    sample = _sample(statistics, objective, mixed * np.exp(rng.normal(size=len(mixed))))
    return grow(sample, most, float(np.exp(rng.uniform(np.log(0.01), 0.0))))


def _lost(tree: Tree, statistics: Float[np.ndarray, "n F"], objective: Objective) -> float:
    """What a tree loses, without what rounding may make of nothing."""
    return round(loss(objective, play(tree, statistics)), 12)


def _sample(
    statistics: Float[np.ndarray, "n F"], objective: Objective, mixed: Float[np.ndarray, " n"]
) -> Sample:
    cost = objective.cost * floored(mixed)[:, None]
    return Sample(statistics, cost, objective.agent, cost.max(axis=1))


def statistics_at(game: Game, keys: UInt32[np.ndarray, "n K"]) -> Float[np.ndarray, "n F"]:
    """The statistics of the states of keys; numbers that rounding alone may tell apart are one."""
    found = np.asarray(_statistics(game, states_of(game, keys)), np.float64)
    return np.stack([_without_rounding(column) for column in found.T], axis=1)


def _without_rounding(column: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Numbers, of which those that hardly differ from the next become the middle one of their run."""
    values, place = np.unique(column, return_inverse=True)
    run = np.cumsum(np.diff(values, prepend=values[0]) > _ROUNDING * np.maximum(np.abs(values), 1.0))
    middle = np.bincount(run, values) / np.bincount(run)
    return np.round(middle, _DECIMALS)[run][place.reshape(-1)]


@functools.partial(jax.jit, static_argnames="game")
def _statistics(game: Game, states: State) -> Float[Array, "n F"]:
    return jax.vmap(lambda state: statistics_of(game, state))(states)
