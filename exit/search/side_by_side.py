"""One state, many cores: the search below each root action is a tree of its own, shared among the devices.

Sequential halving asks for so many simulations of each action in the running, and looks at what they have
found only when all are done. Below different actions nothing is shared. So every device is given some of
the actions, neighbours in the prior's order to different devices, and works alone until the level is over,
or for some rounds if it is long: then proofs are heard of, and those who ask to stop.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.devices import Team, gathered
from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search import forest as forests
from exit.search import gumbel, halving
from exit.search.config import Gumbel, SearchConfig
from exit.search.forest import Findings, Forest
from exit.search.grow import StopFn, grow
from exit.search.halving import Halving
from exit.search.node import Limits, Node, beaten, bounds_of, is_legal, settled
from exit.search.tree import node_at

_ROUNDS = 64
"""Rounds that devices work alone at most."""


class SideBySide(NamedTuple):
    """The searches at B roots, T trees for each on each of D devices.

    Attributes:
      forest: this device's trees, those of one root in a run; each simulates one action.
      order: actions dealt to the trees of all devices, `[:, t * D + d]` to tree t of device d; A for none.
      node: the roots, put together from all trees.
      prior_logits, explore: of each root, as in `Forest`.
      halving: how far it is.
    """

    forest: Forest
    order: Int[Array, "B TD"]
    node: Node
    prior_logits: Float[Array, "B A"]
    explore: Float[Array, "B A"]
    halving: Halving


def num_rows(num_states: int, budget: int, num_devices: int, game: Game) -> int:
    """Rows that are enough on each device, wherever the simulations are."""
    trees = num_states * num_trees(game.num_actions, num_devices)
    return trees + (num_states * budget + trees) * game.num_outcomes


def num_trees(num_actions: int, num_devices: int) -> int:
    """Trees of each device at one root."""
    return -(-num_actions // num_devices)


def plant(
    team: Team,
    state: State,
    prior_logits: Float[Array, "B A"],
    value: Float[Array, " B"],
    explore: Float[Array, "B A"],
    rows: int,
    *,
    game: Game,
    config: SearchConfig,
) -> SideBySide:
    """Trees that are nothing but their roots, with room for `rows` rows on each device."""
    num_states, num_actions = explore.shape
    trees = num_trees(num_actions, team.count)
    order = deal(prior_logits, explore, team.count)
    repeated = jax.tree.map(
        lambda leaf: jnp.repeat(leaf, trees, axis=0), (state, prior_logits, value, explore)
    )
    forest = forests.plant(*repeated, rows=rows, game=game, config=config)
    own = order.reshape(num_states, trees, team.count)[:, :, team.index].reshape(-1)
    forest = forest._replace(only_action=jnp.minimum(own, num_actions - 1), halving=None)
    start = halving.before_first(num_states, num_actions)
    roots = node_at(forest.tree, forest.root[::trees])
    return SideBySide(forest, order, roots, prior_logits, explore, start)


def deal(
    prior_logits: Float[Array, "B A"], explore: Float[Array, "B A"], num_devices: int
) -> Int[Array, "B TD"]:
    """The actions, the most likely first; A in the places left over."""
    num_actions = explore.shape[-1]
    order = jnp.argsort(jnp.where(is_legal(prior_logits), -explore, jnp.inf), axis=-1).astype(jnp.int32)
    beyond = num_trees(num_actions, num_devices) * num_devices - num_actions
    return jnp.pad(order, ((0, 0), (0, beyond)), constant_values=num_actions)


def grow_side_by_side(
    team: Team,
    params: Params,
    trees: SideBySide,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
    stop_fn: StopFn | None = None,
) -> SideBySide:
    """As `grow`; `stop_fn` is asked when the devices meet."""
    policy, limits = config.policy, Limits.of(game)
    assert isinstance(policy, Gumbel)

    def unfinished(trees: SideBySide) -> Bool[Array, " B"]:
        found = findings(trees, limits)
        left = (found.spent < budget) & jnp.any(is_legal(trees.prior_logits), axis=-1)
        if config.prove:
            left &= ~settled(found.lower, found.upper, limits)
        return left if stop_fn is None else left & ~stop_fn(found)

    def meet(trees: SideBySide) -> SideBySide:
        _, scaled = gumbel.completed_qvalues(trees.node, policy, limits)
        score = gumbel.root_score(trees.explore, scaled)
        level = halving.present_level(trees.halving, score, trees.node, budget, policy, limits)
        left = jnp.where(unfinished(trees), budget - _spent(trees), 0)
        more = halving.shares(level, score, trees.node, left, limits, _ROUNDS)
        goal = trees.forest.spent + _of_own_trees(team, trees, more)
        forest = grow(params, trees.forest, goal, game=game, predict=predict, config=config)
        trees = trees._replace(forest=forest, halving=level)
        return trees._replace(node=_put_together(team, trees, limits))

    return jax.lax.while_loop(lambda trees: jnp.any(unfinished(trees)), meet, trees)


def findings(trees: SideBySide, limits: Limits) -> Findings:
    """What the trees say of their roots."""
    bounds = bounds_of(trees.node, limits)
    return Findings(trees.node, trees.prior_logits, trees.explore, *bounds, _spent(trees))


def _spent(trees: SideBySide) -> Int[Array, " B"]:
    return jnp.sum(trees.node.visits, axis=-1).astype(jnp.int32)


def _of_own_trees(team: Team, trees: SideBySide, of_actions: Int[Array, "B A"]) -> Int[Array, " BT"]:
    """What this device's trees have of something that each action has; 0 for those without an action."""
    padded = jnp.pad(of_actions, ((0, 0), (0, 1)))
    dealt = jnp.take_along_axis(padded, trees.order, axis=-1)
    return dealt.reshape(dealt.shape[0], -1, team.count)[:, :, team.index].reshape(-1)


def _put_together(team: Team, trees: SideBySide, limits: Limits) -> Node:
    """The roots, each action's statistics from the tree that simulates it."""
    forest, node = trees.forest, trees.node
    assert forest.only_action is not None
    at_own = (jnp.arange(forest.root.shape[0]), forest.only_action)
    roots = node_at(forest.tree, forest.root)
    names = [name for name in ("visits", "qvalues", "lower", "upper") if getattr(roots, name) is not None]
    own = jnp.stack([getattr(roots, name)[at_own] for name in names])
    num_states, num_actions = node.visits.shape
    every = gathered(team, own).reshape(team.count, len(names), num_states, -1)
    every = jnp.moveaxis(every, 0, -1).reshape(len(names), num_states, -1)
    rows = jnp.arange(num_states)[:, None]
    nothing = jnp.zeros((num_states, num_actions + 1))
    columns = {
        name: nothing.at[rows, trees.order].set(found)[:, :num_actions]
        for name, found in zip(names, every, strict=True)
    }
    node = node._replace(**columns)
    counted = jnp.where(beaten(node, limits), 0.0, node.visits)
    total = node.raw_value + jnp.sum(counted * node.qvalues, axis=-1)
    return node._replace(value=jnp.clip(total / (1.0 + jnp.sum(counted, axis=-1)), *bounds_of(node, limits)))
