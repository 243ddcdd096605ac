"""The reflex as an ONNX model, which runs without JAX.

The libraries are an extra of their own, so that nothing here is imported before it is asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from exit.agent import Agent
from exit.compile.files import write_bytes
from exit.compile.reflex import NetworkFn
from exit.errors import UserError

__all__ = ["load_onnx", "onnx_of", "require_onnx", "run_of", "save_onnx"]


def require_onnx() -> None:
    """Makes sure before the work that the libraries are installed.

    Raises:
      UserError: one is not.
    """
    _model()


def onnx_of(agent: Agent) -> bytes:
    """The network with its parameters in it, for batches of any size, in single precision.

    Input `observation`, outputs `prior_logits` and `value`.

    Raises:
      UserError: the libraries are not installed, or the network does what has no counterpart in ONNX.
    """
    return _model().model_of(agent)


def save_onnx(path: Path, model: bytes, header: Mapping[str, Any]) -> None:
    """Writes a model; the header is its metadata `xit`, as JSON.

    Raises:
      UserError: the libraries are not installed, or it cannot be written.
    """
    content = _model().with_header(model, header)
    write_bytes(path, lambda file: file.write(content))


def load_onnx(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the model of such a file.

    Raises:
      UserError: the libraries are not installed, there is no such file, or it holds none.
    """
    return _model().loaded(path)


def run_of(model: bytes) -> NetworkFn:
    """The model, run by onnxruntime, as a function of observations.

    Raises:
      UserError: the libraries are not installed.
    """
    return _model().session_of(model)


def _model() -> ModuleType:
    try:
        from exit.compile.onnx import model
    except ImportError as error:
        raise UserError(
            f"ONNX models need the libraries onnx and onnxruntime ({error}); install the extra: "
            "pip install 'xit[onnx]'"
        ) from error
    return model
