"""What each of JAX's primitives is in ONNX. A network that uses any other is refused by name."""

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exit.compile.onnx.graph import Graph, element_type, is_batch
from exit.errors import UserError

Translation = Callable[[Graph, Any, list[str]], str | list[str]]
"""`translation(graph, equation, inputs)`: adds nodes; returns the names of the equation's results."""

_SAME_INPUTS = {
    "abs": "Abs", "add": "Add", "and": "And", "ceil": "Ceil", "copy": "Identity", "cos": "Cos", "div": "Div",
    "eq": "Equal", "erf": "Erf", "exp": "Exp", "floor": "Floor", "ge": "GreaterOrEqual", "gt": "Greater",
    "le": "LessOrEqual", "log": "Log", "logistic": "Sigmoid", "lt": "Less", "max": "Max", "min": "Min",
    "mul": "Mul", "neg": "Neg", "not": "Not", "or": "Or", "pow": "Pow", "sign": "Sign", "sin": "Sin",
    "sqrt": "Sqrt", "stop_gradient": "Identity", "sub": "Sub", "tanh": "Tanh",
}  # fmt: skip
_REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}


def _renamed(operator: str) -> Translation:
    return lambda graph, equation, inputs: graph.add(operator, *inputs)


def _reduction(operator: str) -> Translation:
    def translate(graph: Graph, equation: Any, inputs: list[str]) -> str:
        axes = graph.integers([int(axis) for axis in equation.params["axes"]])
        return graph.add(operator, inputs[0], axes, keepdims=0)

    return translate


def _one(equation: Any) -> np.ndarray:
    return np.ones((), equation.invars[0].aval.dtype)


