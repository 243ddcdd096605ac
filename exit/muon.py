"""Muon (K. Jordan et al. 2024): steps of hidden matrices with all singular values alike.

Optax has it in float32 alone; in bfloat16 its products take about half as long where there are instructions.
"""

import functools
import math

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from exit.network import LAST_LAYERS, Params
from exit.products import half_product, transposed

_STEP = 10
"""Length of an orthogonal step in learning rates, times sqrt(outputs / inputs) where that exceeds 1."""

_MOMENTUM = 0.95
_ROUNDS = 5
_COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the authors: rounds that leave singular values between 0.7 and 1.2."""


def muon(learning_rate: optax.Schedule, weight_decay: optax.Schedule) -> optax.GradientTransformation:
    """Muon for hidden matrices and kernels of convolutions, AdamW with Nesterov's momentum for all else.

    Args:
      learning_rate: of AdamW. An orthogonal step is ten of them long.
      weight_decay: decoupled, shares of the learning rate; on what is made orthogonal alone.
    """
    orthogonal = optax.chain(
        optax.trace(_MOMENTUM, nesterov=True),
        optax.stateless(lambda steps, _: jax.tree.map(_orthogonal, steps)),
        # What follows scales it like the step.
        optax.add_decayed_weights(lambda count: weight_decay(count) / _STEP),
        optax.scale_by_learning_rate(lambda count: _STEP * learning_rate(count)),
    )
    other = optax.adamw(learning_rate, weight_decay=0.0, nesterov=True)
    return optax.partition({"hidden": orthogonal, "other": other}, _kinds)


def flops_of_muon(params: Params) -> float:
    """Operations of the products of matrices in one update."""
    kinds = jax.tree.leaves(_kinds(params))
    hidden = [leaf for leaf, kind in zip(jax.tree.leaves(params), kinds, strict=True) if kind == "hidden"]
    found = 0.0
    for kernel in hidden:
        short, long = sorted((math.prod(kernel.shape[:-1]), kernel.shape[-1]))
        found += _ROUNDS * (4 * short**2 * long + 2 * short**3)
    return found


def _kinds(params: Params) -> Params:
    """Which leaves are hidden matrices, and which are not; kernels of convolutions count as matrices."""

    def kind(layer: str, leaf: Array) -> str:
        return "hidden" if leaf.ndim > 1 and layer not in LAST_LAYERS else "other"

    return {layer: jax.tree.map(functools.partial(kind, layer), leaves) for layer, leaves in params.items()}


def _orthogonal(step: Float[Array, "..."]) -> Float[Array, "..."]:
    """The step of a kernel with the singular values of its matrix, `[inputs, outputs]`, all made about one.

    Larger by the root of outputs over inputs where there are more outputs.
    """
    matrix = step.reshape(-1, step.shape[-1])
    num_inputs, num_outputs = matrix.shape
    x = transposed(matrix) if num_inputs > num_outputs else matrix
    x = x / (jnp.linalg.norm(x) + 1e-8)
    a, b, c = _COEFFICIENTS
    for _ in range(_ROUNDS):
        square = half_product(x, x, (1, 1))
        x = a * x + half_product(b * square + c * half_product(square, square), x)
    x = transposed(x) if num_inputs > num_outputs else x
    return (x * max(1.0, num_outputs / num_inputs) ** 0.5).reshape(step.shape)
