"""Hex is the game meant: held against plain rules, Hex's theorems and counts."""

import functools
import itertools
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.catalog import load_game, with_overrides
from exit.errors import UsageError
from exit.game import action_name_of
from exit.solve import TooLarge, exact_moves, initial_value, solve, states_of, summary
from exit.solve.keys import unpack
from games.hex import Hex, make
from tests.test_games import play


def touching(size):
    """Cells that touch each cell."""
    around = ((-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0))
    return [
        [
            (row + down) * size + column + right
            for down, right in around
            if 0 <= row + down < size and 0 <= column + right < size
        ]
        for row, column in itertools.product(range(size), repeat=2)
    ]


def joined(size, stones, first):
    """Whether a set of cells joins top and bottom, for the first player, or left and right."""
    place = (lambda cell: cell // size) if first else (lambda cell: cell % size)
    near = touching(size)
    flood = [cell for cell in stones if place(cell) == 0]
    reached = set(flood)
    while flood:
        fresh = {cell for cell in near[flood.pop()] if cell in stones} - reached
        reached |= fresh
        flood += fresh
    return any(place(cell) == size - 1 for cell in reached)


class PlainHex:
    """Hex on two sets of cells, written without a thought of speed."""

    def __init__(self, size, swap):
        self.size, self.swap = size, swap
        self.stones, self.ply, self.won = (set(), set()), 0, False

    def legal(self):
        free = [
            not self.won and all(cell not in taken for taken in self.stones) for cell in range(self.size**2)
        ]
        return free + [self.ply == 1] * self.swap

    def play(self, action):
        mover = self.ply % 2
        if action == self.size**2:
            row, column = divmod(self.stones[0].pop(), self.size)
            action = column * self.size + row
        self.stones[mover].add(action)
        self.ply += 1
        self.won = joined(self.size, self.stones[mover], first=mover == 0)

    def planes(self):
        mover = self.ply % 2
        cells = [
            (cell in self.stones[mover], cell in self.stones[1 - mover], mover == 0)
            for cell in range(self.size**2)
        ]
        return np.array(cells, np.float32).reshape(self.size, self.size, 3)


@pytest.mark.parametrize("game", [Hex(2), Hex(5, swap=True), Hex(11)], ids=lambda game: game.name)
def test_hex_agrees_with_plain_rules(game):
    rng = random.Random(0)
    look = jax.jit(lambda state: (game.legal_actions(state), game.observe(state)))
    apply = jax.jit(game.apply)
    winners, swaps = set(), 0
    for _ in range(20):
        plain, state = PlainHex(game.size, game.swap), game.init()
        while True:
            legal, planes = look(state)
            assert legal.tolist() == plain.legal()
            np.testing.assert_array_equal(planes, plain.planes())
            if not any(plain.legal()):
                break
            actions = [action for action, is_legal in enumerate(plain.legal()) if is_legal]
            swapping = game.swap and plain.ply == 1 and rng.random() < 0.5
            swaps += swapping
            action = game.size**2 if swapping else rng.choice(actions)
            plain.play(action)
            state, step = apply(state, jnp.int32(action), jnp.int32(0))
            assert (float(step.reward), float(step.discount)) == ((1.0, 0.0) if plain.won else (0.0, -1.0))
        winners.add(plain.ply % 2)
    assert winners == {0, 1}
    assert not game.swap or 3 < swaps < 17


def over(size):
    """Whether stones join top and bottom (`first`) or left and right, for `[n, size * size]` of booleans."""
    game = Hex(size, swap=True)

    @jax.jit
    def joins(stones, first):
        words = game.encode(game.init()).shape[0]
        # The key holds the mover's stones, those of the player who just moved, and whether the first is next.
        turn = jnp.broadcast_to(~first, (len(stones), 1))
        bits = jnp.concatenate([jnp.zeros_like(stones), stones, turn], axis=1)
        bits = jnp.pad(bits, ((0, 0), (0, 32 * words - bits.shape[1]))).reshape(-1, words, 32)
        keys = jnp.sum(bits * (np.uint32(1) << np.arange(32, dtype=np.uint32)), axis=-1, dtype=jnp.uint32)
        return jax.vmap(game.decode)(keys).over

    return lambda stones, first: np.asarray(joins(jnp.asarray(stones), jnp.bool_(first)))


def test_every_set_of_stones_on_a_small_board_joins_what_it_should():
    subsets = np.array(list(itertools.product([False, True], repeat=9)))
    for first in (True, False):
        expected = [joined(3, set(np.flatnonzero(stones).tolist()), first) for stones in subsets]
        assert over(3)(subsets, first).tolist() == expected


@pytest.mark.parametrize("size", [4, 11])
def test_on_a_full_board_exactly_one_player_has_joined_his_sides(size):
    """J. Nash's theorem, on all boards of size 4 and on random ones of size 11."""
    if size == 4:
        stones = (np.arange(1 << 16)[:, None] >> np.arange(16)) % 2 == 1
    else:
        stones = np.random.default_rng(0).random((4096, size**2)) < 0.5
    joins = over(size)
    first_wins = joins(stones, True)
    np.testing.assert_array_equal(joins(~stones, False), ~first_wins)
    assert 0.3 < first_wins.mean() < 0.7


@functools.cache
def _plain_value(size, mine, theirs, first):
    """Value to the player to move, by plain recursion; every position reached stays in the cache."""
    if joined(size, theirs, not first):
        return -1
    cells = [cell for cell in range(size**2) if cell not in mine and cell not in theirs]
    return max(-_plain_value(size, theirs, mine | {cell}, not first) for cell in cells)


@pytest.fixture(scope="module")
def hex_3():
    # Every state has a row of its own.
    return solve(Hex(3), use_symmetries=False)


def test_hex_3_agrees_with_plain_recursion(hex_3):
    table, game = hex_3, hex_3.game
    _plain_value.cache_clear()
    assert _plain_value(3, frozenset(), frozenset(), True) == 1 == initial_value(table)
    assert _plain_value.cache_info().currsize == len(table.keys) == 5514
    states = states_of(game, unpack(table.keys))
    cells = [
        [frozenset(np.flatnonzero(row >> np.arange(9) & 1).tolist()) for row in board[0]]
        for board in states[:2]
    ]
    for mine, theirs, first, value, terminal in zip(
        *cells, states.first.tolist(), table.values.tolist(), table.terminal.tolist(), strict=True
    ):
        assert terminal == joined(3, theirs, not first)
        assert value == (0 if terminal else _plain_value(3, mine, theirs, first))
    assert _plain_value.cache_info().currsize == 5514


def winning_openings(table):
    """Names of the first moves that win."""
    game = table.game
    (moves,) = exact_moves(table, jax.tree.map(lambda leaf: leaf[None], game.init())).qvalues
    return {action_name_of(game, action) for action in np.flatnonzero(moves == 1).tolist()}


def test_the_first_player_wins_hex_3_from_five_cells(hex_3):
    first_moves = {
        Hex(3).action_name(cell)
        for cell in range(9)
        if _plain_value(3, frozenset(), frozenset({cell}), False) == -1
    }
    assert winning_openings(hex_3) == first_moves == {"c1", "a2", "b2", "c2", "a3"}


def test_a_swap_hands_hex_3_to_the_second_player():
    table = solve(Hex(3, swap=True))
    assert (initial_value(table), winning_openings(table)) == (-1.0, set())
    # Whoever is swapped away from a won opening, or stays with a lost one, has lost.
    for cell in range(9):
        state, _ = play(table.game, [cell])
        moves = exact_moves(table, jax.tree.map(lambda leaf: leaf[None], state))
        won_opening = action_name_of(table.game, cell) in {"c1", "a2", "b2", "c2", "a3"}
        assert moves.values[0] == 1
        assert moves.qvalues[0, 9] == (1 if won_opening else -1)


@pytest.mark.computes
@pytest.mark.slow
def test_hex_4_is_won_from_the_short_diagonal():
    table = solve(Hex(4))
    figures = summary(table)
    assert (figures["states"], figures["terminal_states"], figures["value"]) == (9_386_235, 1_197_530, 1.0)
    assert winning_openings(table) == {"d1", "c2", "b3", "a4"}


def estimated_states(size, num_samples):
    """How many positions can be reached, from random ones of every number of stones."""
    joins, rng, num_cells = over(size), np.random.default_rng(0), size**2
    total = 0.0
    for ply in range(num_cells + 1):
        order = rng.permuted(np.tile(np.arange(num_cells), (num_samples, 1)), axis=1)
        place = np.argsort(order, axis=1)
        half = (ply + 1) // 2
        mover_was_first = ply % 2 == 1
        stones = [place < half, (place >= half) & (place < ply)]
        last, other = stones if mover_was_first else stones[::-1]
        won, lost = joins(last, mover_was_first), joins(other, not mover_was_first)
        # A finished position can be reached if it was open before one of the last player's stones.
        was_open = np.zeros(num_samples, bool)
        for cell in range(num_cells):
            fewer = last & (np.arange(num_cells) != cell)
            was_open |= last[:, cell] & ~joins(fewer, mover_was_first)
        share = (~lost & (~won | was_open)).mean()
        total += share * math.comb(num_cells, half) * math.comb(num_cells - half, ply - half)
    return total


def test_the_number_of_states_declared_is_about_right():
    assert estimated_states(4, 1024) == pytest.approx(9_386_235, rel=0.02)
    assert estimated_states(5, 1024) == pytest.approx(Hex(5).num_states, rel=0.05)


@pytest.mark.parametrize("game", [Hex(5), Hex(11), Hex(11, swap=True), Hex(13)], ids=lambda game: game.name)
def test_large_boards_are_refused_at_once(game):
    phases = []
    with pytest.raises(TooLarge, match=f"{game.name} does not fit in memory: it has"):
        solve(game, max_bytes=10**12, progress_fn=lambda *report: phases.append(report))
    assert not phases


def test_the_name_of_a_game_says_whether_it_has_a_swap():
    assert load_game("hex_4") == Hex(4)
    assert load_game("hex_4_1") == Hex(4, swap=True)
    assert load_game(Hex(4, swap=True).name) == Hex(4, swap=True)
    assert with_overrides(Hex(4), ["swap=true"]) == Hex(4, swap=True)
    with pytest.raises(UsageError, match=r"a swap \(1\) or none \(0\), got 2"):
        load_game("hex_4_2")


@pytest.mark.parametrize("size", [1, 27])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"a size of 2 to 26, got {size}"):
        make(size)


