"""From what was played to what the network should have said."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from exit.game import Game, State
from exit.search import Inside
from exit.selfplay import Trajectory


class Targets(NamedTuple):
    """Training examples, any leading axes.

    Attributes:
      state: the position.
      action_weights: what the policy should be.
      value: what the value should be, to the player to move.
      solved: whether search has proven the value. Moves with a weight are then worth the same.
      regrets: what each action gives away against the best one, as the search saw it; 0 where illegal.
      regret: of the network's policy by these, when it was last asked about the position.
    """

    state: State
    action_weights: Float[Array, "... A"]
    value: Float[Array, "..."]
    solved: Bool[Array, "..."]
    regrets: Float[Array, "... A"]
    regret: Float[Array, "..."]


def example_of(game: Game) -> Targets:
    """An example of nothing yet: what those of a game are shaped like, without leading axes."""
    actions, nothing = jnp.zeros(game.num_actions), jnp.float32(0)
    return Targets(game.init(), actions, nothing, jnp.bool_(False), actions, nothing)


def policy_distance(
    log_probs: Float[Array, "... A"], action_weights: Float[Array, "... A"], solved: Bool[Array, "..."]
) -> Float[Array, "..."]:
    """How far a policy is from what it should be, in nats: the divergence from it to the target.

    Of a solved state all moves with a weight are equally good, and how the network shares its trust out among
    them is its own affair: there it is minus the logarithm of what they have together. That is the divergence
    from the target which search would give today, since of equally good moves it keeps the network's order.

    Args:
      log_probs: of the policy; of illegal actions they may be anything finite.
    """
    wanted = action_weights > 0
    log_target = jnp.log(jnp.maximum(action_weights, 1e-30))
    divergence = jnp.sum(jnp.where(wanted, action_weights * (log_target - log_probs), 0.0), axis=-1)
    together = -jax.nn.logsumexp(jnp.where(wanted, log_probs, -jnp.inf), axis=-1)
    return jnp.where(solved, together, divergence)


def make_targets(
    played: Trajectory, *, return_weight: float | Float[Array, ""], without_luck: bool = False
) -> Targets:
    """Examples from a trajectory, flattened to one leading axis of T * B, time first.

    Where it has positions from inside the trees, they follow, T * B more, with what the trees say of them.

    The value target mixes the outcome of the game with the search's own values: a lambda-return
    (Sutton & Barto 2018, section 12.1) whose lambda is `return_weight`. At 1 it is the return of the
    game as far as it was played, then the search's value; at 0 the search's value alone.
    What the search has proven overrules what was played: targets are kept within the state's bounds. Where
    the move played was only tried, the target is the search's value.
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
        return _targets(played, value)

    # After the last move: what makes its state's target the search's own value, unless the game ended.
    last_reward, last_discount = played.reward[-1], played.discount[-1]
    divisor = jnp.where(last_discount == 0, 1.0, last_discount)
    bootstrap = (played.value[-1] - last_reward) / divisor

    def backup(later: Float[Array, " B"], now: Trajectory) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        share = jnp.where(now.tried, 0.0, return_weight)
        target = (1.0 - share) * now.value + share * (now.reward + now.discount * later)
        target = jnp.clip(target, now.lower, now.upper)
        return target, target

    _, value = jax.lax.scan(backup, bootstrap, played, reverse=True)
    return _targets(played, value)


def _targets(played: Trajectory, value: Float[Array, "T B"]) -> Targets:
    """The examples with these values."""
    solved = played.lower == played.upper
    regret = jnp.sum(played.prior * played.regrets, axis=-1)
    examples = Targets(played.state, played.action_weights, value, solved, played.regrets, regret)
    if played.inside is not None:
        more = _targets_inside(played.inside)
        examples = jax.tree.map(lambda first, second: jnp.concatenate([first, second]), examples, more)
    return jax.tree.map(_flatten, examples)


def _targets_inside(inside: Inside) -> Targets:
    """What the trees say of positions inside them, whose games went elsewhere."""
    found = inside.result
    solved = found.lower == found.upper
    return Targets(inside.state, found.action_weights, found.value, solved, found.regrets, found.regret)


def _without_luck(played: Trajectory, return_weight: float | Float[Array, ""]) -> Float[Array, "T B"]:
    """Values of search, corrected by what later searches found."""

    def backup(
        surprise: Float[Array, " B"], now: Trajectory
    ) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        share = jnp.where(now.tried, 0.0, return_weight)
        target = jnp.clip(now.value + share * now.discount * surprise, now.lower, now.upper)
        return target - now.prior_value, target

    return jax.lax.scan(backup, jnp.zeros_like(played.value[-1]), played, reverse=True)[1]


def _flatten(leaf: Array) -> Array:
    """Time and games on one axis."""
    return leaf.reshape(-1, *leaf.shape[2:])
