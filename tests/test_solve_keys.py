"""Sets of packed keys against Python's own sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exit.solve.keys import SeenKeys, distinct, pack, positions, union, unpack


@given(
    num_words=st.integers(1, 3),
    rows=st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=40),
)
def test_packed_keys_behave_as_sets(num_words: int, rows: list[list[int]]) -> None:
    words = np.array(rows, np.uint32)[:, :num_words] << np.uint32(30)
    keys = pack(words)
    np.testing.assert_array_equal(unpack(keys), words)
    expected = {tuple(row) for row in words.tolist()}
    first, second = distinct(keys[::2].copy()), distinct(keys[1::2].copy())
    both = union([first, second])
    assert len(both) == len(expected)
    assert {tuple(row) for row in unpack(both).tolist()} == expected
    assert (both[positions(both, keys)] == keys).all()
    seen = SeenKeys()
    seen.add(first)
    assert seen.contains(second).tolist() == [
        row in unpack(first).tolist() for row in unpack(second).tolist()
    ]
    seen.add(second[~seen.contains(second)])
    assert seen.contains(both).all()


def test_searching_a_long_table_from_scattered_queries() -> None:
    keys = np.arange(0, 400_000, 2, dtype=np.uint32)
    queries = np.random.default_rng(0).choice(keys, 5000)
    np.testing.assert_array_equal(positions(keys, queries), queries // 2)
