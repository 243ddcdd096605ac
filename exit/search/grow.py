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
from exit.search.node import Limits, Node, bounds_of, has_bounds, is_legal, node_of, settled
from exit.search.tree import (
    RAW_VALUE,
    UNVISITED,
    VALUE,
    Tree,
    append,
    before_writing,
    empty,
    put_at_actions,
    states_at,
    take,
)

_NARROWEST = 8
"""Lanes below which a batch is not made narrower: the network gains no more."""


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
    roots = expand.root_rows(state, known, value, Limits.of(game), config)
    tree = append(empty(roots, rows, chance=game.num_outcomes > 1), roots, jnp.int32(num_states))
    return Forest(
        tree=tree,
        root=jnp.arange(num_states, dtype=jnp.int32),
        prior_logits=prior_logits,
        explore=explore,
        spent=jnp.zeros(num_states, jnp.int32),
        halving=halving.before_first(num_states, num_actions) if by_rounds(config) else None,
    )


def root_node(forest: Forest, limits: Limits) -> Node:
    """The roots as nodes."""
    return node_of(
        take(forest.tree.prior_logits, forest.root),
        take(forest.tree.edges, forest.root),
        take(forest.tree.facts, forest.root)[:, RAW_VALUE],
        take(forest.tree.nodes, forest.root)[:, VALUE],
        limits,
    )


def root_bounds(forest: Forest, limits: Limits) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """What is proven of the roots; 0 and 0 where the game is over."""
    legal = is_legal(take(forest.tree.prior_logits, forest.root))
    over = ~jnp.any(legal, axis=-1)
    edges = take(forest.tree.edges, forest.root)
    if has_bounds(edges):
        lower, upper = bounds_of(edges)
    else:
        lower, upper = jnp.full(over.shape, limits.low), jnp.full(over.shape, limits.high)
    return jnp.where(over, 0.0, lower), jnp.where(over, 0.0, upper)


def running(forest: Forest, budget: Int[Array, " B"], limits: Limits, config: SearchConfig) -> Bool[Array, " B"]:
    """Trees with budget left to spend and something left to find out."""
    left = forest.spent < budget
    if config.prove:
        left &= ~settled(*root_bounds(forest, limits), limits)
    return left


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

    A batch becomes narrower by half as its trees finish, so that finished ones cost little.

    Args:
      budget: simulations since the root was planted, those before this call included.
    """
    limits = Limits.of(game)
    step_fn = functools.partial(_step, game=game, predict=predict, limits=limits, config=config)
    num_states = budget.shape[0]
    widths = [num_states]
    while widths[-1] > _NARROWEST:
        widths.append((widths[-1] + 1) // 2)
    for width, narrower in zip(widths, [*widths[1:], 0], strict=True):
        # Those with most to do come first: rows of a step that nobody uses are then at its end.
        left = jnp.where(running(forest, budget, limits, config), budget - forest.spent, 0)
        lanes = jnp.argsort(-left, stable=True)[:width].astype(jnp.int32)
        if width == num_states:
            lanes = jnp.arange(num_states, dtype=jnp.int32)

        def crowded(forest: Forest, narrower: int = narrower) -> Bool[Array, ""]:
            return jnp.sum(running(forest, budget, limits, config)) > narrower

        def step(forest: Forest, lanes: Int[Array, " L"] = lanes) -> Forest:
            return step_fn(params, forest, budget, lanes)

        forest = jax.lax.while_loop(crowded, step, forest)
    return forest


def _step(
    params: Params,
    forest: Forest,
    budget: Int[Array, " B"],
    lanes: Int[Array, " L"],
    *,
    game: Game,
    predict: PredictFn,
    limits: Limits,
    config: SearchConfig,
) -> Forest:
    """One simulation in each lane's tree, or one of each action of its round."""
    alive = take(running(forest, budget, limits, config), lanes)
    forest, action, active = _root_actions(forest, budget, lanes, alive, limits, config)
    leaves = action.shape[1]
    root = jnp.repeat(take(forest.root, lanes), leaves)
    action, active = action.reshape(-1), active.reshape(-1)
    if leaves > 1 and lanes.shape[0] > 1:
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
    rows = expand.outcomes(
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
    tree = append(tree, rows, num_used)
    tree = tree._replace(child=put_at_actions(tree.child, descent.row, descent.action, first_row, new))
    leaf = jnp.where(new, first_row, jnp.maximum(descent.below, 0))
    tree = back_up(tree, leaf, ~new, active, limits=limits, config=config, shared_roots=leaves > 1)
    return forest._replace(tree=tree)


def _root_actions(
    forest: Forest,
    budget: Int[Array, " B"],
    lanes: Int[Array, " L"],
    alive: Bool[Array, " L"],
    limits: Limits,
    config: SearchConfig,
) -> tuple[Forest, Int[Array, "L K"], Bool[Array, "L K"]]:
    """Actions that this step simulates at each lane's root, and which of them count."""
    here = forest._replace(
        root=take(forest.root, lanes), explore=take(forest.explore, lanes), spent=take(forest.spent, lanes)
    )
    node, policy = root_node(here, limits), config.policy
    budget = take(budget, lanes)
    if isinstance(policy, Gumbel):
        _, scaled = gumbel.completed_qvalues(node, policy, limits)
        score = gumbel.root_score(here.explore, scaled)
        num_legal = jnp.sum(is_legal(node.prior_logits), axis=-1)
        if forest.halving is not None:
            return _round(forest, node, score, budget, here.spent, num_legal, lanes, alive, policy)
        action = gumbel.halving_action(node, score, budget, here.spent, policy, num_legal=num_legal)
    else:
        action = puct.puct_action(node, policy)
    spent = forest.spent.at[lanes].add(alive, unique_indices=True)
    return forest._replace(spent=spent), action[:, None], alive[:, None]


def _round(
    forest: Forest,
    node: Node,
    score: Float[Array, "L A"],
    budget: Int[Array, " L"],
    spent: Int[Array, " L"],
    num_legal: Int[Array, " L"],
    lanes: Int[Array, " L"],
    alive: Bool[Array, " L"],
    policy: Gumbel,
) -> tuple[Forest, Int[Array, "L K"], Bool[Array, "L K"]]:
    """Of the round's pending actions the best one, or as many at once as the budget allows."""
    assert forest.halving is not None
    before = jax.tree.map(lambda leaf: take(leaf, lanes), forest.halving)
    turn = halving.next_turn(before, score, node.open, budget, num_legal, policy)
    leaves = min(policy.max_num_considered_actions, score.shape[-1]) if policy.rounds else 1
    best, action = jax.lax.top_k(jnp.where(turn.pending, score, -jnp.inf), leaves)
    active = alive[:, None] & (best > -jnp.inf) & (jnp.arange(leaves) < (budget - spent)[:, None])
    rows = jnp.arange(lanes.shape[0])[:, None]
    done = jnp.zeros_like(turn.pending).at[rows, action].set(active)
    turn = turn._replace(pending=turn.pending & ~done)
    after = jax.tree.map(
        lambda new, old: jnp.where(alive.reshape(-1, *[1] * (new.ndim - 1)), new, old), turn, before
    )
    return (
        forest._replace(
            spent=forest.spent.at[lanes].add(jnp.sum(active, axis=-1), unique_indices=True),
            halving=jax.tree.map(
                lambda all_lanes, some: all_lanes.at[lanes].set(some, unique_indices=True),
                forest.halving,
                after,
            ),
        ),
        action,
        active,
    )
