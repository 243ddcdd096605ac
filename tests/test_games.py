"""The games are the games meant: held against plain rules, hand positions and published theory."""

import functools
import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.catalog import game_names, load_game
from exit.game import Step, action_name_of, render_of
from games.connect_four import ConnectFour, ConnectFourState
from games.nim import Nim

DRAWN_4X4 = (0, 2, 1, 2, 0, 0, 2, 3, 0, 2, 3, 3, 1, 3, 1, 1)


class PlainConnectFour:
    """Connect Four on a list of columns, written without a thought of speed."""

    def __init__(self, rows, columns, connect):
        self.rows, self.columns, self.connect = rows, columns, connect
        self.stacks = [[] for _ in range(columns)]
        self.mover, self.won = 0, False

    def legal(self):
        return [len(stack) < self.rows and not self.won for stack in self.stacks]

    def play(self, column):
        self.stacks[column].append(self.mover)
        cells = {
            (row, c)
            for c, stack in enumerate(self.stacks)
            for row, who in enumerate(stack)
            if who == self.mover
        }
        self.won = any(line <= cells for line in lines(self.rows, self.columns, self.connect))
        self.mover = 1 - self.mover

    def planes(self):
        board = np.zeros((self.rows, self.columns, 2), np.float32)
        for column, stack in enumerate(self.stacks):
            for row, who in enumerate(stack):
                board[row, column, int(who != self.mover)] = 1
        return board

    def threats(self):
        """Planes of the free cells where a stone of the mover's, or of the other's, would complete a line."""
        planes, board = self.planes(), np.zeros((self.rows, self.columns, 2), np.float32)
        for line in lines(self.rows, self.columns, self.connect):
            for cell in line:
                rest = tuple(map(list, zip(*(line - {cell}), strict=True)))
                board[cell] = np.maximum(board[cell], planes[rest].all(axis=0))
        return board * (planes.sum(axis=-1, keepdims=True) == 0)


@functools.cache
def lines(rows, columns, connect):
    """Every line of cells (row, column) that wins."""
    board = set(itertools.product(range(rows), range(columns)))
    runs = (
        frozenset((row + k * up, column + k * right) for k in range(connect))
        for row, column in board
        for up, right in ((0, 1), (1, 0), (1, 1), (1, -1))
    )
    return [run for run in runs if run <= board]


def board_of(game, cells):
    """The words of a board with stones on some cells (row, column)."""
    bits = sum(1 << column * (game.rows + 1) + row for row, column in cells)
    return tuple(jnp.uint32(bits >> 32 * k & 0xFFFFFFFF) for k in range(len(game.init().mine)))


def play(game, moves):
    """The state after some moves, and the last step."""
    apply = jax.jit(game.apply)
    state, step = game.init(), Step(jnp.float32(0), jnp.float32(-1))
    for move in moves:
        assert game.legal_actions(state)[move]
        state, step = apply(state, jnp.int32(move), jnp.int32(0))
    return state, step


@pytest.mark.parametrize(
    "sizes", [(6, 7, 4), (4, 5, 4), (5, 6, 3), (3, 8, 3), (7, 2, 3), (8, 9, 4), (3, 4, 2)]
)
def test_connect_four_agrees_with_plain_rules(sizes):
    game, rng = ConnectFour(*sizes), random.Random(0)
    threatening = ConnectFour(*sizes, threats=True)
    look = jax.jit(lambda state: (game.legal_actions(state), threatening.observe(state)))
    apply, observe = jax.jit(game.apply), jax.jit(game.observe)
    ends, threatened = set(), np.zeros((game.rows, game.columns, 2))
    for _ in range(30):
        plain, state = PlainConnectFour(*sizes), game.init()
        while True:
            legal, planes = look(state)
            assert legal.tolist() == plain.legal()
            np.testing.assert_array_equal(planes[..., :2], plain.planes())
            np.testing.assert_array_equal(observe(state), plain.planes())
            np.testing.assert_array_equal(planes[..., 2:], plain.threats())
            threatened += plain.threats()
            if not any(plain.legal()):
                break
            column = rng.choice([c for c, is_legal in enumerate(plain.legal()) if is_legal])
            plain.play(column)
            state, step = apply(state, jnp.int32(column), jnp.int32(0))
            assert (float(step.reward), float(step.discount)) == (
                plain.won,
                -1.0 if any(plain.legal()) else 0.0,
            )
        ends.add(plain.won)
    assert True in ends
    assert (threatened > 0).any(axis=(0, 1)).all()


