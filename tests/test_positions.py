"""Positions written as moves: replayed by the game's rules, or refused with a reason."""

import codecs
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Buffer

from exit.cli.positions import positions_of, read_batches
from exit.game import Game
from games.tic_tac_toe import TicTacToe
from tests.planted import Dice

_GAME = TicTacToe()


def _line(*moves: int) -> str:
    return json.dumps({"moves": moves})


def _error(game: Game, line: str) -> str:
    (error,) = positions_of(game, [line]).errors
    assert error is not None
    return error


def test_moves_lead_to_the_position_that_the_rules_give() -> None:
    found = positions_of(_GAME, [_line(4, 0, 8), _line()])
    assert found.errors == [None, None]
    state = _GAME.init()
    for action in (4, 0, 8):
        state, _ = _GAME.apply(state, jnp.int32(action), jnp.int32(0))
    expected = jax.tree.map(lambda *leaves: list(map(int, leaves)), state, _GAME.init())
    assert jax.tree.map(lambda leaf: leaf.tolist(), found.states) == expected
    assert found.legal[0].tolist() == [cell not in (4, 0, 8) for cell in range(9)]


def test_a_bad_line_leaves_the_others_alone() -> None:
    found = positions_of(_GAME, [_line(0, 0), _line(4), "{", _line(3)])
    assert [error is None for error in found.errors] == [False, True, False, True]
    assert np.asarray(found.states.theirs).tolist() == [1 << 4, 1 << 3]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (_line(4, 0, 4), r"action 4 \(move 3\) is illegal; legal are 1, 2, 3, 5, 6, 7, 8"),
        (_line(9), r"action 9 \(move 1\) does not exist; actions are 0 to 8"),
        (_line(-1), r"action -1 \(move 1\) does not exist"),
        (_line(2**70), r"action \d+ \(move 1\) does not exist"),
        (_line(0, 3, 1, 4, 2), r"the game is over after 5 moves"),
        (_line(0, 3, 1, 4, 2, 5), r"action 5 \(move 6\) comes after the end of the game"),
        ("{", "malformed JSON"),
        ("[" * 100_000, "malformed JSON"),
        ("\ufffd", "malformed JSON"),
        ("[4]", "no list of whole numbers under 'moves'"),
        ('{"move": [4]}', "no list of whole numbers under 'moves'"),
        ('{"moves": "4"}', "no list of whole numbers under 'moves'"),
        ('{"moves": [true]}', "no list of whole numbers under 'moves'"),
        ('{"moves": [4.0]}', "no list of whole numbers under 'moves'"),
        (_line(*[0] * 10_001), "at most 10000"),
    ],
)
def test_what_is_wrong_with_a_position_is_said(line: str, expected: str) -> None:
    with pytest.raises(AssertionError, match=expected):
        raise AssertionError(_error(_GAME, line))


def test_actions_and_outcomes_alternate_in_games_with_chance() -> None:
    found = positions_of(Dice(), [_line(1, 5), _line(1, 0, 1, 2)])
    assert found.errors == [None, None]
    assert np.asarray(found.states.face).tolist() == [6, 3]
    assert np.asarray(found.states.rolls).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (_line(1), "the last action has no outcome"),
        (_line(1, 6), "outcome 6 of action 1 (move 1) cannot happen"),
        (_line(1, 2, 0, 3), "outcome 3 of action 0 (move 2) cannot happen"),
        (_line(0, 0), "action 0 (move 1) is illegal; legal are 1"),
    ],
)
def test_impossible_outcomes_are_refused(line: str, expected: str) -> None:
    assert expected in _error(Dice(), line)


@given(st.lists(st.lists(st.integers(-2, 10), max_size=12), min_size=1, max_size=5))
def test_exactly_the_positions_that_can_be_reached_are_accepted(games: list[list[int]]) -> None:
    found = positions_of(_GAME, [_line(*moves) for moves in games])
    for moves, error in zip(games, found.errors, strict=True):
        assert (error is None) == _can_be_played(moves)


def _can_be_played(moves: list[int]) -> bool:
    """By plain counting: no cell twice, no line before the end, a cell left."""
    lines = [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {0, 3, 6}, {1, 4, 7}, {2, 5, 8}, {0, 4, 8}, {2, 4, 6}]
    inside = all(0 <= move < 9 for move in moves)
    won = any(line <= set(moves[side::2]) for line in lines for side in (0, 1))
    return inside and len(set(moves)) == len(moves) < 9 and not won


def test_lines_come_in_batches_of_bounded_size() -> None:
    text = "\n".join(str(number) for number in range(10)) + "\n\n  \n10"
    batches = list(read_batches(io.BytesIO(text.encode()).read1, max_lines=4))
    assert [line for batch in batches for line in batch] == [str(number) for number in range(11)]
    assert max(map(len, batches)) == 4


class _Pipe(io.RawIOBase):
    """A writer that waits for an answer after each piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        piece = self._pieces.pop(0) if self._pieces else b""
        memoryview(buffer)[: len(piece)] = piece
        return len(piece)


def test_the_mark_that_windows_begins_a_file_with_is_no_part_of_a_line() -> None:
    for text in b'{"moves": []}', b'{"moves": []}\r\n{"moves": [4]}\r\n':
        file = io.BytesIO(codecs.BOM_UTF8 + text)
        (lines,) = read_batches(file.read1, 8)
        assert positions_of(TicTacToe(), lines).errors == [None] * len(lines)


def test_a_line_is_handed_on_before_the_next_one_is_written() -> None:
    pieces = [b"a\nb", b"c\n", b"d"]
    batches = read_batches(io.BufferedReader(_Pipe(pieces)).read1, max_lines=4)
    assert next(batches) == ["a"]
    assert len(pieces) == 2
    assert list(batches) == [["bc"], ["d"]]
