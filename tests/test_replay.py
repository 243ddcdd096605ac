"""The ring of examples, against a plain Python deque."""

import functools
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exit import replay as ring
from exit.replay import Replay, ReplayConfig
from exit.targets import Targets
from tests.tiny import targets_of


def _examples(numbers: range | list[int]) -> Targets:
    """Examples told apart by a number, found in each of their parts."""
    number = np.array(list(numbers), np.float32)
    cells, weights = np.stack([number, -number], axis=1), np.stack([number, number], axis=1)
    return targets_of({"cells": jnp.asarray(cells)}, weights, number)


def _empty(capacity: int, *, tell_apart: bool = False) -> Replay:
    example = targets_of({"cells": jnp.zeros(2)}, jnp.zeros(2), 0.0)
    return ring.init(example, capacity, tell_apart=tell_apart)


_add = jax.jit(ring.add)
_add_window = jax.jit(functools.partial(ring.add, first_window=4))


@functools.partial(jax.jit, static_argnames=("num", "focus"))
def _sample(replay: Replay, rng_key: jax.Array, num: int, focus: float = 0.0) -> Targets:
    return ring.rows_at(replay, ring.draw(replay, rng_key, num, focus=focus))


def _with_regret(replay: Replay, regret: list[float]) -> Replay:
    return replay._replace(examples=replay.examples._replace(regret=jnp.array(regret)))


def _contents(replay: Replay) -> list[float]:
    return sorted(replay.examples.value.tolist())


def test_what_a_replay_consists_of() -> None:
    replay = _empty(8, tell_apart=True)
    for number, position in enumerate(([5, 5], [5, 7], [9, 5])):
        solved = jnp.array([number == 2, False])
        examples = _examples(range(2))._replace(solved=solved)
        replay = _add(replay, examples, jnp.array(position, jnp.uint32))
    found = ring.composition(replay)
    assert found["replay_size"] == 6
    assert found["replay_proven"] == pytest.approx(1 / 6)
    assert found["replay_distinct"] == pytest.approx(3 / 6)
    assert found["target_age"] == pytest.approx(1.0)
    assert ring.composition(_add(_empty(8), _examples(range(2))))["replay_distinct"] is None


@pytest.mark.parametrize(("num_new", "rounds"), [(1, 1), (2, 3), (5, 2)])
@given(num_adds=st.integers(0, 11))
@example(num_adds=11)
def test_it_keeps_what_a_deque_keeps(num_new: int, rounds: int, num_adds: int) -> None:
    capacity = num_new * rounds
    replay, kept = _empty(capacity), deque[int](maxlen=capacity)
    for index in range(num_adds):
        numbers = range(1 + index * num_new, 1 + (index + 1) * num_new)
        replay = _add(replay, _examples(numbers))
        kept.extend(numbers)
        assert int(replay.window) == len(kept)
    unwritten = [0] * (capacity - len(kept))
    assert _contents(replay) == sorted([*unwritten, *kept])


def test_the_parts_of_an_example_stay_together() -> None:
    replay = _empty(6)
    for start in (1, 4, 7):
        replay = _add(replay, _examples(range(start, start + 3)))
    drawn = _sample(replay, jax.random.key(0), 50)
    np.testing.assert_array_equal(drawn.state["cells"][:, 0], drawn.value)
    np.testing.assert_array_equal(drawn.state["cells"][:, 1], -drawn.value)
    np.testing.assert_array_equal(drawn.action_weights, np.stack([drawn.value] * 2, axis=1))


@pytest.mark.parametrize("num_adds", [1, 2, 3, 5])
def test_it_draws_all_that_was_written_and_nothing_else(num_adds: int) -> None:
    replay = _empty(9)
    for index in range(num_adds):
        replay = _add(replay, _examples(range(1 + 3 * index, 4 + 3 * index)))
    drawn = _sample(replay, jax.random.key(1), 400).value
    assert set(drawn.tolist()) == set(range(max(1, 3 * num_adds - 8), 3 * num_adds + 1))


@pytest.mark.parametrize("focus", [0.0, 1.0])
@pytest.mark.parametrize(
    ("num_adds", "window"), [(1, 2), (2, 4), (3, 5), (4, 6), (13, 16), (20, 22), (41, 24)]
)
def test_a_window_of_the_newest_is_drawn_and_grows(num_adds: int, window: int, focus: float) -> None:
    """Powers of 3/4 by hand: of 2 examples an iteration and a window of 4 at first, 4 (2n / 4) ** 0.75."""
    replay = _empty(24)
    for index in range(num_adds):
        replay = _add_window(replay, _examples(range(1 + 2 * index, 3 + 2 * index)))
    assert int(replay.window) == window
    assert ring.composition(replay)["replay_size"] == window
    drawn = _sample(replay, jax.random.key(5), 600, focus).value
    assert set(drawn.tolist()) == set(range(1 + 2 * num_adds - window, 1 + 2 * num_adds))


