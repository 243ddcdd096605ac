"""From a network's jaxpr to an ONNX model, equation by equation, and back to a function that runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
from jax import export
from jax.extend import core

from exit import __version__
from exit.agent import Agent
from exit.compile.onnx.graph import Graph
from exit.compile.onnx.primitives import TRANSLATIONS
from exit.compile.reflex import NetworkFn
from exit.errors import UsageError, UserError
from exit.leaves import flatten
from exit.network import in_single_precision, make_network

_OPSET, _IR_VERSION = 18, 10
_INPUT, _OUTPUTS = "observation", ("prior_logits", "value")
_HEADER = "xit"

# Equations that only hold others, by the parameter that does.
_NESTED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}


def model_of(agent: Agent) -> bytes:
    """The serialized model of an agent's network."""
    graph = Graph(_INPUT)
    closed = _jaxpr_of(agent)
    names = [graph.named(name, leaf) for name, leaf in flatten(agent.params).items()]
    outputs = _translated(graph, closed.jaxpr, closed.consts, [*names, _INPUT])
    for output, name in zip(outputs, _OUTPUTS, strict=True):
        graph.add("Identity", output, name=name)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "reflex",
            [_declared(_INPUT, agent.game.observation_shape)],
            [_declared(_OUTPUTS[0], (agent.game.num_actions,)), _declared(_OUTPUTS[1], ())],
            initializer=graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="xit",
        producer_version=__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def with_header(model: bytes, header: Mapping[str, Any]) -> bytes:
    """The model with a header as metadata."""
    found = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(found, {_HEADER: json.dumps(dict(header))})
    return found.SerializeToString()


def loaded(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and model of a file.

    Raises:
      UsageError: it holds none that this project wrote.
    """
    try:
        content = path.read_bytes()
        props = {each.key: each.value for each in onnx.load_model_from_string(content).metadata_props}
        return json.loads(props[_HEADER]), content
    # What is damaged fails in ways that belong to the library for protocol buffers.
    except Exception as error:
        raise UsageError(f"{path} holds no model; `xit compile --to onnx` writes one") from error


def session_of(model: bytes) -> NetworkFn:
    """The model run on one CPU core by onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, value = session.run(list(_OUTPUTS), {_INPUT: np.asarray(observations, np.float32)})
        return np.asarray(logits), np.asarray(value)

    return run


def _jaxpr_of(agent: Agent) -> core.ClosedJaxpr:
    """What the network does, for a batch of unknown size, in single precision throughout."""
    predict = make_network(in_single_precision(agent.config.network), agent.game).predict
    (batch,) = export.symbolic_shape("batch")
    observation = jax.ShapeDtypeStruct((batch, *agent.game.observation_shape), jnp.float32)
    return jax.make_jaxpr(predict)(agent.params, observation)


def _translated(graph: Graph, jaxpr: Any, consts: list[Any], arguments: list[str]) -> list[str]:
    """Names of a jaxpr's results in the graph."""
    known = dict(zip(jaxpr.invars, arguments, strict=True))
    known |= {
        var: graph.constant(np.asarray(const)) for var, const in zip(jaxpr.constvars, consts, strict=True)
    }

    def name_of(atom: Any) -> str:
        if isinstance(atom, core.Literal):
            return graph.constant(np.asarray(atom.val, atom.aval.dtype))  # type: ignore[attr-defined]
        return known[atom]

    for equation in jaxpr.eqns:
        primitive, inputs = equation.primitive.name, [name_of(atom) for atom in equation.invars]
        if primitive in _NESTED:
            inner = equation.params[_NESTED[primitive]]
            results = _translated(graph, getattr(inner, "jaxpr", inner), getattr(inner, "consts", []), inputs)
        elif primitive in TRANSLATIONS:
            found = TRANSLATIONS[primitive](graph, equation, inputs)
            results = [found] if isinstance(found, str) else found
        else:
            raise UserError(
                f"the network uses {primitive!r}, which has no translation into ONNX here; "
                "compile it to stablehlo instead"
            )
        known |= dict(zip(equation.outvars, results, strict=True))
    return [name_of(atom) for atom in jaxpr.outvars]


def _declared(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape])