def _rsqrt(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Reciprocal", graph.add("Sqrt", inputs[0]))


def _square(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Mul", inputs[0], inputs[0])


def _log1p(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Log", graph.add("Add", inputs[0], graph.constant(_one(equation))))


def _expm1(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Sub", graph.add("Exp", inputs[0]), graph.constant(_one(equation)))


def _not_equal(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Not", graph.add("Equal", *inputs))


def _integer_pow(graph: Graph, equation: Any, inputs: list[str]) -> str:
    power = np.asarray(equation.params["y"], equation.invars[0].aval.dtype)
    return graph.add("Pow", inputs[0], graph.constant(power))


def _select(graph: Graph, equation: Any, inputs: list[str]) -> str:
    which, *cases = inputs
    if len(cases) != 2 or equation.invars[0].aval.dtype != np.bool_:
        raise UserError(
            f"the network selects among {len(cases)} cases; ONNX here knows two, by a truth value"
        )
    return graph.add("Where", which, cases[1], cases[0])


def _cast(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Cast", inputs[0], to=element_type(equation.params["new_dtype"]))


def _reshape(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Also `squeeze` and `expand_dims`, which say their result's shape as well."""
    return graph.reshaped(inputs[0], equation.outvars[0].aval.shape)


def _broadcast(graph: Graph, equation: Any, inputs: list[str]) -> str:
    shape, places = equation.outvars[0].aval.shape, equation.params["broadcast_dimensions"]
    known: list[Any] = [1] * len(shape)
    for place, size in zip(places, equation.invars[0].aval.shape, strict=True):
        known[place] = size
    return graph.expanded(graph.reshaped(inputs[0], known), shape, known)


def _transpose(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return _permuted(graph, inputs[0], equation.params["permutation"])


def _permuted(graph: Graph, operand: str, order: Sequence[int]) -> str:
    order = [int(axis) for axis in order]
    return operand if order == sorted(order) else graph.add("Transpose", operand, perm=order)


def _concatenate(graph: Graph, equation: Any, inputs: list[str]) -> str:
    return graph.add("Concat", *inputs, axis=int(equation.params["dimension"]))


def _split(graph: Graph, equation: Any, inputs: list[str]) -> list[str]:
    sizes = [int(size) for size in equation.params["sizes"]]
    names = graph.fresh("split", len(sizes))
    arguments = [inputs[0], graph.integers(sizes)]
    return graph.add_many("Split", arguments, names, {"axis": int(equation.params["axis"])})


def _slice(graph: Graph, equation: Any, inputs: list[str]) -> str:
    shape, params = equation.invars[0].aval.shape, equation.params
    strides = params["strides"] or (1,) * len(shape)
    bounds = list(zip(params["start_indices"], params["limit_indices"], strides, strict=True))
    # The batch is never cut, and where it ends is not known.
    axes = [axis for axis, size in enumerate(shape) if not is_batch(size)]
    columns = [graph.integers([int(bounds[axis][part]) for axis in axes]) for part in range(3)]
    return graph.add("Slice", inputs[0], *columns[:2], graph.integers(axes), columns[2])


def _iota(graph: Graph, equation: Any, inputs: list[str]) -> str:
    shape, axis = equation.outvars[0].aval.shape, equation.params["dimension"]
    known = [size if place == axis else 1 for place, size in enumerate(shape)]
    numbers = np.arange(int(shape[axis]), dtype=equation.params["dtype"]).reshape(
        [int(size) for size in known]
    )
    return graph.expanded(graph.constant(numbers), shape, known)


def _dot_general(graph: Graph, equation: Any, inputs: list[str]) -> str:
    (contracted, batched) = equation.params["dimension_numbers"]
    left, right = (len(atom.aval.shape) for atom in equation.invars)
    if right == 2 and tuple(map(tuple, contracted)) == ((left - 1,), (0,)) and not batched[0]:
        return graph.add("MatMul", *inputs)
    letters = iter(string.ascii_lowercase)
    terms = [[next(letters) for _ in range(left)], [next(letters) for _ in range(right)]]
    for ours, theirs in (*zip(*contracted, strict=True), *zip(*batched, strict=True)):
        terms[1][theirs] = terms[0][ours]
    gone = [{*contracted[side], *batched[side]} for side in (0, 1)]
    result = [terms[0][axis] for axis in batched[0]]
    result += [letter for side in (0, 1) for axis, letter in enumerate(terms[side]) if axis not in gone[side]]
    return graph.add("Einsum", *inputs, equation=f"{','.join(map(''.join, terms))}->{''.join(result)}")


def _convolution(graph: Graph, equation: Any, inputs: list[str]) -> str:
    params = equation.params
    numbers = params["dimension_numbers"]
    if set(params["lhs_dilation"]) != {1} or params["batch_group_count"] != 1:
        raise UserError("the network has a transposed convolution, which has no translation into ONNX here")
    pads = [int(before) for before, _ in params["padding"]] + [int(after) for _, after in params["padding"]]
    found = graph.add(
        "Conv",
        _permuted(graph, inputs[0], numbers.lhs_spec),
        _permuted(graph, inputs[1], numbers.rhs_spec),
        pads=pads,
        strides=list(params["window_strides"]),
        dilations=list(params["rhs_dilation"]),
        group=int(params["feature_group_count"]),
    )
    return _permuted(graph, found, np.argsort(numbers.out_spec).tolist())


def _gather(graph: Graph, equation: Any, inputs: list[str]) -> str:
    """Entries along one axis; the other kinds of gathering are refused."""
    numbers, (operand, indices) = equation.params["dimension_numbers"], equation.invars
    axes, rank, extra = numbers.start_index_map, operand.aval.ndim, indices.aval.ndim - 1
    axis = axes[0]
    offsets = (*range(axis), *range(axis + extra, rank - 1 + extra))
    plain = (
        len(axes) == 1
        and numbers.collapsed_slice_dims == axes
        and not numbers.operand_batching_dims
        and numbers.offset_dims == offsets
        and "PROMISE_IN_BOUNDS" in str(equation.params["mode"])
    )
    if not plain:
        raise UserError(
            "the network uses a 'gather' that is no look-up along one axis; compile it to stablehlo"
        )
    places = graph.reshaped(inputs[1], indices.aval.shape[:-1])
    return graph.add("Gather", inputs[0], places, axis=int(axis))


TRANSLATIONS: dict[str, Translation] = {
    **{name: _renamed(operator) for name, operator in _SAME_INPUTS.items()},
    **{name: _reduction(operator) for name, operator in _REDUCTIONS.items()},
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "convert_element_type": _cast,
    "dot_general": _dot_general,
    "expand_dims": _reshape,
    "expm1": _expm1,
    "gather": _gather,
    "integer_pow": _integer_pow,
    "iota": _iota,
    "log1p": _log1p,
    "ne": _not_equal,
    "reshape": _reshape,
    "rsqrt": _rsqrt,
    "select_n": _select,
    "slice": _slice,
    "split": _split,
    "square": _square,
    "squeeze": _reshape,
    "transpose": _transpose,
}
"""By the name of the primitive."""
