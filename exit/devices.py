"""The devices of this machine: on a CPU one for each core, so that a batch keeps all of them busy."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Real

Whole = TypeVar("Whole")
Batch = TypeVar("Batch")
Result = TypeVar("Result")

_FEWEST = 4
"""Entries of a batch that a device is worth giving."""

_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def use_all_cores() -> None:
    """Make the cores that this process may use devices; call it before anything runs in JAX.

    As many as the greatest power of two among them, by which batches divide. XLA divides single
    operations among the cores, which gains little where they are small; a core that works on its own
    part of a batch loses nothing. Without effect where JAX runs on a GPU, where the variable
    JAX_NUM_CPU_DEVICES decides already, and once JAX has started.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "JAX_NUM_CPU_DEVICES" in os.environ or "xla_force_host_platform_device_count" in flags:
        return
    affinity = getattr(os, "sched_getaffinity", None)
    try:
        num_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
        jax.config.update("jax_num_cpu_devices", 1 << (num_cores.bit_length() - 1))
    except RuntimeError:  # JAX has started.
        return
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_ONE_THREAD}".strip()


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
    mesh = _mesh(work.shape[0])
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


def divided(batch: Batch) -> Batch:
    """The same batch, placed such that what is computed from it is divided among the local devices."""
    mesh = _mesh(jax.tree.leaves(batch)[0].shape[0])
    if mesh is None or jax.sharding.get_abstract_mesh().manual_axes:
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("batch")))


def everywhere(tree: Whole) -> Whole:
    """The same arrays, a copy of each on every local device.

    A loop whose state starts and ends like this is compiled once: where arrays lie is part of a program.
    """
    devices = jax.local_devices()
    if len(devices) == 1:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(_all_devices(), PartitionSpec()))


def _mesh(size: int) -> Mesh | None:
    """All local devices, if there are several and a batch of this size is worth dividing among them."""
    count = len(jax.local_devices())
    return _all_devices() if count > 1 and size % count == 0 and size // count >= _FEWEST else None


def _all_devices() -> Mesh:
    return Mesh(np.array(jax.local_devices()), ("batch",))
