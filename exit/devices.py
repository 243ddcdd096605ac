"""The devices of this machine: on a CPU one for each core, so that a batch keeps all of them busy."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxlib import xla_client
from jaxtyping import Array, Int, Real

from exit.memory import keep_freed_memory

Own = TypeVar("Own")
NewOwn = TypeVar("NewOwn")
Whole = TypeVar("Whole")
Batch = TypeVar("Batch")
Result = TypeVar("Result")

_in_use: ContextVar[tuple[Any, ...] | None] = ContextVar("devices in use", default=None)

_FEWEST = 4
"""Entries of a batch that a device is worth giving."""

_NUM_THREADS = "PJRT_NPROC"
"""The variable from which XLA takes how many threads the devices of a CPU client share."""

_FLAGS = {
    # A device is one core: small operations lose more by changing threads than they gain.
    "xla_cpu_multi_thread_eigen": "false",
    "xla_cpu_enable_concurrency_optimized_scheduler": "false",
    "xla_cpu_experimental_ynn_fusion_type": "",
}


def use_all_cores() -> None:
    """Make all cores that this process may use devices; see `use_cores`."""
    affinity = getattr(os, "sched_getaffinity", None)
    use_cores(len(affinity(0)) if affinity else os.cpu_count() or 1)


def use_cores(num_cores: int) -> None:
    """Make so many cores devices; call it before anything runs in JAX.

    As many as the greatest power of two among them, by which batches divide. XLA divides single
    operations among the cores, which gains little where they are small; a core that works on its own
    part of a batch loses nothing. Without effect where JAX runs on a GPU, where the variable
    JAX_NUM_CPU_DEVICES decides already, and once JAX has started. Freed memory is kept in any case, see
    `exit.memory`.
    """
    keep_freed_memory()
    flags = os.environ.get("XLA_FLAGS", "")
    if "JAX_NUM_CPU_DEVICES" in os.environ or "xla_force_host_platform_device_count" in flags:
        return
    try:
        jax.config.update("jax_num_cpu_devices", 1 << (num_cores.bit_length() - 1))
    except RuntimeError:  # JAX has started.
        return
    ours = (f"--{name}={value}" for name, value in _FLAGS.items() if name not in flags)
    os.environ["XLA_FLAGS"] = " ".join([flags, *ours]).strip()


def on_cpu() -> bool:
    """Whether programs run on processor cores, not on an accelerator."""
    return jax.default_backend() == "cpu"


def halves() -> tuple[Sequence[Any], Sequence[Any]] | None:
    """The first half of the devices and the second; None where there is one, or several processes learn.

    On a CPU the halves are devices of their own, as many, with threads of their own. Devices that JAX makes
    together lend each other threads: the routine that multiplies bfloat16 divides a product among all, which
    where all are busy takes a quarter more of their time (jaxlib 0.10, `benchmarks/iteration_speed.py`).
    """
    devices = jax.local_devices()
    middle = len(devices) // 2
    if not middle or jax.process_count() > 1:
        return None
    return (_apart(middle, 0), _apart(middle, 1)) if on_cpu() else (devices[:middle], devices[middle:])


@functools.cache
def _apart(count: int, which: int) -> tuple[Any, ...]:
    """So many CPU devices with as many threads, that know of no others; made once for each `which`."""
    before = os.environ.get(_NUM_THREADS)
    os.environ[_NUM_THREADS] = str(count)
    try:
        return tuple(xla_client.make_cpu_client(num_devices=count).local_devices())
    finally:
        if before is None:
            del os.environ[_NUM_THREADS]
        else:
            os.environ[_NUM_THREADS] = before


@contextlib.contextmanager
def using(devices: Sequence[Any] | None) -> Iterator[None]:
    """Within, these devices are all that there are for what this module does; None for no change.

    Programs that two sets of devices are given run at the same time.
    """
    if devices is None:
        yield
        return
    token = _in_use.set(tuple(devices))
    try:
        # JAX traces a function again for another default device, and not for other devices in a constraint.
        with jax.default_device(devices[0]):
            yield
    finally:
        _in_use.reset(token)


def devices_in_use() -> tuple[Any, ...]:
    """The devices of this process, or those that `using` says are all that there are."""
    return _in_use.get() or tuple(jax.local_devices())


def placed(tree: Whole) -> Whole:
    """The same arrays, a copy of each on every device in use; not under `jit`."""
    devices = _everyones()
    place = devices[0] if len(devices) == 1 else NamedSharding(_mesh_of(devices), PartitionSpec())
    return jax.device_put(tree, place)


def over_devices(
    function: Callable[[Whole, Batch], Result], whole: Whole, batch: Batch, work: Real[Array, " B"]
) -> Result:
    """`function(whole, batch)`, every local device working on its share of the batch's leading axis.

    For functions that treat the entries of a batch independently: the result is the same, up to how
    products of matrices round. Where a caller has divided the batch already, or it is too small or
    does not divide, one device does it all.

    Args:
      work: how much each entry is expected to take; entries are dealt out such that all devices have as much.
    """
    mesh = _mesh(work.shape[0], devices_in_use())
    if mesh is None or jax.sharding.get_abstract_mesh().manual_axes:
        return function(whole, batch)
    everything, part = PartitionSpec(), PartitionSpec("batch")
    # Nothing is exchanged between the shares, so there is no replication to check.
    spread: Any = jax.shard_map(
        function, mesh=mesh, in_specs=(everything, part), out_specs=part, check_vma=False
    )
    # Entries in order of their work, dealt like cards.
    order = jnp.argsort(-work, stable=True).reshape(-1, mesh.size).T.reshape(-1)
    result = spread(whole, jax.tree.map(lambda leaf: leaf[order], batch))
    back = jnp.argsort(order)
    return jax.tree.map(lambda leaf: leaf[back], result)


@dataclass(frozen=True)
class Team:
    """Devices that compute in step, as one of them sees them.

    Attributes:
      index: which of them this one is.
      count: how many there are.
    """

    index: Int[Array, ""] | int
    count: int


def in_step(
    function: Callable[[Team, Own, Whole], tuple[NewOwn, Result]], own: Own, whole: Whole
) -> tuple[NewOwn, Result]:
    """`function(team, own, whole)` on every local device; its second result must be the same on all.

    Within, devices learn of each other through `gathered`, which all must reach equally often. Where a caller
    has given each device its share already, a device is a team of one.

    Args:
      own: what each device has for itself; leaves have a leading axis of devices, which `function` does
        not see. So has the first result.
      whole: what all devices are given.
    """
    count = team_size()

    def on_each(own: Own, whole: Whole) -> tuple[NewOwn, Result]:
        index = jax.lax.axis_index("batch") if count > 1 else 0
        new_own, result = function(Team(index, count), jax.tree.map(lambda leaf: leaf[0], own), whole)
        return jax.tree.map(lambda leaf: leaf[None], new_own), result

    if count == 1:
        return on_each(own, whole)
    each, everything = PartitionSpec("batch"), PartitionSpec()
    together: Any = jax.shard_map(
        on_each,
        mesh=_all_devices(),
        in_specs=(each, everything),
        out_specs=(each, everything),
        check_vma=False,
    )
    return together(own, whole)


def team_size() -> int:
    """How many devices `in_step` uses here."""
    return 1 if jax.sharding.get_abstract_mesh().manual_axes else len(devices_in_use())


def for_step(own: Own, whole: Whole) -> tuple[Own, Whole]:
    """Arrays where `in_step` wants them; not under `jit`.

    Where arrays lie is part of a program: what is placed alike is compiled once.
    """
    if len(devices_in_use()) == 1:
        return own, whole
    places = (NamedSharding(_all_devices(), spec) for spec in (PartitionSpec("batch"), PartitionSpec()))
    own_place, whole_place = places
    return jax.device_put(own, own_place), jax.device_put(whole, whole_place)


def gathered(team: Team, array: Array) -> Array:
    """The array of every device of a team, along a new leading axis."""
    return array[None] if team.count == 1 else jax.lax.all_gather(array, "batch")


def divided(batch: Batch) -> Batch:
    """The same batch, placed such that what is computed from it is divided among the devices.

    Where `jax.distributed` has joined several processes, among those of all: each is given the whole batch,
    and computes its share.
    """
    mesh = _mesh(jax.tree.leaves(batch)[0].shape[0], _everyones())
    if mesh is None or jax.sharding.get_abstract_mesh().manual_axes:
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("batch")))


def everywhere(tree: Whole) -> Whole:
    """The same arrays, a copy of each on every device, of all processes that `jax.distributed` has joined.

    A loop whose state starts and ends like this is compiled once: where arrays lie is part of a program.
    """
    devices = _everyones()
    if len(devices) == 1:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(_mesh_of(devices), PartitionSpec()))


def can_divide(size: int) -> bool:
    """Whether there are several devices and a batch of this size is worth dividing among them."""
    return _mesh(size, devices_in_use()) is not None


def _mesh(size: int, devices: Sequence[Any]) -> Mesh | None:
    """The devices, if there are several and a batch of this size is worth dividing among them."""
    count = len(devices)
    return _mesh_of(devices) if count > 1 and size % count == 0 and size // count >= _FEWEST else None


def _everyones() -> Sequence[Any]:
    """The devices in use of all processes that `jax.distributed` has joined."""
    return _in_use.get() or jax.devices()


def _all_devices() -> Mesh:
    return _mesh_of(devices_in_use())


def _mesh_of(devices: Sequence[Any]) -> Mesh:
    return Mesh(np.array(devices), ("batch",))
