"""Othello is the game meant: held against plain rules, published counts and published values."""

import functools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.catalog import load_game
from exit.errors import UsageError
from exit.solve import TooLarge, solve, states_of, summary
from exit.solve.keys import unpack
from games.othello import Othello, OthelloState
from tests.test_games import play

DIRECTIONS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]


@functools.cache
def rays(size):
    """For each cell the cells that follow it in each direction."""
    return [
        [
            [
                (row + k * down) * size + column + k * right
                for k in range(1, size)
                if 0 <= row + k * down < size and 0 <= column + k * right < size
            ]
            for down, right in DIRECTIONS
        ]
        for row in range(size)
        for column in range(size)
    ]


def start(size):
    low, high = size // 2 - 1, size // 2
    cells = [
        "x" if {row, column} == {low, high} else "o" if row == column and row in (low, high) else "."
        for row in range(size)
        for column in range(size)
    ]
    return "".join(cells)


def turned(size, board, cell):
    """Cells that the player with the x turns over by placing a stone; none where he cannot."""
    found = []
    if board[cell] == ".":
        for ray in rays(size)[cell]:
            run = []
            for other in ray:
                if board[other] != "o":
                    found += run if board[other] == "x" else []
                    break
                run.append(other)
    return found


def swapped(board):
    return board.translate(str.maketrans("xo", "ox"))


def moves(size, board):
    """The board after each legal action, seen by the player who is then to move and has the x."""

    def placements(board):
        return {cell: flips for cell in range(size * size) if (flips := turned(size, board, cell))}

    after = {}
    for cell, flips in placements(board).items():
        cells = list(board)
        for changed in [cell, *flips]:
            cells[changed] = "x"
        after[cell] = swapped("".join(cells))
    if not after and placements(swapped(board)):
        after[size * size] = swapped(board)
    return after


def outcome(board):
    """The result of a finished game for the player with the x."""
    return int(np.sign(board.count("x") - board.count("o")))


def board_of(size, mine, theirs):
    """The board of a state whose words are NumPy numbers."""
    stones = [sum(int(word) << 32 * k for k, word in enumerate(words)) for words in (mine, theirs)]
    return "".join(
        "x" if stones[0] >> cell & 1 else "o" if stones[1] >> cell & 1 else "." for cell in range(size * size)
    )


def planes(size, board):
    cells = [[mark == "x", mark == "o"] for mark in board]
    return np.array(cells, np.float32).reshape(size, size, 2)


@pytest.mark.parametrize("size", [4, 6, 8, 10])
def test_othello_agrees_with_plain_rules(size):
    game, rng = Othello(size), random.Random(0)
    look = jax.jit(lambda state: (game.legal_actions(state), game.observe(state)))
    apply = jax.jit(game.apply)
    results, passes = set(), 0
    for _ in range({4: 60, 6: 10, 8: 8, 10: 4}[size]):
        board, state = start(size), game.init()
        while True:
            after = moves(size, board)
            legal, seen = look(state)
            assert np.flatnonzero(legal).tolist() == sorted(after)
            np.testing.assert_array_equal(seen, planes(size, board))
            if not after:
                break
            action = rng.choice(sorted(after))
            passes += action == size * size
            board = after[action]
            state, step = apply(state, jnp.int32(action), jnp.int32(0))
            over = not moves(size, board)
            expected = (-outcome(board), 0.0) if over else (0.0, -1.0)
            assert (float(step.reward), float(step.discount)) == expected
            results |= {expected[0]} if over else set()
    assert {1, -1} <= results or size == 10
    assert passes > 0
    assert 0 in results or size > 4


@pytest.fixture(scope="module")
def othello_4():
    return solve(Othello(4))


def test_othello_4_is_won_by_the_second_player(othello_4):
    figures = summary(othello_4)
    assert figures["value"] == -1.0
    assert (figures["states"], figures["terminal_states"]) == (58_533, 4_882)


def test_othello_4_agrees_with_plain_recursion(othello_4):
    known = {}

    def solution(board):
        """Value to the player to move, and the number of games that can follow; 0 and 1 at the end."""
        if board not in known:
            worth, num_games = [], 0
            for child in moves(4, board).values():
                value, games = solution(child)
                worth.append(-(value if moves(4, child) else outcome(child)))
                num_games += games
            known[board] = (max(worth), num_games) if worth else (0, 1)
        return known[board]

    # 15,015 games after each of four first moves that are alike; published at reversi-nxn.blogspot.com, 2008.
    assert solution(start(4)) == (-1, 4 * 15_015)
    states = states_of(Othello(4), unpack(othello_4.keys))
    boards = [
        board_of(4, [mine], [theirs]) for mine, theirs in zip(states.mine[0], states.theirs[0], strict=True)
    ]
    values = {board: value for board, (value, _) in known.items()}
    assert dict(zip(boards, othello_4.values.tolist(), strict=True)) == values


