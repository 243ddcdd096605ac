"""Functions whose compiled programs outlive the process: a later one neither traces nor compiles them.

JAX's own cache spares the compiling, but must trace and lower a function before it knows what to look for,
which takes as long as a process takes to start. Here a program is looked for by what it is made from: the
function and its static arguments, shapes and devices, and the sources of all code that could have a part.
Where a source was edited since the process began, it may run code that is no longer there: nothing is kept.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import os
import pickle
import site
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.experimental import serialize_executable

from exit import caches
from exit.devices import devices_in_use, on_cpu
from exit.jitting import NAMED, Jitted

_SUFFIX = ".program"
_HOME, _PACKAGES = Path(__file__).parents[1], ("exit", "games", "configs")
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "mctx", "pgx", "numpy")
_CONFIG = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
)
_FOR_DEBUGGING = ("jax_debug_nans", "jax_debug_infs", "jax_disable_jit")

# Two passes over loops in loops, as searches are: a fifth of the time that compiling one takes, for code that
# is as fast.
_SOONER: dict[str, Any] = {
    "xla_disable_hlo_passes": "while-loop-invariant-code-motion,simplify-while-loops",
}

_BEGUN_NS = time.time_ns()


class Kept:
    """A jitted function. Its programs are kept where commands keep them; elsewhere it is `jax.jit` alone."""

    def __init__(self, jitted: Jitted) -> None:
        function, names = jitted.function, jitted.names
        functools.update_wrapper(self, function)
        self._name = function.__name__.strip("_")
        donated = sorted(names["donate_argnames"])
        self._function = f"{function.__module__}.{function.__qualname__} {donated}"
        self._jitted = jitted
        # Under a name of its own: what JAX's cache has given back cannot be written again.
        self._apart = jax.jit(_renamed(function), **names)
        self._programs: dict[Hashable, Callable[..., Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any, **static: Hashable) -> Any:
        """The function's result; all arguments but static ones by position."""
        folder = caches.programs_folder()
        if folder is None or not _may_keep():
            return self._jitted(*arguments, **static)
        leaves, tree = jax.tree.flatten(arguments)
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            return self._jitted(*arguments, **static)
        shapes = tuple(map(_shape_of, leaves))
        signature = tree, shapes, devices_in_use(), tuple(sorted(static.items()))
        if signature not in self._programs:
            with self._lock:
                if signature not in self._programs:
                    self._programs[signature] = self._made(folder, signature, arguments, static)
        return self._programs[signature](*arguments)

    def lower(self, *arguments: Any, **static: Hashable) -> jax.stages.Lowered:
        """As of `jax.jit`."""
        return self._jitted.lower(*arguments, **static)

    def num_programs(self) -> int:
        """How many were made, or read, in this process."""
        return self._jitted.num_programs() + len(self._programs)

    def _made(
        self, folder: Path, signature: tuple[Any, ...], arguments: Any, static: dict[str, Any]
    ) -> Callable[..., Any]:
        tree, shapes, devices, values = signature
        digest = _digest_of((self._function, str(tree), *map(_in_words, shapes), values))
        if digest is None:
            return functools.partial(self._jitted, **static)
        path = folder / f"{self._name}-{digest}{_SUFFIX}"
        if (found := _read(path, devices)) is not None:
            return found
        with _not_kept_by_jax():
            lowered = self._apart.lower(*arguments, **static)
            program = lowered.compile(compiler_options=_SOONER | self._jitted.options(static))
        _write(path, program)
        return program


def kept(*, static: Sequence[str] = (), donate: Sequence[str] = ()) -> Callable[[Callable[..., Any]], Kept]:
    """Decorates a function as `Kept`.

    Args:
      static: keyword arguments that a program is made for; described by `description`, else not kept.
      donate: arguments whose memory the result may take.
    """
    return lambda function: Kept(Jitted(function, static=static, donate=donate))


def remembered(name: str, compute: Callable[[], Any], *made_from: Any) -> Any:
    """What `compute` returns, kept as programs are; it depends on `made_from` alone, and can be pickled."""
    folder = caches.programs_folder()
    digest = None if folder is None else _digest_of(made_from)
    if folder is None or digest is None:
        return compute()
    path = folder / f"{name}-{digest}{_SUFFIX}"
    content = _content(path)
    if content is not None:
        return pickle.loads(content)
    value = compute()
    _keep(path, pickle.dumps(value))
    return value


