"""A batch of trees, and what they say of their roots."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from exit.game import Game, State
from exit.search import expand, halving
from exit.search.config import PUCT, Gumbel, SearchConfig
from exit.search.halving import Halving
from exit.search.node import Limits, Node, bounds_of, is_legal
from exit.search.tree import Tree, append, empty, node_at, take


class Forest(NamedTuple):
    """B trees that grow side by side.

    Attributes:
      tree: the pool they grow in.
      root: row of each root.
      prior_logits: of each root, the network's.
      explore: the same with noise, what the root explores by.
      spent: simulations of each tree since its root was planted.
      halving: how far sequential halving level by level is; None for other policies.
      only_action: the only action that is simulated at each root; None where the policy chooses.
    """

    tree: Tree
    root: Int[Array, " B"]
    prior_logits: Float[Array, "B A"]
    explore: Float[Array, "B A"]
    spent: Int[Array, " B"]
    halving: Halving | None
    only_action: Int[Array, " B"] | None = None


def by_levels(config: SearchConfig) -> bool:
    """Whether the root is searched level by level, not by a schedule of single visits."""
    return isinstance(config.policy, Gumbel) and config.policy.anytime


def num_rows(num_states: int, budget: int, game: Game) -> int:
    """Rows that are enough for so many simulations of each state: roots, simulations, a step's free rows."""
    return num_states * (1 + (budget + 1) * game.num_outcomes)


def plant(
    state: State,
    prior_logits: Float[Array, "B A"],
    value: Float[Array, " B"],
    explore: Float[Array, "B A"],
    *,
    rows: int,
    game: Game,
    config: SearchConfig,
    max_visits: int | None = None,
) -> Forest:
    """Trees that are nothing but their roots, with room for `rows` rows in all.

    Args:
      max_visits: simulations that none of them will have more of, where that is known.
    """
    num_states, num_actions = explore.shape
    # PUCT knows the noise as prior; Gumbel search adds it to the score.
    known = prior_logits
    if isinstance(config.policy, PUCT):
        known = expand.legal_logits(explore, is_legal(prior_logits))
    roots = expand.root_nodes(state, known, value, Limits.of(game), config)
    tree = append(empty(roots, rows, max_visits), roots, jnp.int32(num_states))
    return Forest(
        tree=tree,
        root=jnp.arange(num_states, dtype=jnp.int32),
        prior_logits=prior_logits,
        explore=explore,
        spent=jnp.zeros(num_states, jnp.int32),
        halving=halving.before_first(num_states, num_actions) if by_levels(config) else None,
    )


def some_trees(forest: Forest, lane: Int[Array, " L"]) -> Forest:
    """The same forest with only some of its roots."""
    return forest._replace(
        root=take(forest.root, lane),
        prior_logits=take(forest.prior_logits, lane),
        explore=take(forest.explore, lane),
        spent=take(forest.spent, lane),
        halving=jax.tree.map(lambda leaf: take(leaf, lane), forest.halving),
        only_action=None if forest.only_action is None else take(forest.only_action, lane),
    )


class Findings(NamedTuple):
    """What trees say of their roots.

    Attributes:
      node: the roots as nodes.
      prior_logits: the network's, without noise, as `legal_logits` gives them.
      explore: the same with the noise that the root explores by.
      lower, upper: bounds of the roots.
      spent: simulations.
    """

    node: Node
    prior_logits: Float[Array, "B A"]
    explore: Float[Array, "B A"]
    lower: Float[Array, " B"]
    upper: Float[Array, " B"]
    spent: Int[Array, " B"]


def findings(forest: Forest, limits: Limits) -> Findings:
    """What a forest says of its roots."""
    node = node_at(forest.tree, forest.root)
    return Findings(node, forest.prior_logits, forest.explore, *bounds_of(node, limits), forest.spent)
