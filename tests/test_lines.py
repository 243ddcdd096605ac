"""How positions are reached, against play."""

import numpy as np
import pytest

from exit.evaluate import plies, ply_of, shortest_lines
from exit.game import Game
from exit.solve import unfinished_keys
from exit.solve.coding import chunk_rows, initial_key
from exit.solve.expand import successors
from exit.solve.keys import pack, unpack
from exit.solve.space import Space
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.chance_games import Bets
from tests.tiny import table_of


def _played(game: Game, line: list[int]) -> np.ndarray:
    """Key of the position after a line, by the rules."""
    key = initial_key(game)
    for move in np.reshape(line, (-1, 1 if game.num_outcomes == 1 else 2)):
        moves = successors(Space(game), key, chunk_rows(game, 1))
        outcome = 0 if game.num_outcomes == 1 else move[1]
        assert moves.probs[move[0], outcome, 0] > 0
        key = moves.keys[move[0], outcome, :1]
    return unpack(key)[0]


def test_plies_are_the_stones_on_the_board() -> None:
    found = plies(TicTacToe())
    keys = unfinished_keys(table_of(TicTacToe()))
    np.testing.assert_array_equal(ply_of(found, keys), np.bitwise_count(keys[:, 0]))
    assert tuple(map(len, found.layers)) == table_of(TicTacToe()).states_by_ply


@pytest.mark.parametrize("game", [TicTacToe(), Nim((3, 4, 5)), Bets()], ids=lambda game: game.name)
def test_lines_lead_where_they_should_and_are_shortest(game: Game) -> None:
    found = plies(game)
    keys = unfinished_keys(table_of(game))
    keys = keys[np.random.default_rng(0).permutation(len(keys))[:40]]
    lines = shortest_lines(found, keys)
    per_move = 1 if game.num_outcomes == 1 else 2
    for key, line, ply in zip(keys, lines, ply_of(found, keys), strict=True):
        assert len(line) == per_move * ply
        assert pack(_played(game, line)[None])[0] == pack(key[None])[0]


def test_a_position_out_of_reach_has_no_ply() -> None:
    assert ply_of(plies(TicTacToe()), np.array([[0b111_000_000 << 9 | 0b111]], np.uint32)).tolist() == [-1]
