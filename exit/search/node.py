"""What choosing an action at a node is told, and what proofs say of its actions."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from exit.game import Game


class Node(NamedTuple):
    """What is known of nodes and their actions; columns of `exit.search.tree.Nodes`.

    Attributes:
      lower, upper: None without proofs.
    """

    prior_logits: Float[Array, "... A"]
    visits: Float[Array, "... A"]
    qvalues: Float[Array, "... A"]
    lower: Float[Array, "... A"] | None
    upper: Float[Array, "... A"] | None
    raw_value: Float[Array, "..."]
    value: Float[Array, "..."]


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


def is_legal(prior_logits: Float[Array, "... A"]) -> Bool[Array, "... A"]:
    """Which actions are legal, as the logits tell it."""
    return prior_logits > jnp.finfo(prior_logits.dtype).min


def bounds_of(node: Node, limits: Limits) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Bounds of nodes: the greatest of their actions'; 0 and 0 where the game is over."""
    over = ~jnp.any(is_legal(node.prior_logits), axis=-1)
    if node.lower is None or node.upper is None:
        lower, upper = jnp.full(over.shape, limits.low), jnp.full(over.shape, limits.high)
    else:
        lower, upper = jnp.max(node.lower, axis=-1), jnp.max(node.upper, axis=-1)
    return jnp.where(over, 0.0, lower), jnp.where(over, 0.0, upper)


def settled(lower: Array, upper: Array, limits: Limits) -> Bool[Array, "..."]:
    """Whether bounds have met."""
    return upper - lower <= limits.slack


def beaten(node: Node, limits: Limits) -> Bool[Array, "... A"]:
    """Actions that are proven worse than another one."""
    if node.lower is None or node.upper is None:
        return jnp.zeros(node.visits.shape, bool)
    return node.upper < jnp.max(node.lower, axis=-1, keepdims=True) - limits.slack


def open_actions(node: Node, limits: Limits) -> Bool[Array, "... A"]:
    """Actions that a simulation may follow: legal and, with proofs, neither settled nor beaten.

    Whatever cannot raise the node's lower bound cannot matter. While the node's own bounds are apart,
    the action with the greatest upper bound is open.
    """
    legal_actions = is_legal(node.prior_logits)
    if node.lower is None or node.upper is None:
        return legal_actions
    hope = node.upper > jnp.max(node.lower, axis=-1, keepdims=True) + limits.slack
    return legal_actions & hope & ~settled(node.lower, node.upper, limits)
