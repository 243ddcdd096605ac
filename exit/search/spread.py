"""A batch divided among the local devices: on a CPU, one for each core (see `exit.devices`)."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import PartitionSpec

from exit.network import Params

Batch = TypeVar("Batch")
Result = TypeVar("Result")

_FEWEST = 4
"""States that a device is worth giving."""


def over_devices(function: Callable[[Params, Batch], Result], params: Params, batch: Batch) -> Result:
    """`function(params, batch)`, every device working on its share of the batch's leading axis.

    The states of a batch are independent, so the result is the same, up to how the network rounds. Where a
    caller has divided the batch already, or it is too small or does not divide, one device does it all.
    """
    num_states = jax.tree.leaves(batch)[0].shape[0]
    devices = jax.local_devices()
    shares = [n for n in range(len(devices), 1, -1) if num_states % n == 0 and num_states // n >= _FEWEST]
    if not shares or jax.sharding.get_abstract_mesh().manual_axes:
        return function(params, batch)
    mesh = jax.make_mesh((shares[0],), ("batch",), devices=devices[: shares[0]])
    whole, part = PartitionSpec(), PartitionSpec("batch")
    # Shapes are those of one share, and nothing is exchanged: there is no replication to check.
    spread: Any = jax.shard_map(function, mesh=mesh, in_specs=(whole, part), out_specs=part, check_vma=False)
    return spread(params, batch)
