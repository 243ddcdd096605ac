"""An ONNX graph under construction: nodes, constants, and shapes of which the batch is not known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from exit.errors import UserError


class Graph:
    """Nodes and constants, each under a name of its own.

    Attributes:
      nodes: in the order of evaluation.
      constants: tensors by name.
    """

    def __init__(self, observation: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._observation, self._batch, self._count = observation, "", 0
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node with one result; returns the result's name."""
        return self.add_many(operator, inputs, [name or self._fresh(operator)], attributes)[0]

    def add_many(
        self, operator: str, inputs: Sequence[str], names: Sequence[str], attributes: dict[str, Any]
    ) -> list[str]:
        """A node with several results, of these names."""
        self.nodes.append(helper.make_node(operator, list(inputs), list(names), **attributes))
        return list(names)

    def fresh(self, operator: str, count: int) -> list[str]:
        """So many new names."""
        return [self._fresh(operator) for _ in range(count)]

    def named(self, name: str, array: np.ndarray) -> str:
        """A constant of this name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def constant(self, array: np.ndarray) -> str:
        """A constant; equal ones are kept once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.named(self._fresh("constant"), array)
        return self._known[key]

    def integers(self, numbers: Sequence[int]) -> str:
        """A constant vector of whole numbers, as axes and shapes are given."""
        return self.constant(np.asarray(numbers, np.int64))

    def batch_size(self) -> str:
        """The number of observations, as a vector of one."""
        if not self._batch:
            shape = self.add("Shape", self._observation)
            self._batch = self.add("Gather", shape, self.integers([0]), axis=0)
        return self._batch

    def reshaped(self, operand: str, shape: Sequence[Any]) -> str:
        """The operand in another shape, of which one size at most is the batch's."""
        sizes = [-1 if is_batch(size) else int(size) for size in shape]
        if sizes.count(-1) > 1:
            raise UserError(
                f"the network makes an array of shape {tuple(shape)}, which ONNX cannot express here"
            )
        return self.add("Reshape", operand, self.integers(sizes))

    def expanded(self, operand: str, shape: Sequence[Any], known: Sequence[Any]) -> str:
        """The operand, whose sizes are `known`, repeated along those that are 1 until it has the shape."""
        if [str(size) for size in shape] == [str(size) for size in known]:
            return operand
        parts = []
        for size, before in zip(shape, known, strict=True):
            if is_batch(size):
                # A size of 1 leaves the operand's own.
                parts.append(self.integers([1]) if is_batch(before) else self.batch_size())
            else:
                parts.append(self.integers([int(size)]))
        return self.add("Expand", operand, self.add("Concat", *parts, axis=0))

    def _fresh(self, operator: str) -> str:
        self._count += 1
        return f"{operator.lower()}_{self._count}"


def is_batch(size: Any) -> bool:
    """Whether a size is that of the batch.

    Raises:
      UserError: it is another size that depends on the batch's.
    """
    if isinstance(size, int | np.integer):
        return False
    if str(size) != "batch":
        raise UserError(
            f"the network makes an array with an axis of size {size}, which ONNX cannot express here"
        )
    return True


def element_type(dtype: Any) -> int:
    """ONNX's number of an element type."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
