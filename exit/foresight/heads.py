"""Heads that foresee a search: how far its value will be from the network's, and what it will gain."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from exit.game import Game, State
from exit.network import Network, Params
from exit.programs import kept

BUDGETS = (16, 64, 256)
"""Simulations of the searches that are foreseen."""

NUM_FORESEEN = 1 + len(BUDGETS)
_WIDTH = 64


class Foresight(NamedTuple):
    """Parameters of a perceptron with one hidden layer over what the network makes of a state.

    Attributes:
      mean, deviation: of what goes in.
      hidden, hidden_bias: of the hidden layer.
      output, output_bias: of the logits, the value's error first, then the gain at each of `BUDGETS`.
    """

    mean: Float[Array, " F"]
    deviation: Float[Array, " F"]
    hidden: Float[Array, "F H"]
    hidden_bias: Float[Array, " H"]
    output: Float[Array, "H K"]
    output_bias: Float[Array, " K"]


class Foreseen(NamedTuple):
    """What is expected of searching each state, in reward units.

    Attributes:
      value_error: distance of the network's value from what the deepest search will say.
      gains: what the reflex's move gives away against the move that a search of each of `BUDGETS` will play.
    """

    value_error: Float[Array, " B"]
    gains: Float[Array, "B K"]


def evidence(params: Params, states: State, *, game: Game, network: Network) -> Float[Array, "B F"]:
    """What heads go by: the network's last layer, and how sure its answer is."""
    observation = jax.vmap(game.observe)(states)
    logits, value = network.predict(params, observation)
    legal_actions = jax.vmap(game.legal_actions)(states)
    logits = jnp.where(legal_actions, logits, -jnp.inf)
    prior = jnp.where(legal_actions, jax.nn.softmax(logits), 0.0)
    ranked = jnp.sort(prior, axis=-1)[:, ::-1]
    surprise = -jnp.log(jnp.maximum(ranked[:, :2], 1e-6))
    entropy = -jnp.sum(prior * jnp.log(jnp.maximum(prior, 1e-30)), axis=-1)
    low, high = game.value_bounds
    share = (value - low) / (high - low)
    answer = [surprise, jnp.stack([entropy, share, jnp.abs(share - 0.5)], axis=-1)]
    layers = list(network.activations(params, observation).values())
    # Of images that the network knows to be alike the mean, or it would foresee something else for each.
    features = layers[-1].reshape(layers[-1].shape[0], network.num_images, -1).mean(axis=1)
    return jnp.concatenate([features.astype(jnp.float32), *answer], axis=-1)


def fresh_foresight(rng_key: Array, seen: Float[Array, "n F"], usual: Float[Array, " K"]) -> Foresight:
    """Untrained heads, which foresee the same everywhere; the key is consumed.

    Args:
      seen: evidence of many states, whose scale is taken.
      usual: mean of what is to be foreseen, shares in [0, 1].
    """
    mean, deviation = jnp.mean(seen, axis=0), jnp.std(seen, axis=0)
    num_seen = seen.shape[1]
    return Foresight(
        mean,
        # What never changes says nothing, and must not be divided by.
        jnp.where(deviation > 1e-6, deviation, 1.0),
        jax.random.normal(rng_key, (num_seen, _WIDTH)) / math.sqrt(num_seen),
        jnp.zeros(_WIDTH),
        jnp.zeros((_WIDTH, NUM_FORESEEN)),
        jax.scipy.special.logit(jnp.clip(usual, 1e-6, 1 - 1e-6)),
    )


def foreseen_logits(foresight: Foresight, seen: Float[Array, "B F"]) -> Float[Array, "B K"]:
    """Logits of the shares of the distance between the value bounds that are expected."""
    scaled = jnp.clip((seen - foresight.mean) / foresight.deviation, -5.0, 5.0)
    hidden = jax.nn.silu(scaled @ foresight.hidden + foresight.hidden_bias)
    return hidden @ foresight.output + foresight.output_bias


@kept(static=("game", "network"))
def foresee(foresight: Foresight, params: Params, states: State, *, game: Game, network: Network) -> Foreseen:
    """What searches of a batch of states are expected to find, at the price of one evaluation each."""
    seen = evidence(params, states, game=game, network=network)
    low, high = game.value_bounds
    shares = (high - low) * jax.nn.sigmoid(foreseen_logits(foresight, seen))
    return Foreseen(shares[:, 0], shares[:, 1:])
