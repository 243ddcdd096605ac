"""What networks are made of: a trunk and its heads."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from exit.game import Game, action_features_of, observed_value_bounds_of
from exit.network.config import ConvConfig, MLPConfig, NetworkConfig
from exit.network.layers import layer_factory
from exit.network.sequence import SequenceTrunk
from exit.network.trunks import ConvTrunk, MLPTrunk, activation_fn


class _PolicyValueNet(nnx.Module):
    """A trunk with a policy head and a value head squashed into what the rules leave open of the value."""

    def __init__(self, config: NetworkConfig, game: Game, rngs: nnx.Rngs):
        layers = layer_factory(config.bfloat16, rngs)
        shape = game.observation_shape
        if isinstance(config, MLPConfig):
            self.trunk = MLPTrunk(config, shape, layers)
        elif isinstance(config, ConvConfig):
            self.trunk = ConvTrunk(config, shape, layers)
        else:
            self.trunk = SequenceTrunk(config, shape, layers)
        num_features = self.trunk.num_features
        # Heads start at zero: an untrained reflex is uniform and values every state at the middle.
        zeros = nnx.initializers.zeros_init()
        features = action_features_of(game)
        num_scores = game.num_actions if features is None else features.shape[1]
        self.policy = nnx.Linear(num_features, num_scores, kernel_init=zeros, rngs=rngs)
        self.value_hidden = layers.linear(num_features, 64)
        self.value = nnx.Linear(64, 1, kernel_init=zeros, rngs=rngs)
        self.activate = activation_fn(config.activation if isinstance(config, MLPConfig) else "relu")
        self.game = game

    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.answer(self.trunk.layers(observation)["features"], observation)

    def answer(self, x: jax.Array, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Prior logits and value by features; the observation tells the bounds of the value."""
        low, high = jax.vmap(lambda seen: observed_value_bounds_of(self.game, seen))(observation)
        logit = self.value(self.activate(self.value_hidden(x)).astype(jnp.float32))[:, 0]
        scores, features = self.policy(x.astype(jnp.float32)), action_features_of(self.game)
        prior_logits = scores if features is None else scores @ jnp.asarray(features, jnp.float32).T
        return prior_logits, low + (high - low) * jax.nn.sigmoid(logit)


class Modules:
    """The modules of one network, with parameters held apart.

    Raises:
      ValueError: the game's observations have another shape than the kind of network needs.
    """

    def __init__(self, config: NetworkConfig, game: Game) -> None:
        self._config, self._game = config, game
        abstract = nnx.eval_shape(lambda: self._build(nnx.Rngs(0)))
        self._graph, self._abstract_state = nnx.split(abstract)

    def shapes(self) -> Any:
        """Parameters of which only shapes and types are known: a nested dict."""
        return nnx.to_pure_dict(self._abstract_state)

    def init(self, rng_key: jax.Array) -> Any:
        """New parameters: a nested dict of arrays."""
        return nnx.to_pure_dict(nnx.state(self._build(nnx.Rngs(rng_key))))

    def of(self, params: Any) -> _PolicyValueNet:
        """The modules with these parameters."""
        state = jax.tree.map(lambda leaf: leaf, self._abstract_state)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(self._graph, state)

    def _build(self, rngs: nnx.Rngs) -> _PolicyValueNet:
        return _PolicyValueNet(self._config, self._game, rngs)
