"""Trunks: from an observation to a feature vector, layer by layer."""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from exit.network.config import ConvConfig, MLPConfig
from exit.network.layers import LayerFactory

Layers = dict[str, jax.Array]
"""What each layer makes of a batch, `[B, ...]`, the last one being the features."""


ActivationFn = Callable[[jax.Array], jax.Array]


def activation_fn(name: Literal["relu", "silu"]) -> ActivationFn:
    """What follows a layer, by its name in the configuration."""
    return {"relu": nnx.relu, "silu": nnx.silu}[name]


class DenseBlock(nnx.Module):
    """Pre-normalised residual block of two dense layers, with `hidden` units between them or `width`."""

    def __init__(
        self,
        width: int,
        layers: LayerFactory,
        activation: Literal["relu", "silu"] = "relu",
        hidden: int | None = None,
    ):
        hidden = width if hidden is None else hidden
        self.activate = activation_fn(activation)
        self.norm = layers.norm(width)
        # Agents' files know the layers by these names, also where the first one narrows.
        self.widen = layers.linear(width, hidden)
        self.narrow = layers.linear(hidden, width)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.narrow(self.activate(self.widen(self.norm(x))))


class MLPTrunk(nnx.Module):
    """Flattened observation to a feature vector."""

    def __init__(self, config: MLPConfig, shape: tuple[int, ...], layers: LayerFactory):
        self.num_features = config.width
        self.stem = layers.linear(math.prod(shape), config.width)
        self.activate = activation_fn(config.activation)
        self.blocks = nnx.List(
            [
                DenseBlock(config.width, layers, config.activation, config.hidden)
                for _ in range(config.num_blocks)
            ]
        )

    def layers(self, x: jax.Array) -> Layers:
        x = self.activate(self.stem(x.reshape(x.shape[0], -1)))
        found = {"stem": x}
        for index, block in enumerate(self.blocks):
            found[f"block {index + 1}"] = x = block(x)
        return found | {"features": self.activate(x)}


class _PooledBlock(nnx.Module):
    """Residual block of two convolutions; the board's mean and maximum bias the second one."""

    def __init__(self, channels: int, layers: LayerFactory):
        self.norm = layers.norm(channels)
        self.first = layers.conv(channels, channels, (3, 3))
        self.pooled = layers.linear(2 * channels, channels)
        self.second = layers.conv(channels, channels, (3, 3))

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = nnx.relu(self.first(self.norm(x)))
        summary = jnp.concatenate([hidden.mean(axis=(1, 2)), hidden.max(axis=(1, 2))], axis=-1)
        return x + self.second(nnx.relu(hidden + self.pooled(summary)[:, None, None]))


class ConvTrunk(nnx.Module):
    """Planes to a feature vector that keeps every cell's channels."""

    def __init__(self, config: ConvConfig, shape: tuple[int, ...], layers: LayerFactory):
        if len(shape) != 3:
            raise ValueError(
                f"ConvConfig needs observations [rows, columns, planes], not {shape}; use MLPConfig"
            )
        self.num_features = shape[0] * shape[1] * config.channels
        self.stem = layers.conv(shape[-1], config.channels, (3, 3))
        self.blocks = nnx.List([_PooledBlock(config.channels, layers) for _ in range(config.num_blocks)])

    def layers(self, x: jax.Array) -> Layers:
        x = nnx.relu(self.stem(x))
        found = {"stem": x}
        for index, block in enumerate(self.blocks):
            found[f"block {index + 1}"] = x = block(x)
        return found | {"features": nnx.relu(x).reshape(x.shape[0], -1)}
