"""Tables that keep one of several images answer for all of them."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest

from exit.errors import UserError
from exit.game import Game
from exit.solve import (
    exact_moves_of_keys,
    optimal_moves,
    sample_unfinished,
    solve,
    states_of,
    unfinished_chunks,
    unfinished_keys,
)
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.planted import TwoHeaps
from tests.solver_games import LongKeys


@dataclass(frozen=True)
class HalfTurns(TicTacToe):
    """Its symmetries are no group: a quarter turn twice is a half turn, which is not among them."""

    def symmetries(self, state):
        return jax.tree.map(lambda leaf: leaf[:2], TicTacToe.symmetries(self, state))


@pytest.mark.parametrize(
    ("game", "num_images", "num_rows"),
    [
        (TicTacToe(), 8, 765),
        (LongKeys(), 8, 765),
        (ConnectFour(4, 4, connect=3), 2, None),
        (Nim((3, 3, 3)), 6, 20),
        (TwoHeaps(), 2, 6),
    ],
    ids=lambda value: value.name if isinstance(value, Game) else "",
)
def test_images_are_answered_for_as_if_they_were_kept(
    game: Game, num_images: int, num_rows: int | None
) -> None:
    reduced, full = solve(game), solve(game, use_symmetries=False)
    assert (reduced.space.num_images, full.space.num_images) == (num_images, 1)
    assert len(full.keys) == full.num_states
    assert len(reduced.keys) == (num_rows or len(reduced.keys)) < 0.7 * full.num_states
    assert reduced.figures[:2] == full.figures[:2]
    keys = unfinished_keys(full)
    np.testing.assert_array_equal(unfinished_keys(reduced), keys)
    expected = exact_moves_of_keys(full, keys)
    for found, wanted in zip(exact_moves_of_keys(reduced, keys), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for table in (reduced, full):
        found = optimal_moves(table, keys)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.optimal, expected.optimal)


@pytest.mark.parametrize("game", [Nim((3, 4, 5)), HalfTurns()], ids=lambda game: type(game).__name__)
def test_symmetries_that_reachable_states_do_not_share_are_left_alone(game: Game) -> None:
    table = solve(game)
    assert table.space.num_images == 1
    assert table.num_states == len(table.keys) == (120 if isinstance(game, Nim) else 5478)


@pytest.mark.parametrize("use_symmetries", [True, False])
def test_chunks_hold_every_unfinished_state_once(use_symmetries: bool) -> None:
    table = solve(TicTacToe(), use_symmetries=use_symmetries)
    chunks = np.concatenate(list(unfinished_chunks(table)))
    np.testing.assert_array_equal(np.sort(chunks, axis=0), unfinished_keys(table))


def test_samples_are_fair_to_states_with_few_images() -> None:
    table = solve(TicTacToe())
    keys = unfinished_keys(table)[:, 0]
    drawn = np.zeros(len(keys))
    for seed in range(40):
        sample = sample_unfinished(table, 1000, seed=seed)[:, 0]
        assert len(np.unique(sample)) == 1000
        drawn[np.searchsorted(keys, sample)] += 1
    assert drawn.sum() == 40_000
    mirrored = np.array(_num_images(states_of(TicTacToe(), keys[:, None])))
    for few in (True, False):
        group = drawn[(mirrored < 8) == few]
        assert len(group) > 300
        assert group.mean() == pytest.approx(40_000 / len(keys), rel=0.06)


def _num_images(states) -> list[int]:
    """Different images of each state, by plain Python on its cells."""

    def turned(board: str) -> str:
        return "".join(board[3 * (2 - column) + row] for row in range(3) for column in range(3))

    counts = []
    for mine, theirs in zip(states.mine.tolist(), states.theirs.tolist(), strict=True):
        board = "".join("x" if mine >> c & 1 else "o" if theirs >> c & 1 else "." for c in range(9))
        images = set()
        for _ in range(4):
            images |= {board, "".join(board[3 * row : 3 * row + 3][::-1] for row in range(3))}
            board = turned(board)
        counts.append(len(images))
    return counts


def test_all_states_may_be_drawn_but_no_more() -> None:
    table = solve(TicTacToe())
    everything = sample_unfinished(table, 4520)
    np.testing.assert_array_equal(np.sort(everything, axis=0), unfinished_keys(table))
    assert not (everything == unfinished_keys(table)).all()
    assert len(sample_unfinished(table, 0)) == 0
    with pytest.raises(UserError, match=r"tic_tac_toe has 4,520 states .* 4,521 cannot be drawn"):
        sample_unfinished(table, 4521)
