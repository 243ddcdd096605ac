"""A perceptron that values mirror images of a position alike and moves its policy along with them.

Its layers are equivariant (T. Cohen and M. Welling, "Group Equivariant Convolutional Networks", 2016) under a
game's mirror symmetries, of which there are G = 2^k:

1. The stem sees every image of the observation with the same weights: C units for each image.
2. Their sums and differences (Walsh and Hadamard) are taken: G parts of C units. There an equivariant layer
   is G small dense layers, one for each part, which takes one G-th of the operations and of the parameters
   of a layer that knows no symmetry.
3. Activations act on each image alone, so images are taken back for them.
4. The heads take the mean over images.
"""

import functools
import math

import jax
import jax.numpy as jnp
from flax import nnx

from exit.game import Game
from exit.network.config import MLPConfig
from exit.network.layers import LayerFactory
from exit.network.mirrors import mirrors_of
from exit.network.trunks import Layers, activation_fn

Images = list[jax.Array]
"""`[B, C]` for each of G images, the position itself first."""

Spectrum = list[jax.Array]
"""`[B, C]` for each of G sums and differences of images, the sum of all first."""

_EPSILON = 1e-6


def spectrum(images: Images) -> Spectrum:
    """Sums and differences of images, scaled such that the same function takes them back to images."""
    step = 1
    while step < len(images):
        pairs = [(images[i & ~step], images[i | step], i & step) for i in range(len(images))]
        images = [low - high if lower else low + high for low, high, lower in pairs]
        step *= 2
    return [each * len(images) ** -0.5 for each in images]


def mean_of(images: Images) -> jax.Array:
    """The mean over images."""
    return functools.reduce(jnp.add, images) / len(images)


class SpectralLinear(nnx.Module):
    """An equivariant dense layer, from spectrum to spectrum."""

    def __init__(self, num_inputs: int, num_outputs: int, num_images: int, layers: LayerFactory):
        # A bias is added to every image alike, so it is in their sum and in no difference.
        self.parts = nnx.List(
            [layers.linear(num_inputs, num_outputs, use_bias=not index) for index in range(num_images)]
        )

    def __call__(self, x: Spectrum) -> Spectrum:
        return [part(each) for part, each in zip(self.parts, x, strict=True)]


class Norm(nnx.Module):
    """Layer normalisation over all units of all images, from spectrum to spectrum."""

    def __init__(self, num_features: int):
        self.scale = nnx.Param(jnp.ones(num_features))
        self.bias = nnx.Param(jnp.zeros(num_features))

    def __call__(self, x: Spectrum) -> Spectrum:
        sqrt_images, dtype = len(x) ** 0.5, x[0].dtype
        first, *rest = (each.astype(jnp.float32) for each in x)
        # The mean over all units of all images is in their sum alone; differences have none.
        centred = [first - first.mean(axis=-1, keepdims=True), *rest]
        variance = sum(jnp.mean(each**2, axis=-1, keepdims=True) for each in centred) / len(x)
        scale = jax.lax.rsqrt(variance + _EPSILON) * self.scale[...]
        first, *rest = (each * scale for each in centred)
        # A bias b of every image is sqrt(G) b in the sum.
        return [each.astype(dtype) for each in (first + sqrt_images * self.bias[...], *rest)]


class _Block(nnx.Module):
    """Pre-normalised residual block of two dense layers, from spectrum to spectrum."""

    def __init__(self, width: int, hidden: int, config: MLPConfig, num_images: int, layers: LayerFactory):
        self.activate = activation_fn(config.activation)
        self.norm = Norm(width)
        self.widen = SpectralLinear(width, hidden, num_images, layers)
        self.narrow = SpectralLinear(hidden, width, num_images, layers)

    def __call__(self, x: Spectrum) -> Spectrum:
        hidden = [self.activate(image) for image in spectrum(self.widen(self.norm(x)))]
        return [old + new for old, new in zip(x, self.narrow(spectrum(hidden)), strict=True)]


class SymmetricTrunk(nnx.Module):
    """Flattened observation to features of its images, `[B, G C]`, image after image.

    Attributes:
      num_features: C, of one image; other trunks have as many as their features have columns.
    """

    def __init__(self, config: MLPConfig, game: Game, num_images: int, layers: LayerFactory):
        # Refused now rather than when it is first asked.
        mirrors_of(game, num_images)
        self.game, self.num_images = game, num_images
        self.dtype, self.dot_general = layers.dtype, layers.dot_general
        width, hidden = (size // num_images for size in (config.width, config.hidden or config.width))
        self.num_features = width
        self.stem = layers.linear(math.prod(game.observation_shape), width, use_bias=False)
        self.stem_bias = nnx.Param(jnp.zeros(width))
        self.activate = activation_fn(config.activation)
        self.blocks = nnx.List(
            [_Block(width, hidden, config, num_images, layers) for _ in range(config.num_blocks)]
        )

    def layers(self, x: jax.Array) -> Layers:
        # `x[:, e] @ kernel == x @ kernel[e]` where the permutation e is its own inverse: so one product with
        # G permuted kernels, not G products. The bias is one for all images and stands apart.
        kernel, bias = self.stem.kernel[...], self.stem_bias[...].astype(self.dtype)
        entries = mirrors_of(self.game, self.num_images).entries
        kernels = jnp.concatenate([kernel[each] for each in entries], axis=1).astype(self.dtype)
        rows = x.reshape(x.shape[0], -1).astype(self.dtype)
        stems = jnp.split(self.dot_general(rows, kernels, (((1,), (0,)), ((), ()))), self.num_images, axis=1)
        images = [self.activate(stem + bias) for stem in stems]
        found = {"stem": jnp.concatenate(images, axis=-1)}
        sums = spectrum(images)
        for index, block in enumerate(self.blocks):
            sums = block(sums)
            found[f"block {index + 1}"] = jnp.concatenate(spectrum(sums), axis=-1)
        images = [self.activate(each) for each in spectrum(sums)]
        return found | {"features": jnp.concatenate(images, axis=-1)}
