"""Values of 6x7 Connect Four from BitBully, against published ones and a plain-Python search."""

import random
import sys
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Float

from games import bitbully
from games.connect_four import ConnectFour, ConnectFourState

_ROWS, _COLUMNS = 6, 7
_STRIDE = 7

Stones = tuple[str, ...]
"""The stones of each column from the bottom, x of the player to move and o of the other."""

_SWAPPED = str.maketrans("xo", "ox")


def _has_line(stones: Stones, mark: str) -> bool:
    cells = {
        (row, column) for column, pile in enumerate(stones) for row, stone in enumerate(pile) if stone == mark
    }
    return any(
        all((row + k * up, column + k * right) in cells for k in range(4))
        for row, column in cells
        for up, right in ((1, 0), (0, 1), (1, 1), (-1, 1))
    )


def _moved(stones: Stones, column: int) -> Stones:
    """After a move, seen by the other player."""
    piles = (pile + "x" if index == column else pile for index, pile in enumerate(stones))
    return tuple(pile.translate(_SWAPPED) for pile in piles)


def _moves(stones: Stones) -> dict[int, Stones]:
    if _has_line(stones, "o"):
        return {}
    return {column: _moved(stones, column) for column in range(_COLUMNS) if len(stones[column]) < _ROWS}


@cache
def _negamax(stones: Stones) -> int:
    """Value to the player to move, by plain recursion."""
    if _has_line(stones, "o"):
        return -1
    return max((-_negamax(after) for after in _moves(stones).values()), default=0)


def _random_positions(num: int, plies: range, seed: int) -> list[Stones]:
    """Unfinished positions after so many random moves."""
    rng = random.Random(seed)
    found: list[Stones] = []
    while len(found) < num:
        stones: Stones = ("",) * _COLUMNS
        for _ in range(rng.choice(plies)):
            moves = _moves(stones)
            if not moves:
                break
            stones = rng.choice(list(moves.values()))
        if _moves(stones) and sum(map(len, stones)) in plies:
            found.append(stones)
    return found


def _random_end(*, drawn: bool) -> Stones:
    """The end of a random game."""
    rng = random.Random(0)
    while True:
        stones: Stones = ("",) * _COLUMNS
        while moves := _moves(stones):
            stones = rng.choice(list(moves.values()))
        if _has_line(stones, "o") != drawn:
            return stones


def _boards(positions: list[Stones]) -> tuple[np.ndarray, np.ndarray]:
    def bits(stones: Stones, mark: str) -> int:
        cells = ((column, row) for column, pile in enumerate(stones) for row in range(len(pile)))
        return sum(1 << _STRIDE * column + row for column, row in cells if stones[column][row] == mark)

    mine, theirs = ([bits(stones, mark) for stones in positions] for mark in "xo")
    return np.array(mine, np.uint64), np.array(theirs, np.uint64)


def _states(positions: list[Stones]) -> ConnectFourState:
    """The positions as the game keeps them: words of 32 bits."""
    mine, theirs = (
        (jnp.asarray(board.astype(np.uint32)), jnp.asarray((board >> 32).astype(np.uint32)))
        for board in _boards(positions)
    )
    return ConnectFourState(mine, theirs)


def _qvalues(positions: list[Stones]) -> Float[np.ndarray, "n 7"]:
    return ConnectFour().library_qvalues(_states(positions))


def test_the_first_player_wins_in_the_centre_alone() -> None:
    # V. Allis 1988; J. Tromp: beside the centre it is a draw, farther out the second player wins.
    assert _qvalues([("",) * _COLUMNS]).tolist() == [[-1, -1, 0, 1, 0, -1, -1]]


def test_late_positions_have_the_values_of_a_plain_search() -> None:
    positions = _random_positions(48, range(32, 42), seed=1)
    expected = np.full((len(positions), _COLUMNS), -np.inf)
    for row, stones in enumerate(positions):
        for column, after in _moves(stones).items():
            expected[row, column] = -_negamax(after)
    assert {-np.inf, -1, 0, 1} == set(expected.ravel())
    np.testing.assert_array_equal(_qvalues(positions), expected)


def test_values_are_those_of_the_positions_that_follow() -> None:
    # 12 stones are where the library's opening book ends and its search begins.
    positions = _random_positions(12, range(9, 15), seed=7)
    found = _qvalues(positions)
    for stones, qvalues in zip(positions, found, strict=True):
        after = {column: moved for column, moved in _moves(stones).items() if not _has_line(moved, "o")}
        best = _qvalues(list(after.values())).max(axis=1)
        np.testing.assert_array_equal(qvalues[list(after)], -best)


def test_mirror_images_have_mirrored_values(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = _random_positions(40, range(14, 26), seed=2)
    found = _qvalues(positions)
    # Images are solved once; with that switched off the library has to agree with itself.
    monkeypatch.setattr(bitbully, "_mirrored", lambda boards: boards)
    images = [stones[::-1] for stones in positions]
    np.testing.assert_array_equal(_qvalues(images), found[:, ::-1])


def test_the_game_and_the_library_agree_on_legal_moves() -> None:
    positions = _random_positions(64, range(42), seed=3)
    states = _states(positions)
    legal = jax.vmap(ConnectFour().legal_actions)(states)
    np.testing.assert_array_equal(np.isfinite(ConnectFour().library_qvalues(states)), legal)


def test_finished_games_have_no_move() -> None:
    ends = [_random_end(drawn=drawn) for drawn in (False, True)]
    assert (_qvalues(ends) == -np.inf).all()


def test_no_position_has_no_values() -> None:
    assert _qvalues([]).shape == (0, _COLUMNS)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [(0b1, 0b1), (0b10, 0b1000_0000), (0b1, 0b0), (0b0, 0b11), (0b1111, 0b1111 << 7), (1 << 62, 1 << 6)],
    ids=["shared cell", "in the air", "one stone ahead", "two behind", "two winners", "off the board"],
)
def test_boards_of_no_game_are_refused(mine: int, theirs: int) -> None:
    boards = (np.array([board], np.uint64) for board in (mine, theirs))
    with pytest.raises(ValueError, match="1 of 1 boards cannot come up"):
        bitbully.qvalues(*boards, stride=_STRIDE)


@pytest.mark.parametrize("game", [ConnectFour(5, 7), ConnectFour(6, 7, 5), ConnectFour(4, 4)])
def test_other_sizes_are_not_the_librarys(game: ConnectFour) -> None:
    assert game.solver_library is None
    with pytest.raises(ValueError, match=f"not {game.name}"):
        game.library_qvalues(_states([("",) * _COLUMNS]))


def test_processes_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = _random_positions(30, range(20, 36), seed=4)
    alone, shares = _qvalues(positions), []
    monkeypatch.setattr(bitbully, "_num_workers", lambda num_boards: 2)
    monkeypatch.setattr(bitbully, "_PER_REQUEST", 16)
    # What is answered now must come from the processes.
    monkeypatch.setattr(bitbully, "_solved", None)
    found = bitbully.qvalues(*_boards(positions), stride=_STRIDE, progress_fn=shares.append)
    np.testing.assert_array_equal(found, alone)
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_process_that_dies_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitbully, "_num_workers", lambda num_boards: 2)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="ended with code 1"):
        _qvalues(_random_positions(1, range(20, 30), seed=5))


def test_few_positions_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitbully, "_worker", None)
    assert np.isfinite(_qvalues(_random_positions(20, range(24, 30), seed=6))).any()
