"""What choosing an action at a node is told, and what proofs say of its actions."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from exit.game import Game
from exit.search.tree import EDGE_LOWER, EDGE_UPPER, QVALUE, VISITS


class Node(NamedTuple):
    """Nodes of any leading shape; values to the player to move there.

    Attributes:
      prior_logits: of each action; the least finite number where illegal.
      visits: simulations through each action, as floats.
      qvalues: of visited actions; arbitrary where unvisited.
      raw_value: the network's value.
      value: mean of the network's value and the visited actions', by visits.
      open: actions that may be simulated: legal and, with proofs, neither settled nor beaten.
    """

    prior_logits: Float[Array, "... A"]
    visits: Float[Array, "... A"]
    qvalues: Float[Array, "... A"]
    raw_value: Float[Array, "..."]
    value: Float[Array, "..."]
    open: Bool[Array, "... A"]


class Limits(NamedTuple):
    """What is known of every value before anything is searched.

    Attributes:
      low: least return of the game.
      high: greatest return of the game.
      slack: bounds this close to each other have met. Bounds of deterministic games meet exactly; an
        expectation over outcomes rounds.
      num_outcomes: chance outcomes after an action, 1 in a deterministic game.
    """

    low: float
    high: float
    slack: float
    num_outcomes: int

    @classmethod
    def of(cls, game: Game) -> "Limits":
        """The limits of a game."""
        low, high = game.value_bounds
        slack = 1e-6 * (high - low) if game.num_outcomes > 1 else 0.0
        return cls(low, high, slack, game.num_outcomes)


def node_of(
    prior_logits: Float[Array, "... A"],
    edges: Float[Array, "... A F"],
    raw_value: Float[Array, "..."],
    value: Float[Array, "..."],
    limits: Limits,
) -> Node:
    """The node with these columns of the tree."""
    return Node(
        prior_logits=prior_logits,
        visits=edges[..., VISITS],
        qvalues=edges[..., QVALUE],
        raw_value=raw_value,
        value=value,
        open=_open(prior_logits, edges, limits),
    )


def is_legal(prior_logits: Float[Array, "... A"]) -> Bool[Array, "... A"]:
    """Which actions are legal, as the logits tell it."""
    return prior_logits > jnp.finfo(prior_logits.dtype).min


def has_bounds(edges: Float[Array, "... F"]) -> bool:
    """Whether the tree keeps proofs."""
    return edges.shape[-1] > EDGE_LOWER


def bounds_of(edges: Float[Array, "... A F"]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Bounds of nodes: those of the action with the greatest."""
    return jnp.max(edges[..., EDGE_LOWER], axis=-1), jnp.max(edges[..., EDGE_UPPER], axis=-1)


def beaten(edges: Float[Array, "... A F"], limits: Limits) -> Bool[Array, "... A"]:
    """Actions that are proven worse than another one."""
    lower, _ = bounds_of(edges)
    return edges[..., EDGE_UPPER] < lower[..., None] - limits.slack


def settled(lower: Array, upper: Array, limits: Limits) -> Bool[Array, "..."]:
    """Whether bounds have met."""
    return upper - lower <= limits.slack


def _open(
    prior_logits: Float[Array, "... A"], edges: Float[Array, "... A F"], limits: Limits
) -> Bool[Array, "... A"]:
    if not has_bounds(edges):
        return is_legal(prior_logits)
    lower, upper = edges[..., EDGE_LOWER], edges[..., EDGE_UPPER]
    node_lower, _ = bounds_of(edges)
    # Whatever cannot raise the node's lower bound cannot matter. While the node's own bounds are apart, the
    # action with the greatest upper bound is open.
    return is_legal(prior_logits) & (upper > node_lower[..., None] + limits.slack) & (upper - lower > limits.slack)
