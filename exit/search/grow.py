"""Growing a forest: many simulations side by side, until every tree has had its budget."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search import expand, gumbel, halving, puct
from exit.search.backup import back_up
from exit.search.config import PUCT, Gumbel, SearchConfig
from exit.search.descent import Descent, descend
from exit.search.halving import Halving
from exit.search.node import Limits, bounds_of, is_legal, open_actions, settled
from exit.search.tree import (
    OVER,
    UNVISITED,
    Tree,
    append,
    before_writing,
    empty,
    node_at,
    put_action,
    states_at,
    take,
)


class Forest(NamedTuple):
    """B trees that grow side by side.

    Attributes:
      tree: the pool they grow in.
      root: row of each root.
      prior_logits: of each root, the network's.
      explore: the same with noise, what the root explores by.
      spent: simulations of each tree since its root was planted.
      halving: how far sequential halving by rounds is; None for other policies.
    """

    tree: Tree
    root: Int[Array, " B"]
    prior_logits: Float[Array, "B A"]
    explore: Float[Array, "B A"]
    spent: Int[Array, " B"]
    halving: Halving | None


def by_rounds(config: SearchConfig) -> bool:
    """Whether the root is searched in rounds of sequential halving."""
    return isinstance(config.policy, Gumbel) and (config.policy.rounds or config.policy.anytime)


def num_leaves(game: Game, config: SearchConfig) -> int:
    """Leaves that one step collects in one tree."""
    if isinstance(config.policy, Gumbel) and config.policy.rounds:
        return min(config.policy.max_num_considered_actions, game.num_actions)
    return 1


def num_rows(num_states: int, budget: int, game: Game, config: SearchConfig) -> int:
    """Rows that are enough for so many simulations of each state: roots, simulations, a step's free rows."""
    return num_states * (1 + (budget + num_leaves(game, config)) * game.num_outcomes)


def plant(
    state: State,
    prior_logits: Float[Array, "B A"],
    value: Float[Array, " B"],
    explore: Float[Array, "B A"],
    rows: int,
    *,
    game: Game,
    config: SearchConfig,
) -> Forest:
    """Trees that are nothing but their roots, with room for `rows` rows in all."""
    num_states, num_actions = explore.shape
    # PUCT knows the noise as prior; Gumbel search adds it to the score.
    known = prior_logits
    if isinstance(config.policy, PUCT):
        known = expand.legal_logits(explore, is_legal(prior_logits))
    roots = expand.root_nodes(state, known, value, Limits.of(game), config)
    tree = append(empty(roots, rows), roots, jnp.int32(num_states))
    return Forest(
        tree=tree,
        root=jnp.arange(num_states, dtype=jnp.int32),
        prior_logits=prior_logits,
        explore=explore,
        spent=jnp.zeros(num_states, jnp.int32),
        halving=halving.before_first(num_states, num_actions) if by_rounds(config) else None,
    )


