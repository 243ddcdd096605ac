"""From what was played to what the network should have said."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from exit.game import State
from exit.selfplay import Trajectory


class Targets(NamedTuple):
    """Training examples, any leading axes.

    Attributes:
      state: the position.
      action_weights: what the policy should be.
      value: what the value should be, to the player to move.
    """

    state: State
    action_weights: Float[Array, "... A"]
    value: Float[Array, "..."]


def make_targets(
    played: Trajectory, *, return_weight: float | Float[Array, ""], without_luck: bool = False
) -> Targets:
    """Examples from a trajectory, flattened to one leading axis of T * B, time first.

    The value target mixes the outcome of the game with the search's own values: a lambda-return
    (Sutton & Barto 2018, section 12.1) whose lambda is `return_weight`. At 1 it is the return of the
    game as far as it was played, then the search's value; at 0 the search's value alone.
    What the search has proven overrules what was played: targets are kept within the state's bounds.
    The last move's state has no successor in the trajectory: its target is the search's value unless
    the game ended there.

    Luck is how far what was played went beyond what search expected: the outcome that chance drew, and the
    move, where another than the policy's was tried. Without it, a target is the search's value and, of what
    later searches found that the network had not known, the share `return_weight` for each move in between
    (Q(lambda) of Harutyunyan et al. 2016). That has far less noise where the network knows something.

    Args:
      return_weight: in [0, 1].
      without_luck: leave luck out.
    """
    if without_luck:
        value = _without_luck(played, return_weight)
        return Targets(jax.tree.map(_flatten, played.state), _flatten(played.action_weights), _flatten(value))

    # After the last move: what makes its state's target the search's own value, unless the game ended.
    last_reward, last_discount = played.reward[-1], played.discount[-1]
    divisor = jnp.where(last_discount == 0, 1.0, last_discount)
    bootstrap = (played.value[-1] - last_reward) / divisor

    def backup(later: Float[Array, " B"], now: Trajectory) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        target = (1.0 - return_weight) * now.value + return_weight * (now.reward + now.discount * later)
        target = jnp.clip(target, now.lower, now.upper)
        return target, target

    _, value = jax.lax.scan(backup, bootstrap, played, reverse=True)
    return Targets(jax.tree.map(_flatten, played.state), _flatten(played.action_weights), _flatten(value))


def _without_luck(played: Trajectory, return_weight: float | Float[Array, ""]) -> Float[Array, "T B"]:
    """Values of search, corrected by what later searches found."""

    def backup(
        surprise: Float[Array, " B"], now: Trajectory
    ) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        target = jnp.clip(now.value + return_weight * now.discount * surprise, now.lower, now.upper)
        return target - now.prior_value, target

    return jax.lax.scan(backup, jnp.zeros_like(played.value[-1]), played, reverse=True)[1]


def _flatten(leaf: Array) -> Array:
    """Time and games on one axis."""
    return leaf.reshape(-1, *leaf.shape[2:])
