"""Muon: steps of hidden matrices are orthogonal, ten learning rates long; the rest is AdamW's."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from exit.muon import flops_of_muon, muon

RATE = 1e-2
SHAPES = {
    "trunk": {"tall": (24, 10), "wide": (10, 24), "convolution": (3, 3, 2, 5), "bias": (24,)},
    "policy": {"kernel": (10, 7), "bias": (7,)},
    "value": {"kernel": (10, 1)},
}
HIDDEN = ("tall", "wide", "convolution")


def _normal(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: jnp.asarray(rng.normal(size=shape), jnp.float32),
        SHAPES,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def _steps(optimizer: optax.GradientTransformation, num: int) -> list[Any]:
    """The steps of so many updates, at parameters that stay."""
    params = _normal(0)
    state, found = optimizer.init(params), []
    for seed in range(1, num + 1):
        step, state = jax.jit(optimizer.update)(_normal(seed), state, params)
        found.append(step)
    return found


def _muon(weight_decay: float = 0.0) -> optax.GradientTransformation:
    return muon(optax.constant_schedule(RATE), optax.constant_schedule(weight_decay))


def test_hidden_matrices_turn_evenly_and_ten_learning_rates_far() -> None:
    (step,) = _steps(_muon(), 1)
    for name in HIDDEN:
        matrix = np.asarray(step["trunk"][name], float)
        matrix = matrix.reshape(-1, matrix.shape[-1])
        num_inputs, num_outputs = matrix.shape
        lengths = np.linalg.svd(matrix / RATE / 10, compute_uv=False)
        lengths /= max(1, num_outputs / num_inputs) ** 0.5
        # The rounds leave what should be 1 between 0.7 and 1.2, and bfloat16 a little beside it.
        assert lengths.max() < 1.25
        assert lengths.min() > 0.6
        # Downhill.
        assert np.vdot(step["trunk"][name], _normal(1)["trunk"][name]) < 0
    others = [step["trunk"]["bias"], step["policy"], step["value"]]
    for leaf in jax.tree.leaves(others):
        # One learning rate, and half of one more by Nesterov's momentum.
        np.testing.assert_allclose(np.abs(leaf), 1.5 * RATE, rtol=0.1)


def test_its_steps_are_those_of_optax_but_for_rounding_and_the_bias_of_first_means() -> None:
    def axes(leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        last = leaf.ndim - 1
        return optax.contrib.MuonDimensionNumbers(tuple(range(last)), last) if last > 0 else None

    def hidden(params: Any) -> Any:
        return {"trunk": jax.tree.map(axes, params["trunk"]), "policy": None, "value": None}

    optaxs = optax.contrib.muon(
        10 * RATE, weight_decay=0.03, muon_weight_dimension_numbers=hidden, adam_learning_rate=RATE
    )
    for found, truth in zip(_steps(_muon(0.3), 3), _steps(optaxs, 3), strict=True):
        for step, true in zip(jax.tree.leaves(found), jax.tree.leaves(truth), strict=True):
            length = np.linalg.norm(true)
            assert abs(np.linalg.norm(step) - length) < 0.03 * length
            assert np.vdot(step, true) > 0.99 * np.linalg.norm(step) * length


def test_weights_that_are_made_orthogonal_decay_and_no_others() -> None:
    (plain,), (decayed,) = _steps(_muon(), 1), _steps(_muon(0.5), 1)
    for layer, leaves in _normal(0).items():
        for name, before in leaves.items():
            shrunk = 0.5 * RATE * before if name in HIDDEN else jnp.zeros_like(before)
            np.testing.assert_allclose(plain[layer][name] - decayed[layer][name], shrunk, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_a_step_is_finite_and_no_longer_for_a_long_gradient(scale: float) -> None:
    params, optimizer = _normal(0), _muon()
    grads: Any = jax.tree.map(lambda leaf: scale * leaf, _normal(1))
    step: Any = optimizer.update(grads, optimizer.init(params), params)[0]
    for name in HIDDEN:
        length = np.linalg.norm(step["trunk"][name])
        assert np.isfinite(length)
        assert length < 1.3 * 10 * RATE * min(SHAPES["trunk"][name][-1], 10) ** 0.5 * 2.4**0.5
        assert (length > 0) == (scale > 0)


def test_its_cost_is_that_of_the_products_of_its_matrices() -> None:
    params = {"trunk": {"kernel": jnp.ones((3, 3, 2, 5)), "bias": jnp.ones(5)}, "policy": jnp.ones((5, 9))}
    # Of 18 x 5, in five rounds: it by its transpose, that by itself, and that by it.
    assert flops_of_muon(params) == 5 * (2 * 5 * 5 * 18 + 2 * 5**3 + 2 * 5 * 5 * 18)
