"""Products of matrices: in bfloat16, added up in float32, and with few columns.

A CPU that multiplies bfloat16 (AVX-512 BF16, AMX) does up to twice as many in it as in float32, and a GPU
more still.
"""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
_CPU_INFO = Path("/proc/cpuinfo")


@functools.cache
def has_instructions() -> bool:
    """Whether this CPU is known to multiply bfloat16; where the system does not say, it is not."""
    try:
        return not _INSTRUCTIONS.isdisjoint(_CPU_INFO.read_text("utf-8", errors="replace").split())
    except OSError:
        return False


def half(matrix: Float[Array, "M N"]) -> Float[Array, "M N"]:
    """The matrix rounded to bfloat16."""
    return matrix.astype(jnp.bfloat16)


def half_product(
    a: Float[Array, "_ _"], b: Float[Array, "_ _"], over: tuple[int, int] = (1, 0)
) -> Float[Array, "M N"]:
    """The product in float32 of two matrices rounded to bfloat16, summed over these axes of theirs."""
    axes = ((over[0],), (over[1],))
    return lax.dot_general(half(a), half(b), (axes, ((), ())), preferred_element_type=jnp.float32)


@jax.custom_vjp
def layer_product(rows: Float[Array, "B K"], kernel: Float[Array, "K N"]) -> Float[Array, "B N"]:
    """`half_product`, whose gradients are such products too."""
    return half_product(rows, kernel)


def _forward(rows: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    rows, kernel = half(rows), half(kernel)
    return half_product(rows, kernel), (rows, kernel)


def _backward(kept: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    (rows, kernel), cotangent = kept, half(cotangent)
    return half_product(cotangent, kernel, (1, 1)), half_product(transposed(rows), cotangent)


layer_product.defvjp(_forward, _backward)


@jax.custom_vjp
def thin_product(rows: Float[Array, "B K"], kernel: Float[Array, "K N"]) -> Float[Array, "B N"]:
    """The product for a kernel of few columns.

    XLA's CPU compiler (jaxlib 0.10) takes several times as long as it need for the gradient of such a kernel.
    There is no derivative in forward mode.
    """
    return rows @ kernel


def _thin_forward(rows: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return rows @ kernel, (rows, kernel)


def _thin_backward(kept: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    rows, kernel = kept
    return cotangent @ kernel.T, transposed(rows) @ cotangent


thin_product.defvjp(_thin_forward, _thin_backward)


def transposed(matrix: Float[Array, "M N"]) -> Float[Array, "N M"]:
    """The transpose, in two steps.

    XLA's CPU compiler (jaxlib 0.10) would fold one into the product that follows, for which it then knows no
    routine in bfloat16.
    """
    part = math.gcd(matrix.shape[0], 32)
    return matrix.reshape(-1, part, matrix.shape[1]).transpose(2, 0, 1).reshape(matrix.shape[1], -1)
