"""Growing a forest: many simulations side by side, until every tree has had its budget."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from exit.devices import on_cpu
from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search import expand, gumbel, halving, puct
from exit.search.backup import back_up
from exit.search.config import Gumbel, SearchConfig
from exit.search.descent import Descent, descend
from exit.search.forest import Findings, Forest, findings, some_trees
from exit.search.node import Limits, settled
from exit.search.tree import OVER, UNVISITED, append, before_writing, node_at, put_action, states_at, take

StopFn = Callable[[Findings], Bool[Array, " B"]]
"""Asked before every simulation, told of some roots: True where enough has been thought."""


def grow(
    params: Params,
    forest: Forest,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
    stop_fn: StopFn | None = None,
    alike: bool = False,
) -> Forest:
    """Simulate until every tree has spent its budget, is proven, or `stop_fn` says so.

    A number of lanes work side by side; a lane whose tree is finished takes up the next one, those with
    the most to do first. So a tree that is finished costs nothing, whatever the others still have to do.

    Args:
      budget: simulations since the root was planted, those before this call included.
      alike: the trees have as much to do.
    """
    limits = Limits.of(game)

    def running(forest: Forest, budget: Int[Array, " B"]) -> Bool[Array, " B"]:
        return _running(forest, budget, limits, config, stop_fn)

    left = jnp.where(running(forest, budget), budget - forest.spent, 0)
    queue = jnp.argsort(-left, stable=True).astype(jnp.int32)
    num_queued = jnp.sum(left > 0)
    # As few turns as the lanes allow, and then as few lanes as so many turns need.
    num_turns = -(-budget.shape[0] // _max_lanes(alike))
    num_lanes = -(-budget.shape[0] // num_turns)

    def alive_fn(work: _Work) -> Bool[Array, ""]:
        return jnp.any(work.alive)

    def step(work: _Work) -> _Work:
        forest = _step(
            params, work.forest, budget, work, game=game, predict=predict, limits=limits, config=config
        )
        alive = work.alive & running(some_trees(forest, work.lane), take(budget, work.lane))
        if num_lanes == budget.shape[0]:
            return work._replace(forest=forest, alive=alive)
        ticket = work.num_taken + jnp.cumsum(~alive) - 1
        fresh = ~alive & (ticket < num_queued)
        lane = jnp.where(fresh, take(queue, jnp.minimum(ticket, budget.shape[0] - 1)), work.lane)
        return _Work(forest, lane, alive | fresh, work.num_taken + jnp.sum(fresh))

    lane = queue[:num_lanes]
    if num_lanes == budget.shape[0]:
        lane = jnp.arange(num_lanes, dtype=jnp.int32)
    work = _Work(forest, lane, take(left, lane) > 0, jnp.int32(num_lanes))
    return jax.lax.while_loop(alive_fn, step, work).forest


class _Work(NamedTuple):
    """Which trees are being grown.

    Attributes:
      lane: tree of each of L lanes, all different.
      alive: lanes whose tree is not finished.
      num_taken: how much of the queue has been taken up.
    """

    forest: Forest
    lane: Int[Array, " L"]
    alive: Bool[Array, " L"]
    num_taken: Int[Array, ""]


def _max_lanes(alike: bool) -> int:
    """Lanes that keep the device busy: a core gains little from more, and other devices can use them all.

    With fewer lanes less is wasted while the last trees of a batch with mixed budgets are being finished.
    Trees that end together waste nothing, and the more positions a perceptron sees at once the cheaper they
    are.
    """
    if not on_cpu():
        return 1 << 30
    return 64 if alike else 24


def _running(
    forest: Forest,
    budget: Int[Array, " B"],
    limits: Limits,
    config: SearchConfig,
    stop_fn: StopFn | None,
) -> Bool[Array, " B"]:
    """Trees with budget left to spend and something left to find out."""
    found = findings(forest, limits)
    left = forest.spent < budget
    if found.node.lower is not None and found.node.upper is not None:
        lower, upper = found.lower, found.upper
        if forest.only_action is not None:
            own = (jnp.arange(left.shape[0]), forest.only_action)
            lower, upper = found.node.lower[own], found.node.upper[own]
        left &= ~settled(lower, upper, limits)
    if stop_fn is not None:
        left &= ~stop_fn(found)
    return left & (take(forest.tree.nodes.next_action, forest.root) != OVER)


def _step(
    params: Params,
    forest: Forest,
    budget: Int[Array, " B"],
    work: _Work,
    *,
    game: Game,
    predict: PredictFn,
    limits: Limits,
    config: SearchConfig,
) -> Forest:
    """One simulation in each lane's tree."""
    forest, root, action = _root_actions(forest, budget, work, limits, config)
    active, num_wanted, few = work.alive, None, None
    if work.lane.shape[0] < budget.shape[0] or forest.only_action is not None:
        # Those that count come first, so that no row is left unused.
        order = jnp.argsort(~active, stable=True)
        root, action, active = take(root, order), take(action, order), take(active, order)
    if forest.only_action is not None and on_cpu():
        # Levels end for all actions at about the same time: often most lanes have nothing to do. A GPU
        # evaluates a few rows as fast as one.
        num_wanted = jnp.sum(active, dtype=jnp.int32)
    elif work.lane.shape[0] < budget.shape[0] and on_cpu():
        # The last trees of a batch may have long to go.
        num_wanted, few = jnp.sum(active, dtype=jnp.int32), work.lane.shape[0] // 3
    tree = forest.tree

    def look(root: Int[Array, " W"], action: Int[Array, " W"]) -> tuple[Descent, State]:
        descent = descend(tree, root, action, limits)
        return descent, states_at(tree, descent.row)

    (descent, state), (active, size) = before_writing(look, (root, action), (active, tree.size))
    tree = tree._replace(size=size)
    nodes = expand.outcomes(
        params,
        state,
        descent.action,
        descent.row,
        game=game,
        predict=predict,
        limits=limits,
        config=config,
        num_wanted=num_wanted,
        few=few,
    )
    new = active & (descent.below == UNVISITED)
    place = jnp.arange(new.shape[0], dtype=jnp.int32)
    first_row = tree.size + place * limits.num_outcomes
    num_used = limits.num_outcomes * jnp.max(jnp.where(new, place + 1, 0))
    tree = append(tree, nodes, num_used)
    child = put_action(tree.nodes.child, descent.row, descent.action, first_row, new)
    tree = tree._replace(nodes=tree.nodes._replace(child=child))
    leaf = jnp.where(new, first_row, jnp.maximum(descent.below, 0))
    return forest._replace(tree=back_up(tree, leaf, ~new, active, limits=limits, config=config))