def description(value: Any) -> str | None:
    """A value in words that are the same in every process; None where there are none."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    parts: Sequence[Any]
    if isinstance(value, np.ndarray):
        return f"{kind}({value.dtype}, {value.shape}, {hashlib.sha256(value.tobytes()).hexdigest()})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if not getattr(sys.modules.get(type(value).__module__), "__file__", None):
            return None  # Defined in a notebook, say: who knows what it was before?
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, tuple):
        parts = value
    elif callable(value) and hasattr(value, NAMED):
        kind, parts = f"{value.__module__}.{value.__qualname__}", getattr(value, NAMED)
    else:
        return None
    described = [description(part) for part in parts]
    return None if None in described else f"{kind}({', '.join(map(str, described))})"


def _renamed(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def renamed(*arguments: Any, **static: Any) -> Any:
        return function(*arguments, **static)

    renamed.__name__ = f"kept_{function.__name__}"
    return renamed


def _shape_of(leaf: Any) -> tuple[Hashable, Any]:
    """Type and shape of an argument, and where it must lie."""
    return jax.typeof(leaf), leaf.sharding if isinstance(leaf, jax.Array) and leaf.committed else None


def _in_words(shape: tuple[Any, Any]) -> str:
    kind, where = shape
    devices = sorted(device.id for device in where.device_set) if where is not None else None
    return f"{kind} {kind.weak_type} {where} {devices}"


def _read(path: Path, devices: Sequence[Any]) -> Callable[..., Any] | None:
    """The program in a file, for some of these devices; None where there is none, or a damaged one."""
    content = _content(path)
    if content is None:
        return None
    try:
        device_ids, serialized, in_tree, out_tree = pickle.loads(content)
        client, used = devices[0].client, [device for device in devices if device.id in device_ids]
        program = serialize_executable.deserialize_and_load(
            serialized, in_tree, out_tree, backend=client, execution_devices=used
        )
    except Exception:  # Of another library, say: whatever it is, it is compiled again.
        return None
    return program


def _write(path: Path, program: jax.stages.Compiled) -> None:
    """Keeps a program, unless it cannot be or there is no room."""
    with contextlib.suppress(ValueError, NotImplementedError, pickle.PicklingError):
        shardings = jax.tree.leaves((program.input_shardings, program.output_shardings))
        device_ids = {device.id for sharding in shardings for device in sharding.device_set}
        _keep(path, pickle.dumps((device_ids, *serialize_executable.serialize(program))))


def _content(path: Path) -> bytes | None:
    """What was kept in a file; None where it is not there, or damaged."""
    try:
        content = path.read_bytes()
        path.touch()  # Used: the last to make room.
    except OSError:
        return None
    return content[32:] if content[:32] == hashlib.sha256(content[32:]).digest() else None


def _keep(path: Path, content: bytes) -> None:
    """Keeps something in a file, where there is room."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_bytes(hashlib.sha256(content).digest() + content)
        part.replace(path)


@contextlib.contextmanager
def _not_kept_by_jax() -> Iterator[None]:
    """What is compiled here is not written to JAX's cache too."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = jax.config.values[name]
    jax.config.update(name, float("inf"))
    try:
        yield
    finally:
        jax.config.update(name, before)


def _may_keep() -> bool:
    debugging = any(jax.config.values[name] for name in _FOR_DEBUGGING)
    return on_cpu() and jax.process_count() == 1 and not debugging


def _digest_of(made_from: tuple[Any, ...]) -> str | None:
    """A short name for what something is made from, and all else it depends on; None if there is none."""
    described, sources = description(made_from), _sources()
    if described is None or sources is None:
        return None
    flags = os.environ.get("XLA_FLAGS"), *(jax.config.values[name] for name in _CONFIG)
    everything = repr((described, sources, flags, _versions(), len(jax.local_devices())))
    return hashlib.sha256(everything.encode()).hexdigest()[:32]


@functools.cache
def _versions() -> tuple[str, ...]:
    found = []
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return tuple(found)


def _sources() -> str | None:
    """A digest of this project's files, and of those loaded that come with no library.

    None where one was edited since this process began.
    """
    ours = {path for name in _PACKAGES for path in (_HOME / name).rglob("*.py")}
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    own = {Path(file) for file in files if file and not file.startswith(_libraries())}
    changed = {path: path.stat().st_mtime_ns for path in ours | own if path.is_file()}
    if max(changed.values()) > _BEGUN_NS:
        return None
    digests = [_digest(path, changed[path]) for path in sorted(changed)]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@functools.cache
def _libraries() -> tuple[str, ...]:
    """Where libraries lie, and the commands that start them."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    return tuple(f"{place}{os.sep}" for place in (*places, site.getusersitepackages()))


@functools.cache
def _digest(path: Path, changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
