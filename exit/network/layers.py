"""Layers, and in which type they compute."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from exit.devices import on_cpu
from exit.products import layer_product


@dataclass(frozen=True)
class LayerFactory:
    """Makes layers that compute alike.

    Attributes:
      dtype: of what goes from layer to layer.
      dot_general: how dense layers multiply.
      rngs: of the parameters, which are float32.
    """

    dtype: jnp.dtype
    dot_general: Callable[..., jax.Array]
    rngs: nnx.Rngs

    def linear(self, num_inputs: int, num_outputs: int, *, use_bias: bool = True) -> nnx.Linear:
        return nnx.Linear(
            num_inputs,
            num_outputs,
            use_bias=use_bias,
            dtype=self.dtype,
            dot_general=self.dot_general,
            rngs=self.rngs,
        )

    def norm(self, num_features: int) -> nnx.LayerNorm:
        return nnx.LayerNorm(num_features, dtype=self.dtype, rngs=self.rngs)

    def conv(self, num_inputs: int, num_outputs: int, kernel: tuple[int, int]) -> nnx.Conv:
        return nnx.Conv(num_inputs, num_outputs, kernel, dtype=self.dtype, rngs=self.rngs)


def layer_factory(bfloat16: bool, rngs: nnx.Rngs) -> LayerFactory:
    """Layers in float32, or in bfloat16: on a CPU their products alone, elsewhere all that they do."""
    if bfloat16 and on_cpu():
        return LayerFactory(jnp.dtype(jnp.float32), half_dot_general, rngs)
    return LayerFactory(jnp.dtype(jnp.bfloat16 if bfloat16 else jnp.float32), lax.dot_general, rngs)


def half_dot_general(inputs: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    """A dense layer's product `[..., K] x [K, N]`, as flax asks `lax.dot_general` for it."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    return layer_product(rows, kernel).reshape(*inputs.shape[:-1], kernel.shape[1])
