"""What networks are made of: a trunk and its heads."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from exit.game import Game, action_features_of, observed_value_bounds_of
from exit.network.config import ConvConfig, MLPConfig, NetworkConfig, num_images_of
from exit.network.layers import LayerFactory, layer_factory
from exit.network.mirrors import mirrors_of
from exit.network.sequence import SequenceTrunk
from exit.network.symmetric import Images, SpectralLinear, SymmetricTrunk, mean_of, spectrum
from exit.network.trunks import ActivationFn, ConvTrunk, MLPTrunk, activation_fn
from exit.products import thin_product

_VALUE_UNITS = 64


class _PolicyValueNet(nnx.Module):
    """A trunk with a policy head and a value head squashed into what the rules leave open of the value."""

    def __init__(self, trunk: Any, game: Game, layers: LayerFactory, activate: ActivationFn = nnx.relu):
        self.trunk, self.game, self.activate = trunk, game, activate
        # Heads start at zero: an untrained reflex is uniform and values every state at the middle.
        zeros = nnx.initializers.zeros_init()
        features = action_features_of(game)
        num_scores = game.num_actions if features is None else features.shape[1]
        self.policy = nnx.Linear(trunk.num_features, num_scores, kernel_init=zeros, rngs=layers.rngs)
        self.value_hidden = self.make_value_hidden(layers)
        self.value = nnx.Linear(_VALUE_UNITS, 1, kernel_init=zeros, rngs=layers.rngs)

    def make_value_hidden(self, layers: LayerFactory) -> nnx.Module:
        return layers.linear(self.trunk.num_features, _VALUE_UNITS)

    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.answer(self.trunk.layers(observation)["features"], observation)

    def answer(self, x: jax.Array, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Prior logits and value by features; the observation tells the bounds of the value."""
        low, high = jax.vmap(lambda seen: observed_value_bounds_of(self.game, seen))(observation)
        logit = self.value(self.value_features(x).astype(jnp.float32))[:, 0]
        return self.prior_logits(x.astype(jnp.float32)), low + (high - low) * jax.nn.sigmoid(logit)

    def value_features(self, x: jax.Array) -> jax.Array:
        """What the value is linear in, but for its bounds."""
        return self.activate(self.value_hidden(x))

    def prior_logits(self, x: jax.Array) -> jax.Array:
        """Prior logits by features."""
        return self._of_actions(self.policy(x))

    def _of_actions(self, scores: jax.Array) -> jax.Array:
        """Scores of actions by those of their features, where the game has such."""
        features = action_features_of(self.game)
        return scores if features is None else scores @ jnp.asarray(features, jnp.float32).T


class _SymmetricNet(_PolicyValueNet):
    """A perceptron for which mirror images are alike; its heads take the mean over them."""

    def make_value_hidden(self, layers: LayerFactory) -> nnx.Module:
        # So many units for each image.
        return SpectralLinear(self.trunk.num_features, _VALUE_UNITS, self.trunk.num_images, layers)

    def value_features(self, x: jax.Array) -> jax.Array:
        sums = self.value_hidden(spectrum(self._images(x)))
        return mean_of([self.activate(image) for image in spectrum(sums)])

    def prior_logits(self, x: jax.Array) -> jax.Array:
        assert self.policy.bias is not None
        kernel, bias = (self._of_actions(each[...]) for each in (self.policy.kernel, self.policy.bias))
        actions = mirrors_of(self.game, self.trunk.num_images).actions
        # The mean over images g of `features_g @ kernel[:, actions[g]]`, in one product: what is said of an
        # action by an image is said of the action's image.
        kernels = jnp.concatenate([kernel[:, moved] for moved in actions]) / len(actions)
        return thin_product(x, kernels) + mean_of([bias[moved] for moved in actions])

    def _images(self, x: jax.Array) -> Images:
        return jnp.split(x, self.trunk.num_images, axis=-1)


class Modules:
    """The modules of one network, with parameters held apart.

    Raises:
      ValueError: the game's observations have another shape than the kind of network needs, or it has fewer
        mirror images than the network is to know.
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
        config, game, shape = self._config, self._game, self._game.observation_shape
        layers = layer_factory(config.bfloat16, rngs)
        if isinstance(config, ConvConfig):
            return _PolicyValueNet(ConvTrunk(config, shape, layers), game, layers)
        if not isinstance(config, MLPConfig):
            return _PolicyValueNet(SequenceTrunk(config, shape, layers), game, layers)
        activate = activation_fn(config.activation)
        if (images := num_images_of(config)) == 1:
            return _PolicyValueNet(MLPTrunk(config, shape, layers), game, layers, activate)
        return _SymmetricNet(SymmetricTrunk(config, game, images, layers), game, layers, activate)