def test_rarity_counts_nothing_before_the_window() -> None:
    replay = _empty(6, tell_apart=True)
    for position in ([7, 8], [7, 8], [7, 9], [8, 8]):
        replay = ring.add(replay, _examples([1, 2]), jnp.array(position, jnp.uint32), first_window=2)
    # Of the six that are kept the first, in the third row, is before a window of 5.
    assert int(replay.window) == 5
    np.testing.assert_allclose(ring.rarities(replay, 1.0), [1 / 3, 1 / 3, 0, 1 / 3, 1 / 2, 1])


def test_it_draws_uniformly() -> None:
    replay = ring.add(_empty(8), _examples(range(1, 5)))
    drawn = np.asarray(_sample(replay, jax.random.key(2), 4000).value)
    counts = np.bincount(drawn.astype(int), minlength=5)[1:]
    # Five standard deviations of a binomial count.
    assert (np.abs(counts - 1000) < 5 * np.sqrt(4000 * 0.25 * 0.75)).all()


def test_it_draws_by_what_the_network_gives_away() -> None:
    """The last four are not written, whatever is left there."""
    replay = _with_regret(
        ring.add(_empty(8), _examples(range(1, 5))), [1.0, 0.0, 3.0, 0.0, 9.0, 9.0, 9.0, 9.0]
    )
    drawn = np.asarray(_sample(replay, jax.random.key(2), 4000, 0.5).value).astype(int)
    even, focused = (np.bincount(part, minlength=5)[1:] for part in (drawn[:2000], drawn[2000:]))
    assert (np.abs(even - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)).all()
    assert focused[1] == focused[3] == 0
    assert abs(focused[0] - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_where_nothing_is_given_away_all_are_alike() -> None:
    replay = ring.add(_empty(8), _examples(range(1, 5)))
    drawn = np.asarray(_sample(replay, jax.random.key(2), 4000, 1.0).value).astype(int)
    assert (np.abs(np.bincount(drawn, minlength=5)[1:] - 1000) < 5 * np.sqrt(4000 * 0.25 * 0.75)).all()


@pytest.mark.parametrize(("seed", "written"), [(1, 2_633_728), (3, 2_633_728), (5, 1_146_368)])
def test_of_a_large_ring_nothing_is_drawn_that_is_not_written(seed: int, written: int) -> None:
    """A running sum in floats may rise where nothing is added; with this key a part rounds to the whole."""
    weight = jax.random.uniform(jax.random.key(seed), (1 << 22,))
    weight = jnp.where(jnp.arange(1 << 22) < written, weight, 0.0)
    drawn = ring._in_proportion(weight, jax.random.key(21311), 1024)
    assert (np.asarray(drawn) < written).all()
    assert len(np.unique(np.asarray(drawn))) > 1000


@pytest.mark.parametrize("rarity", [0.5, 1.0])
def test_rare_positions_count_for_more(rarity: float) -> None:
    """The first three examples are of one position, the fourth of another; the last four are not written."""
    replay = ring.add(_empty(8, tell_apart=True), _examples(range(1, 5)), jnp.uint32([7, 7, 7, 8]))
    counts_for = ring.rarities(replay, rarity)
    common = 3**-rarity
    np.testing.assert_allclose(counts_for, [common, common, common, 1, 0, 0, 0, 0], rtol=1e-6)
    drawn = np.asarray(ring.draw(replay, jax.random.key(3), 6000, counts_for=counts_for))
    wanted = np.array([common, common, common, 1]) / (3 * common + 1)
    seen = np.bincount(drawn, minlength=8) / 6000
    assert (seen[4:] == 0).all()
    assert (np.abs(seen[:4] - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / 6000)).all()


@given(batches=st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=2), max_size=9))
@example(batches=[[0, 0], [0, 3], [3, 3], [0, 5], [5, 5], [1, 2]])
def test_what_a_position_counts_for_follows_what_comes_and_goes(batches: list[list[int]]) -> None:
    replay, kept = _empty(6, tell_apart=True), deque[int](maxlen=6)
    for positions in batches:
        replay = _add(replay, _examples(positions), jnp.uint32(positions))
        kept.extend(positions)
    written = [1 / kept.count(int(number)) for number in replay.examples.value[: len(kept)]]
    np.testing.assert_allclose(ring.rarities(replay, 1.0), [*written, *[0.0] * (6 - len(kept))])


