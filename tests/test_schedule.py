"""The halving schedule, against its definition in plain Python."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.search.schedule import considered_visit


def _halving(num_considered: int, budget: int) -> list[int]:
    """Visits that the action visited next has had, for each simulation of sequential halving.

    In each of ceil(log2(m)) phases, all that are still in the running get equally many visits, so that the
    phases share the budget; then the better half goes on. Two are left until the budget ends.
    """
    if num_considered <= 1:
        return list(range(budget))
    num_phases = (num_considered - 1).bit_length()
    running, had, entries = num_considered, 0, []
    while len(entries) < budget:
        each = max(1, budget // (num_phases * running))
        entries += [had + turn for turn in range(each) for _ in range(running)]
        had, running = had + each, max(2, running // 2)
    return entries[:budget]


@pytest.mark.parametrize("bound", [17, 64])
def test_the_halving_schedule_is_that_of_its_definition(bound: int) -> None:
    budgets = [*range(1, 70), 100, 200, 511]
    considered = [*range(18), *([40] if bound > 17 else [])]
    cases = [(m, n, i) for m in considered for n in budgets for i in range(n)]
    num_considered, budget, index = (jnp.array(column) for column in zip(*cases, strict=True))
    found = jax.jit(functools.partial(considered_visit, max_num_considered=bound))(
        budget, num_considered, index
    )
    expected = np.concatenate([_halving(m, n) for m in considered for n in budgets])
    np.testing.assert_array_equal(found, expected)


def test_the_halving_schedule_by_hand() -> None:
    found = considered_visit(jnp.int32(16), jnp.int32(4), jnp.arange(16), max_num_considered=16)
    # Two phases of 8: four actions twice, then the better two four times.
    assert found.tolist() == [0] * 4 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, 5]