@pytest.mark.parametrize(
    ("sizes", "num_lines"),
    [((6, 7, 4), 69), ((4, 4, 4), 10), ((4, 5, 3), 34), ((5, 3, 3), 20)],
)
def test_connect_four_lines_are_exactly_the_lines_of_the_board(sizes, num_lines):
    """Of all sets of as many stones as a line has, only the lines end the game: none wraps round an edge."""
    game = ConnectFour(*sizes)
    cells = list(itertools.product(range(game.rows), range(game.columns)))
    chosen = np.array(list(itertools.combinations(range(len(cells)), game.connect)))
    shifts = np.array([column * (game.rows + 1) + row for row, column in cells], np.uint64)
    bits = (np.uint64(1) << shifts)[chosen].sum(axis=1)
    words = tuple(
        jnp.asarray((bits >> np.uint64(32 * k)).astype(np.uint32)) for k in range(len(game.init().mine))
    )
    empty = tuple(jnp.zeros_like(word) for word in words)
    legal = jax.jit(jax.vmap(game.legal_actions))(ConnectFourState(mine=empty, theirs=words))
    over = ~np.asarray(legal).any(axis=1)
    found = {frozenset(cells[index] for index in row) for row in chosen[over]}
    assert found == set(lines(*sizes))
    assert len(found) == num_lines


@pytest.mark.parametrize(
    "moves",
    [
        (0, 0, 1, 1, 2, 2, 3),
        (6, 6, 5, 5, 4, 4, 3),
        (6, 0, 6, 0, 6, 0, 6),
        (0, 1, 1, 2, 2, 3, 2, 3, 3, 6, 3),
        (6, 5, 5, 4, 4, 3, 4, 3, 3, 0, 3),
    ],
    ids=["row left", "row right", "column", "diagonal up", "diagonal down"],
)
def test_connect_four_is_won_by_four_in_line(moves):
    game = ConnectFour()
    before, step = play(game, moves[:-1])
    assert (float(step.reward), float(step.discount)) == (0.0, -1.0)
    after, step = game.apply(before, jnp.int32(moves[-1]), jnp.int32(0))
    assert (float(step.reward), float(step.discount)) == (1.0, 0.0)
    assert not game.legal_actions(after).any()


def test_connect_four_ends_drawn_on_a_full_board():
    game = ConnectFour(4, 4)
    state, step = play(game, DRAWN_4X4)
    assert (float(step.reward), float(step.discount)) == (0.0, 0.0)
    assert not game.legal_actions(state).any()
    assert float(game.observe(state).sum()) == 16


def test_connect_four_ignores_a_stone_on_a_full_column():
    game = ConnectFour(4, 5)
    state, _ = play(game, (2, 2, 2, 2))
    assert game.legal_actions(state).tolist() == [True, True, False, True, True]
    after, step = game.apply(state, jnp.int32(2), jnp.int32(0))
    assert np.isfinite([step.reward, step.discount]).all()
    assert game.observe(after).sum() == 4


def test_connect_four_mirror_image():
    game = ConnectFour()
    state, _ = play(game, (0, 1, 1, 5, 6, 6))
    images, actions = game.symmetries(state)
    mirror = jax.tree.map(lambda leaf: leaf[1], images)
    np.testing.assert_array_equal(game.observe(mirror), game.observe(state)[:, ::-1])
    assert actions.tolist() == [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0]]


@pytest.mark.parametrize(
    ("sizes", "num_words"), [((4, 4), 1), ((4, 5), 1), ((5, 5), 1), ((5, 6), 2), ((6, 7), 2)]
)
def test_connect_four_keys_are_short(sizes, num_words):
    game = ConnectFour(*sizes)
    assert game.encode(game.init()).shape == (num_words,)


def test_connect_four_render():
    state, _ = play(ConnectFour(4, 5), (2, 2, 1))
    assert ConnectFour(4, 5).render(state) == ". . . . .\n. . . . .\n. . O . .\n. X X . .\n0 1 2 3 4"