@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=2), min_size=1, max_size=9
    )
)
@example(
    batches=[[(0, True), (0, False)], [(0, False), (1, False)], [(1, True), (0, True)], [(0, False)] * 2]
)
def test_policies_are_those_of_the_newest_search_or_of_one_that_proved_the_position(
    batches: list[list[tuple[int, bool]]],
) -> None:
    """Against bookkeeping by hand; every example is told by its number, the first is 1."""
    replay, kept, number = _empty(6, tell_apart=True), deque[tuple[int, int, bool]](maxlen=6), 0
    newest: dict[int, tuple[int, int, bool]] = {}
    for batch in batches:
        new = [(number + 1 + place, position, solved) for place, (position, solved) in enumerate(batch)]
        number += len(batch)
        examples = _examples([each[0] for each in new])._replace(solved=jnp.array([each[2] for each in new]))
        replay = _add(replay, examples, jnp.uint32([each[1] for each in new]))
        kept.extend(new)
        for each in new:
            before = newest.get(each[1])
            if before is None or before not in kept or each[2] or not before[2]:
                newest[each[1]] = each
    found = ring.rows_at(replay, jnp.arange(len(kept)))
    by_number = {each[0]: each for each in kept}
    for row, own in enumerate(np.asarray(replay.examples.value)[: len(kept)].astype(int)):
        _, position, _ = by_number[int(own)]
        known = newest[position] if newest[position] in kept else by_number[int(own)]
        assert found.action_weights[row].tolist() == [known[0]] * 2
        assert found.state["cells"][row].tolist() == [known[0], -known[0]]
        assert float(found.value[row]) == (known[0] if known[2] else own)
        assert bool(found.solved[row]) == known[2]


def test_what_is_searched_again_is_the_newest_of_all_examples_of_its_position() -> None:
    replay = _with_regret(
        ring.add(_empty(4, tell_apart=True), _examples(range(1, 5)), jnp.uint32([7, 7, 7, 8])),
        [0.1, 0.2, 0.3, 0.4],
    )
    replay = ring.renew(replay, jnp.array([0]), _examples([9]))
    found = ring.rows_at(replay, jnp.arange(4))
    assert found.action_weights[:, 0].tolist() == [9, 9, 9, 4]
    # What became of the games, and what each row is drawn by, are the rows' own.
    assert found.value.tolist() == [9, 2, 3, 4]
    np.testing.assert_allclose(found.regret, [0, 0.2, 0.3, 0.4], atol=1e-6)


def test_positions_belong_to_rings_that_tell_them_apart() -> None:
    plain, counting, new = _empty(4), _empty(4, tell_apart=True), _examples(range(2))
    with pytest.raises(ValueError, match="belong to a ring made to tell them apart"):
        ring.add(plain, new, jnp.uint32([1, 2]))
    with pytest.raises(ValueError, match="belong to a ring made to tell them apart"):
        ring.add(counting, new)
    with pytest.raises(ValueError, match="does not tell positions apart; make it with `tell_apart`"):
        ring.rarities(plain, 1.0)


def test_of_rare_positions_those_are_drawn_where_something_is_given_away() -> None:
    full = ring.add(_empty(4, tell_apart=True), _examples(range(1, 5)), jnp.uint32([7, 7, 8, 9]))
    replay = _with_regret(full, [1.0, 1.0, 2.0, 0.0])
    drawn = np.asarray(
        ring.draw(replay, jax.random.key(3), 4000, focus=1.0, counts_for=ring.rarities(replay, 1.0))
    )
    seen = np.bincount(drawn, minlength=4)
    assert seen[3] == 0
    wanted = 4000 * np.array([1 / 6, 1 / 6, 2 / 3])
    assert (np.abs(seen[:3] - wanted) < 5 * np.sqrt(wanted * (1 - wanted / 4000))).all()


@pytest.mark.computes
def test_small_weights_are_not_lost_behind_large_ones() -> None:
    """A running sum in float32 would move once in sixteen rows at the end."""
    large, small = np.full(4096, 1e4, np.float32), np.full(4096, 0.5, np.float32)
    replay = _empty(8192)._replace(window=jnp.int32(8192))
    counts_for = jnp.asarray(np.concatenate([large, small]))
    draw = jax.jit(lambda rng_key: ring.draw(replay, rng_key, 8192, counts_for=counts_for))
    drawn = np.concatenate([draw(jax.random.key(seed)) for seed in range(100)])
    late = drawn[drawn >= 4096]
    assert 15 < len(late) < 75
    assert len(np.unique(late % 16)) > 8


@pytest.mark.parametrize("rarity", [-0.1, 1.5])
def test_a_rarity_beyond_positions_is_refused(rarity: float) -> None:
    with pytest.raises(ValueError, match=rf"replay\.rarity is {rarity}; it must be in \[0, 1\], where 0"):
        ReplayConfig(rarity=rarity)


def test_a_capacity_or_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"replay\.capacity is 0"):
        ReplayConfig(capacity=0)
    with pytest.raises(ValueError, match=r"replay\.window is 0; it must be at least 1, or none"):
        ReplayConfig(window=0)


def test_more_examples_may_be_added_than_an_int32_can_count() -> None:
    """A run on a large machine adds that many."""
    replay = _empty(6)
    for index in range(3):
        replay = _add(replay, _examples([2 * index, 2 * index + 1]))
    # After 12 thousand million.
    replay = _add(replay._replace(num_rounds=jnp.int32(2_000_000_000)), _examples([6, 7]))
    assert (int(replay.num_rounds), int(replay.next_index), int(replay.window)) == (2_000_000_000, 2, 6)
    replay = _add_window(replay, _examples([8, 9]))
    assert int(replay.window) == 6
    assert set(_sample(replay, jax.random.key(1), 200).value.tolist()) == {4, 5, 6, 7, 8, 9}
