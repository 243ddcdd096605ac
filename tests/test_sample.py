"""Samples of positions that random play leads to."""

import jax
import numpy as np
import pytest

from exit.evaluate.sample import random_positions
from exit.game import is_terminal
from exit.solve import states_of, unfinished_keys
from exit.solve.keys import contains, pack
from games.connect_four import ConnectFour
from games.tic_tac_toe import TicTacToe
from tests.tiny import table_of


def _num_stones(keys: np.ndarray) -> np.ndarray:
    words = jax.tree.leaves(states_of(ConnectFour(4, 4), keys))
    return np.sum([np.bitwise_count(word) for word in words], axis=0)


def test_positions_are_distinct_unfinished_and_repeat_exactly() -> None:
    game = ConnectFour(4, 4)
    found = random_positions(game, 500, 12, seed=1)
    assert found.keys.shape == (500, game.encode(game.init()).size)
    assert len(np.unique(found.keys, axis=0)) == 500
    assert not jax.vmap(lambda state: is_terminal(game, state))(states_of(game, found.keys)).any()
    np.testing.assert_array_equal(found.ply, _num_stones(found.keys))
    np.testing.assert_array_equal(found.keys, random_positions(game, 500, 12, seed=1).keys)
    assert not np.array_equal(found.keys, random_positions(game, 500, 12, seed=2).keys)


def test_numbers_of_moves_are_uniform_where_there_are_enough_positions() -> None:
    counts = np.bincount(random_positions(ConnectFour(4, 4), 1300, 12).ply, minlength=13)
    # One position before the first move, four after it, sixteen after the second; then ever more.
    assert counts[:3].tolist() == [1, 4, 16]
    many = counts[5:]
    assert (np.abs(many - many.mean()) < 4 * np.sqrt(many.mean())).all()


@pytest.mark.computes
def test_all_positions_are_found_when_there_are_no_more() -> None:
    known = unfinished_keys(table_of(TicTacToe()))
    found = random_positions(TicTacToe(), 6000, 20).keys
    assert len(found) <= len(known)
    assert contains(np.sort(pack(known)), pack(found)).all()
    assert len(found) > 0.95 * len(known)


def test_one_position_and_no_move() -> None:
    found = random_positions(TicTacToe(), 1, 0)
    np.testing.assert_array_equal(found.keys[0], TicTacToe().encode(TicTacToe().init()))
    with pytest.raises(ValueError, match="num is 0"):
        random_positions(TicTacToe(), 0, 3)