def _root_actions(
    forest: Forest, budget: Int[Array, " B"], work: _Work, limits: Limits, config: SearchConfig
) -> tuple[Forest, Int[Array, " L"], Int[Array, " L"]]:
    """Root of each lane's tree, and the action that its next simulation follows there."""
    here, policy, budget = some_trees(forest, work.lane), config.policy, take(budget, work.lane)
    turn = here.halving
    if here.only_action is not None:
        action = here.only_action
    elif isinstance(policy, Gumbel):
        node = node_at(here.tree, here.root)
        _, scaled = gumbel.completed_qvalues(node, policy, limits)
        score = gumbel.root_score(here.explore, scaled)
        if turn is not None:
            turn = halving.present_level(turn, score, node, budget, policy, limits)
            action = halving.next_action(turn, score, node, limits)
        else:
            action = gumbel.halving_action(node, score, budget, here.spent, policy, limits)
    else:
        action = puct.puct_action(node_at(here.tree, here.root), policy, limits)

    def put_back(all_lanes: Array, some: Array) -> Array:
        return all_lanes.at[work.lane].set(some, unique_indices=True)

    forest = forest._replace(
        spent=put_back(forest.spent, here.spent + work.alive),
        halving=jax.tree.map(put_back, forest.halving, turn),
    )
    return forest, here.root, action
