"""The sequential-halving schedule as a function of the budget: no table, so no budget is compiled in."""

import jax.numpy as jnp
from jaxtyping import Array, Int


def considered_visit(
    budget: Int[Array, "..."],
    num_considered: Int[Array, "..."],
    simulation_index: Int[Array, "..."],
    *,
    max_num_considered: int,
) -> Int[Array, "..."]:
    """How many visits the root actions now in the running have had.

    Sequential halving (Karnin et al. 2013) splits the budget into about log2(m) phases; every phase
    visits its actions equally often and the better half goes on, until two are left. A schedule cut
    short is not the schedule of the smaller budget: phase lengths depend on the whole budget.

    The closed form of `mctx`'s table, entry by entry; arguments broadcast.

    Args:
      budget: simulations in all, at least 1.
      num_considered: actions in the running at the start, in [0, max_num_considered].
      simulation_index: simulations done so far.
      max_num_considered: static bound of `num_considered`.
    """
    num_phases = jnp.maximum(1, _ceil_log2(num_considered, max_num_considered))
    in_running = jnp.maximum(num_considered, 1)
    start = jnp.zeros_like(simulation_index)
    visits_before = jnp.zeros_like(simulation_index)
    result = jnp.zeros_like(simulation_index)
    # One phase for each possible halving, and a last one in which two actions stay until the budget ends.
    for _ in range(max(max_num_considered, 2).bit_length() + 1):
        visits_each = jnp.maximum(1, budget // (num_phases * in_running))
        result = jnp.where(
            simulation_index >= start, visits_before + (simulation_index - start) // in_running, result
        )
        start = start + visits_each * in_running
        visits_before = visits_before + visits_each
        in_running = jnp.maximum(2, in_running // 2)
    return jnp.where(num_considered <= 1, simulation_index, result)


def _ceil_log2(x: Int[Array, "..."], max_x: int) -> Int[Array, "..."]:
    """Smallest p with 2**p >= x, exactly."""
    powers = 2 ** jnp.arange(max(max_x, 1).bit_length() + 1)
    return jnp.sum(powers < x[..., None], axis=-1)
