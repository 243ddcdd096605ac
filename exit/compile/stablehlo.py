"""The reflex as StableHLO, which JAX and other XLA runtimes load without this project."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from exit.agent import Agent
from exit.compile.files import write_bytes
from exit.compile.reflex import NetworkFn, predict_of
from exit.errors import UsageError


def exported(agent: Agent) -> export.Exported:
    """The network with its parameters in it, for batches of any size, on CPU, CUDA GPU and TPU."""
    predict = predict_of(agent)
    (batch,) = export.symbolic_shape("batch")
    observation = jax.ShapeDtypeStruct((batch, *agent.game.observation_shape), jnp.float32)

    def reflex(observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        return predict(agent.params, observation)

    return export.export(jax.jit(reflex), platforms=("cpu", "cuda", "tpu"))(observation)


def save_stablehlo(path: Path, module: export.Exported, header: Mapping[str, Any]) -> None:
    """Writes one line of JSON, the header, and behind it the bytes that `jax.export.deserialize` reads.

    Raises:
      UserError: it cannot be written.
    """
    content = module.serialize()
    write_bytes(path, lambda file: file.write(json.dumps(dict(header)).encode() + b"\n" + content))


def load_stablehlo(path: Path) -> tuple[dict[str, Any], export.Exported]:
    """The header and the module of such a file.

    Raises:
      UsageError: there is none, or it is damaged.
    """
    try:
        line, _, content = path.read_bytes().partition(b"\n")
        return json.loads(line), export.deserialize(bytearray(content))
    # What is damaged fails in ways that belong to the library for flat buffers.
    except Exception as error:
        raise UsageError(f"{path} holds no module; `xit compile --to stablehlo` writes one") from error


def run_of(module: export.Exported) -> NetworkFn:
    """The module as a function of observations."""
    call = jax.jit(module.call)

    def run(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, value = jax.device_get(call(observations))
        return np.asarray(logits), np.asarray(value)

    return run