@pytest.mark.parametrize(
    ("game", "num_words"), [(Hex(4), 1), (Hex(4, swap=True), 2), (Hex(5), 2), (Hex(11), 8)]
)
def test_keys_are_short(game, num_words):
    assert game.encode(game.init()).shape == (num_words,)


_SIDES = "\nX joins top and bottom, O left and right"


def test_the_board_is_a_rhombus():
    game = Hex(3)
    state, _ = play(game, (1, 3, 4))
    assert game.render(state) == "  a b c\n1 . X .\n 2 O X .\n  3 . . ." + _SIDES
    images, actions = game.symmetries(state)
    turned = game.render(jax.tree.map(lambda leaf: leaf[1], images))
    assert turned == "  a b c\n1 . . .\n 2 . X O\n  3 . X ." + _SIDES
    assert actions[1].tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert [game.action_name(action) for action in (0, 1, 3)] == ["a1", "b1", "a2"]


def test_a_swap_takes_the_stone_to_its_mirror_image():
    game = Hex(3, swap=True)
    assert game.action_name(9) == "swap"
    state, _ = play(game, (1, 9))
    assert game.render(state) == "  a b c\n1 . . .\n 2 O . .\n  3 . . ." + _SIDES
    assert game.legal_actions(state).tolist() == [
        True,
        True,
        True,
        False,
        True,
        True,
        True,
        True,
        True,
        False,
    ]
    assert bool(state.first)