def grow(
    params: Params,
    forest: Forest,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> Forest:
    """Simulate until every tree has spent its budget or is proven.

    A number of lanes work side by side; a lane whose tree is finished takes up the next one, those with
    the most to do first. So a tree that is finished costs nothing, whatever the others still have to do.

    Args:
      budget: simulations since the root was planted, those before this call included.
    """
    limits = Limits.of(game)
    left = jnp.where(_running(forest, budget, limits, config), budget - forest.spent, 0)
    queue = jnp.argsort(-left, stable=True).astype(jnp.int32)
    num_queued = jnp.sum(left > 0)
    num_lanes = min(budget.shape[0], max(1, _num_lanes() // num_leaves(game, config)))

    def alive_fn(work: _Work) -> Bool[Array, ""]:
        return jnp.any(work.alive)

    def step(work: _Work) -> _Work:
        forest = _step(
            params, work.forest, budget, work, game=game, predict=predict, limits=limits, config=config
        )
        alive = work.alive & _running(_some(forest, work.lane), take(budget, work.lane), limits, config)
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


def _num_lanes() -> int:
    """Lanes that keep the device busy: a CPU gains nothing from more, and other devices can use them all."""
    return 32 if jax.default_backend() == "cpu" else 1 << 30


def _running(
    forest: Forest, budget: Int[Array, " B"], limits: Limits, config: SearchConfig
) -> Bool[Array, " B"]:
    """Trees with budget left to spend and something left to find out."""
    left = forest.spent < budget
    if config.prove:
        left &= ~settled(*bounds_of(node_at(forest.tree, forest.root), limits), limits)
    return left & (take(forest.tree.nodes.next_action, forest.root) != OVER)


def _some(forest: Forest, lane: Int[Array, " L"]) -> Forest:
    """The same forest with only some of its roots."""
    return forest._replace(
        root=take(forest.root, lane),
        prior_logits=take(forest.prior_logits, lane),
        explore=take(forest.explore, lane),
        spent=take(forest.spent, lane),
        halving=jax.tree.map(lambda leaf: take(leaf, lane), forest.halving),
    )


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
    """One simulation in each lane's tree, or one of each action of its round."""
    forest, action, active = _root_actions(forest, budget, work, limits, config)
    leaves = action.shape[1]
    root = jnp.repeat(take(forest.root, work.lane), leaves)
    action, active = action.reshape(-1), active.reshape(-1)
    if active.shape[0] > 1 and active.shape[0] != budget.shape[0]:
        # Those that count come first, so that no row is left unused.
        order = jnp.argsort(~active, stable=True)
        root, action, active = take(root, order), take(action, order), take(active, order)
    tree = forest.tree

    def look(
        root: Int[Array, " W"], action: Int[Array, " W"]
    ) -> tuple[Descent, State]:
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
    )
    new = active & (descent.below == UNVISITED)
    place = jnp.arange(new.shape[0], dtype=jnp.int32)
    first_row = tree.size + place * limits.num_outcomes
    num_used = limits.num_outcomes * jnp.max(jnp.where(new, place + 1, 0))
    tree = append(tree, nodes, num_used)
    child = put_action(tree.nodes.child, descent.row, descent.action, first_row, new)
    tree = tree._replace(nodes=tree.nodes._replace(child=child))
    leaf = jnp.where(new, first_row, jnp.maximum(descent.below, 0))
    tree = back_up(tree, leaf, ~new, active, limits=limits, config=config, shared_roots=leaves > 1)
    return forest._replace(tree=tree)


def _root_actions(
    forest: Forest, budget: Int[Array, " B"], work: _Work, limits: Limits, config: SearchConfig
) -> tuple[Forest, Int[Array, "L K"], Bool[Array, "L K"]]:
    """Actions that this step simulates at each lane's root, and which of them count."""
    here, policy, budget = _some(forest, work.lane), config.policy, take(budget, work.lane)
    node = node_at(here.tree, here.root)
    turn = here.halving
    if isinstance(policy, Gumbel):
        _, scaled = gumbel.completed_qvalues(node, policy, limits)
        score = gumbel.root_score(here.explore, scaled)
        if here.halving is not None:
            turn = halving.next_turn(
                here.halving,
                score,
                open_actions(node, limits),
                budget,
                gumbel.num_considered(node, policy),
                policy,
            )
            leaves = min(policy.max_num_considered_actions, score.shape[-1]) if policy.rounds else 1
            turn, action, active = halving.take_turn(turn, score, budget - here.spent, leaves, work.alive)
        else:
            action = gumbel.halving_action(node, score, budget, here.spent, policy, limits)
            action, active = action[:, None], work.alive[:, None]
    else:
        action, active = puct.puct_action(node, policy, limits)[:, None], work.alive[:, None]

    def put_back(all_lanes: Array, some: Array) -> Array:
        return all_lanes.at[work.lane].set(some, unique_indices=True)

    spent = here.spent + jnp.sum(active, axis=-1)
    forest = forest._replace(
        spent=put_back(forest.spent, spent), halving=jax.tree.map(put_back, forest.halving, turn)
    )
    return forest, action, active
