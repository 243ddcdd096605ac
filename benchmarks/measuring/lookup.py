"""What looking states up in a table on the device costs."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt32

from exit.search.tree import before_writing
from measuring.networks import seconds

_PROBES = 8
"""Places that are looked at at once; beyond them a key counts as new."""


class Table(NamedTuple):
    """Open addressing with linear probing; a key of zeros is an empty place.

    Attributes:
      keys: 64 bits each.
      rows: what is kept of each key.
    """

    keys: UInt32[Array, "N 2"]
    rows: Int[Array, " N"]


def microseconds_per_step(num_lanes: int, num_steps: int, num_places: int) -> float:
    """Time to look up `num_lanes` keys and enter the new ones; every key comes about twice.

    The least of several runs, without what the keys of the steps themselves take.
    """
    run = functools.partial(jax.jit(_run, static_argnums=(1, 2, 3)), num_steps, num_lanes, num_places)
    times = {}
    for enters in (True, False):
        jax.block_until_ready(run(enters))
        times[enters] = min(seconds(functools.partial(run, enters)) for _ in range(5))
    return 1e6 * (times[True] - times[False]) / num_steps


def _run(num_steps: int, num_lanes: int, num_places: int, enters: bool) -> Any:
    lane = jnp.arange(num_lanes, dtype=jnp.uint32)
    start = Table(jnp.zeros((num_places, 2), jnp.uint32), jnp.full(num_places, -1, jnp.int32))

    def step(index: Int[Array, ""], carry: tuple[Table, Array]) -> tuple[Table, Array]:
        table, seen = carry
        # The result of the step before, so that no step can begin early, as in a search.
        number = _mixed(index.astype(jnp.uint32) * num_lanes + lane + 0 * seen.astype(jnp.uint32))
        number = number % jnp.uint32(num_steps * num_lanes // 2) + 1
        keys = jnp.stack([_mixed(number) | 1, number], axis=-1)
        if not enters:
            return table, seen + jnp.sum(keys).astype(jnp.int32)
        table, row = _look_up(table, keys, index * num_lanes + lane.astype(jnp.int32))
        return table, seen + jnp.sum(row)

    return jax.lax.fori_loop(0, num_steps, step, (start, jnp.int32(0)))[1]


def _look_up(
    table: Table, keys: UInt32[Array, "L 2"], rows: Int[Array, " L"]
) -> tuple[Table, Int[Array, " L"]]:
    """The row of each key that is in the table; a key that is not is entered with its row."""
    num_places = table.rows.shape[0]

    def read(keys: UInt32[Array, "L 2"]) -> tuple[Array, Array, Array]:
        first = _mixed(keys[:, 0] ^ _mixed(keys[:, 1])) % jnp.uint32(num_places)
        places = (first[:, None] + jnp.arange(_PROBES, dtype=jnp.uint32)) % jnp.uint32(num_places)
        held = table.keys[places]
        same, empty = jnp.all(held == keys[:, None], axis=-1), jnp.all(held == 0, axis=-1)
        probe = jnp.argmax(same | empty, axis=-1)
        place = jnp.take_along_axis(places, probe[:, None], axis=-1)[:, 0].astype(jnp.int32)
        found = jnp.take_along_axis(same, probe[:, None], axis=-1)[:, 0]
        return place, found, jnp.where(found, table.rows[place], rows)

    (place, found, row), rows = before_writing(read, (keys,), rows)
    where = jnp.where(found, num_places, place)
    return Table(
        table.keys.at[where].set(keys, mode="drop"), table.rows.at[where].set(rows, mode="drop")
    ), row


def _mixed(number: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """A number whose bits all depend on all bits of the one given (the finaliser of MurmurHash3)."""
    number = (number ^ (number >> 16)) * jnp.uint32(0x85EBCA6B)
    number = (number ^ (number >> 13)) * jnp.uint32(0xC2B2AE35)
    return number ^ (number >> 16)
