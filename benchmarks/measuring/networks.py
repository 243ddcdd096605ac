"""Networks as benchmarks use them, and what evaluating them alone takes."""

import functools
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from exit.devices import over_devices
from exit.network import Network, Params, PredictFn

_MOST_STEPS = 256
"""Evaluations timed one after another; more would take as long each."""


def perturbed(network: Network) -> Params:
    """Parameters whose heads are not zero, so that trees have the shape that trained ones have."""
    noise = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: leaf + 0.05 * noise.standard_normal(leaf.shape, np.float32),
        jax.jit(network.init)(jax.random.key(0)),
    )


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call, to the last of its results."""
    started = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - started


class Evaluations(NamedTuple):
    """How a computation calls the network.

    Attributes:
      num_devices: devices that work side by side.
      steps: batches that each device evaluates one after another, by their number of rows.
    """

    num_devices: int
    steps: dict[int, int]


def evaluations_of(
    run: Callable[[PredictFn], Any], predict: PredictFn, num_states: int, num_spent: int | None
) -> Evaluations:
    """How `run(predict)` calls the network: at first for all states, later in batches of another size.

    Args:
      num_spent: evaluations after the first, where no row of a batch is left empty. None counts the
        batches instead, for which `run` is compiled and run once more.
    """
    traced, called = [], []

    def watched(
        params: Params, observation: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        num_rows = observation.shape[0]
        traced.append(num_rows)
        if num_spent is None:
            jax.debug.callback(lambda: called.append(num_rows))
        return predict(params, observation)

    if num_spent is None:
        jax.block_until_ready(run(watched))
        jax.effects_barrier()
    else:
        jax.eval_shape(lambda: run(watched))
    num_devices = num_states // traced[0]
    calls = Counter(called)
    if num_spent is not None:
        calls = Counter({traced[0]: num_devices}) + Counter({traced[-1]: math.ceil(num_spent / traced[-1])})
    return Evaluations(num_devices, {rows: math.ceil(n / num_devices) for rows, n in calls.items()})


def network_alone(
    params: Params, observation: Float[Array, "B ..."], evaluations: Evaluations, predict: PredictFn
) -> Callable[[], float]:
    """A stopwatch for the same evaluations, in the same batches on as many devices, and nothing else."""
    timed = [
        (
            _steps_program(predict, evaluations.num_devices > 1, rows),
            jnp.int32(min(steps, _MOST_STEPS)),
            steps,
        )
        for rows, steps in evaluations.steps.items()
    ]
    for program, _, _ in timed:
        jax.block_until_ready(program(params, observation, jnp.int32(1)))

    def watch() -> float:
        return sum(
            seconds(functools.partial(program, params, observation, fewer)) * steps / int(fewer)
            for program, fewer, steps in timed
        )

    return watch


@functools.cache
def _steps_program(predict: PredictFn, spread: bool, num_rows: int) -> Callable[..., Any]:
    """Evaluate batches of so many rows, one after another, on each device."""

    def steps(whole: tuple[Params, Int[Array, ""]], observation: Float[Array, "B ..."]) -> Float[Array, " B"]:
        params, num_steps = whole
        rows = observation[jnp.arange(num_rows) % observation.shape[0]]

        def evaluate(_: Any, total: Float[Array, ""]) -> Float[Array, ""]:
            # The sum makes each evaluation wait for the one before, as in a search.
            prior_logits, value = predict(params, rows + 0 * total)
            return total + jnp.sum(prior_logits) + jnp.sum(value)

        total = jax.lax.fori_loop(0, num_steps, evaluate, jnp.float32(0))
        return jnp.broadcast_to(total, observation.shape[:1])

    def program(
        params: Params, observation: Float[Array, "B ..."], num_steps: Int[Array, ""]
    ) -> Float[Array, " B"]:
        whole = (params, num_steps)
        work = jnp.zeros(observation.shape[0])
        return over_devices(steps, whole, observation, work=work) if spread else steps(whole, observation)

    return jax.jit(program)