@pytest.mark.parametrize(
    ("sizes", "allowed"),
    [
        ((0, 7), "1 to 31"),
        ((6, 32), "1 to 31"),
        ((3, 3), "between 2 and the longer side, 3"),
        ((6, 7, 1), "between 2"),
    ],
)
def test_connect_four_refuses_impossible_boards(sizes, allowed):
    with pytest.raises(ValueError, match=allowed):
        ConnectFour(*sizes)


@pytest.mark.parametrize("heaps", [(1, 2, 3), (2, 2), (4,), (1, 1, 3)])
def test_nim_is_won_by_the_mover_exactly_where_the_xor_is_not_zero(heaps):
    game = Nim(heaps)
    legal_actions, apply = jax.jit(game.legal_actions), jax.jit(game.apply)

    @functools.cache
    def value(key):
        state = game.decode(jnp.array(key, jnp.uint32))
        best = 0.0
        for count, action in enumerate(np.flatnonzero(legal_actions(state))):
            after, step = apply(state, jnp.int32(action), jnp.int32(0))
            worth = float(step.reward) + float(step.discount) * value(tuple(game.encode(after).tolist()))
            best = worth if count == 0 else max(best, worth)
        return best

    for left in itertools.product(*(range(size + 1) for size in heaps)):
        key = game.encode(game.init()._replace(heaps=jnp.array(left, jnp.int32)))
        xor = functools.reduce(int.__xor__, left)
        assert value(tuple(key.tolist())) == (1.0 if xor else -1.0 if any(left) else 0.0)


def test_nim_moves_run_heap_by_heap():
    game = Nim((1, 3))
    names = [game.action_name(action) for action in range(game.num_actions)]
    assert names == ["take 1 from heap 0", "take 1 from heap 1", "take 2 from heap 1", "take 3 from heap 1"]
    state, _ = game.apply(game.init(), jnp.int32(2), jnp.int32(0))
    assert state.heaps.tolist() == [1, 1]
    assert game.legal_actions(state).tolist() == [True, True, False, False]
    assert game.render(state) == "heap 0: o (1)\nheap 1: o (1)"


def test_nim_symmetries_permute_equal_heaps():
    game = Nim((2, 3, 2))
    images, actions = game.symmetries(game.init()._replace(heaps=jnp.array([0, 3, 1], jnp.int32)))
    assert images.heaps.tolist() == [[0, 3, 1], [1, 3, 0]]
    assert actions.tolist() == [[0, 1, 2, 3, 4, 5, 6], [5, 6, 2, 3, 4, 0, 1]]


@pytest.mark.parametrize(
    ("heaps", "fault"),
    [((), "one or more heaps"), ((0, 1), "1 to 1000"), ((1001,), "1 to 1000"), ((1000,) * 8, "64-bit key")],
)
def test_nim_refuses_impossible_heaps(heaps, fault):
    with pytest.raises(ValueError, match=fault):
        Nim(heaps)


@pytest.mark.parametrize("name", game_names())
def test_moves_after_the_end_do_no_harm(name):
    """Search and solver apply every action everywhere and throw away what was not legal."""
    game, rng = load_game(name), random.Random(1)
    legal_actions, apply = jax.jit(game.legal_actions), jax.jit(game.apply)
    outcome_probs = jax.jit(game.outcome_probs)
    state = game.init()
    while (legal := np.flatnonzero(legal_actions(state))).size:
        action = jnp.int32(rng.choice(list(legal)))
        (outcome,) = rng.choices(range(game.num_outcomes), outcome_probs(state, action).tolist())
        state, _ = apply(state, action, jnp.int32(outcome))
    for action in range(game.num_actions):
        after, step = apply(state, jnp.int32(action), jnp.int32(0))
        assert np.isfinite([step.reward, step.discount]).all()
        assert np.isfinite(game.observe(after)).all()


@pytest.mark.parametrize("name", game_names())
def test_wide_numbers_leave_keys_and_states_as_they_are(name):
    """The solver may switch 64-bit numbers on for exact probabilities."""
    game = load_game(name)
    with jax.enable_x64(True):
        state = game.init()
        after, _ = jax.eval_shape(game.apply, state, jnp.int32(0), jnp.int32(0))
        assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
        assert game.encode(state).dtype == jnp.uint32
        assert game.observe(state).dtype == jnp.float32


@pytest.mark.parametrize("name", game_names())
def test_every_game_can_be_shown(name):
    game = load_game(name)
    assert render_of(game, game.init()).strip()
    assert action_name_of(game, 0)