def test_the_number_of_lines_of_play_is_the_one_published():
    """A. Bik's counts for 8 x 8; equal positions count once for every line that leads to them."""
    game = Othello(8)
    legal_actions, apply = jax.jit(jax.vmap(game.legal_actions)), jax.jit(jax.vmap(game.apply, (0, 0, None)))
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, 8200), game.init())
    num_states, counts = 1, []
    while num_states <= 8200:
        parents, actions = np.nonzero(np.asarray(legal_actions(states))[:num_states])
        num_states = len(parents)
        counts.append(num_states)
        # Filled up to the greatest number, so that one program serves every ply.
        parents, actions = (np.resize(rows, 8200) for rows in (parents, actions))
        before = jax.tree.map(lambda leaf, rows=parents: leaf[rows], states)
        states, _ = apply(before, jnp.asarray(actions), jnp.int32(0))
    assert counts == [4, 12, 56, 244, 1396, 8200, 55_092]


def test_a_player_who_cannot_place_a_stone_passes_and_the_game_ends_when_neither_can():
    game = Othello(4)
    legal_actions, apply = jax.jit(game.legal_actions), jax.jit(game.apply)
    # First row: o o x and a free cell, which only the player with o can use.
    waiting = OthelloState(mine=(jnp.uint32(0b0100),), theirs=(jnp.uint32(0b0011),))
    assert np.flatnonzero(legal_actions(waiting)).tolist() == [16]
    moving, step = apply(waiting, jnp.int32(16), jnp.int32(0))
    assert (float(step.reward), float(step.discount)) == (0.0, -1.0)
    assert (moving.mine, moving.theirs) == (waiting.theirs, waiting.mine)
    assert np.flatnonzero(legal_actions(moving)).tolist() == [3]
    after, step = apply(moving, jnp.int32(3), jnp.int32(0))
    assert (float(step.reward), float(step.discount)) == (1.0, 0.0)
    assert not legal_actions(after).any()


def test_the_last_move_may_lose():
    """The mover turns one stone of a board that the other one then holds by far."""
    game = Othello(4)
    mine, theirs = 1 << 2, 1 << 1 | 0xFF00
    state = OthelloState(mine=(jnp.uint32(mine),), theirs=(jnp.uint32(theirs),))
    _, step = game.apply(state, jnp.int32(0), jnp.int32(0))
    assert (float(step.reward), float(step.discount)) == (-1.0, 0.0)


@pytest.mark.parametrize("size", [6, 8, 10])
def test_large_boards_are_refused_at_once(size):
    phases = []
    with pytest.raises(TooLarge, match=f"othello_{size} does not fit in memory: it has"):
        solve(Othello(size), max_bytes=10**12, progress_fn=lambda *report: phases.append(report))
    assert not phases


@pytest.mark.parametrize("size", [2, 5, 12])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(UsageError, match=f"a size of 4, 6, 8 or 10, got {size}"):
        load_game(f"othello_{size}")


def test_keys_of_small_boards_are_short():
    assert [Othello(size).encode(Othello(size).init()).shape for size in (4, 6, 8)] == [(1,), (3,), (4,)]


def test_the_board_is_shown_to_the_player_to_move():
    game = Othello(4)
    assert game.render(game.init()) == "  a b c d\n1 . . . .\n2 . O X .\n3 . X O .\n4 . . . .\nX to move"
    state, _ = play(game, [1])
    assert game.render(state) == "  a b c d\n1 . O . .\n2 . O O .\n3 . O X .\n4 . . . .\nX to move"
    assert [game.action_name(action) for action in (1, 4, 16)] == ["b1", "a2", "pass"]


def test_symmetries_turn_and_mirror_the_board():
    game = Othello(4)
    state, _ = play(game, [1])
    images, actions = game.symmetries(state)
    seen = np.asarray(jax.vmap(game.observe)(images))
    square = np.asarray(game.observe(state))
    expected = [np.rot90(board, turns) for board in (square, square.swapaxes(0, 1)) for turns in range(4)]
    np.testing.assert_array_equal(seen, expected)
    assert len(np.unique(seen, axis=0)) == 8
    assert (actions[:, 16] == 16).all()
