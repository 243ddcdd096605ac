"""Products: in bfloat16 as near as its eight bits, and so are their gradients; thin ones like any other."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.products import half_product, has_instructions, layer_product, thin_product


def _matrices(num_rows: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    rng = np.random.default_rng(num_rows)
    shapes = ((num_rows, 33), (33, 20), (num_rows, 20))
    rows, kernel, weights = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)
    return rows, kernel, weights


@pytest.mark.parametrize("num_rows", [1, 7, 64])
def test_a_layer_s_product_and_its_gradients_are_those_of_rounded_factors(num_rows: int) -> None:
    rows, kernel, weights = _matrices(num_rows)

    def rounded(x: jax.Array) -> np.ndarray:
        return np.asarray(x.astype(jnp.bfloat16).astype(jnp.float32), np.float64)

    def total(rows: jax.Array, kernel: jax.Array) -> jax.Array:
        return (layer_product(rows, kernel) * weights).sum()

    product = layer_product(rows, kernel)
    assert product.dtype == jnp.float32
    np.testing.assert_allclose(product, rounded(rows) @ rounded(kernel), rtol=1e-4, atol=1e-4)
    assert np.abs(product - np.asarray(rows, np.float64) @ np.asarray(kernel, np.float64)).max() > 1e-3
    of_rows, of_kernel = jax.grad(total, argnums=(0, 1))(rows, kernel)
    assert of_rows.dtype == of_kernel.dtype == jnp.float32
    np.testing.assert_allclose(of_rows, rounded(weights) @ rounded(kernel).T, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_kernel, rounded(rows).T @ rounded(weights), rtol=1e-4, atol=1e-4)


def test_a_product_sums_over_the_axes_it_is_told() -> None:
    rows, _, weights = _matrices(6)
    np.testing.assert_allclose(half_product(rows, weights, (0, 0)), rows.T @ weights, rtol=0.03, atol=0.1)
    np.testing.assert_allclose(half_product(rows, rows, (1, 1)), rows @ rows.T, rtol=0.03, atol=0.3)


@pytest.mark.parametrize("num_rows", [1, 7, 64])
def test_a_thin_product_and_its_gradients_are_those_of_any_product(num_rows: int) -> None:
    rows, kernel, weights = _matrices(num_rows)
    np.testing.assert_array_equal(thin_product(rows, kernel), rows @ kernel)
    found, expected = (
        jax.grad(lambda rows, kernel, by: (by(rows, kernel) * weights).sum(), argnums=(0, 1))(
            rows, kernel, product
        )
        for product in (thin_product, jnp.matmul)
    )
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("told", "known"),
    [("flags : fma avx512_bf16 sse2\n", True), ("flags : fma sse2\n", False), (None, False)],
    ids=["has them", "has none", "does not say"],
)
def test_a_system_that_does_not_say_has_no_instructions(
    told: str | None, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr("exit.products._CPU_INFO", tmp_path / "cpuinfo")
    assert has_instructions.__wrapped__() == known
