"""Connect Four on a board of any size: stones fall to the bottom of a column, a line of `connect` wins.

A board is a bit string kept in 32-bit words, low bits first: cell (row, column) is bit
`column * (rows + 1) + row`, rows counted from the bottom. The spare cell above each column stays empty in
a board and separates the columns, so that a shifted board never lines up cells that are not in line.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.game import Step
from games import _bitboard as bb
from games import bitbully

EXAMPLES = ("connect_four", "connect_four_4x4", "connect_four_4x5", "connect_four_5x4", "connect_four_5x5")

# Positions that can be reached, by rows and columns, as published by J. Tromp.
_NUM_STATES = {(5, 5): 69_763_700, (6, 7): 4_531_985_219_092}


class ConnectFourState(NamedTuple):
    """Cells taken.

    Attributes:
      mine: stones of the player to move.
      theirs: stones of the player who just moved.
    """

    mine: bb.Board
    theirs: bb.Board


@dataclass(frozen=True)
class ConnectFour:
    """Two players; reward 1 for completing a line; action = column, from 0 at the left.

    Attributes:
      connect: stones in a row, column or diagonal that win.
      threats: whether observations also show each player's threats, the free cells that would complete a line
        (Allis, "A Knowledge-Based Approach of Connect-Four", 1988); the rules are the same.

    Raises:
      ValueError: a board without room for a line.
    """

    rows: int = 6
    columns: int = 7
    connect: int = 4
    # No part of the rules: exact values kept for one are the other's.
    threats: bool = field(default=False, repr=False)

    version = 1
    num_outcomes = 1
    value_bounds = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= 31 and 1 <= self.columns <= 31):
            raise ValueError(f"connect_four has 1 to 31 rows and columns, got {self.rows} x {self.columns}")
        if not 2 <= self.connect <= max(self.rows, self.columns):
            raise ValueError(
                f"connect must lie between 2 and the longer side, {max(self.rows, self.columns)}, "
                f"got {self.connect}"
            )

    @property
    def name(self) -> str:
        sizes = (self.rows, self.columns) + ((self.connect,) if self.connect != 4 else ())
        return "connect_four" if sizes == (6, 7) else "connect_four_" + "x".join(map(str, sizes))

    @property
    def num_actions(self) -> int:
        return self.columns

    @property
    def num_states(self) -> int | None:
        return _NUM_STATES.get((self.rows, self.columns)) if self.connect == 4 else None

    @property
    def openspiel_name(self) -> str:
        return f"connect_four(rows={self.rows},columns={self.columns},x_in_row={self.connect})"

    @property
    def solver_library(self) -> str | None:
        sizes = (self.rows, self.columns, self.connect)
        return "bitbully" if sizes == (bitbully.ROWS, bitbully.COLUMNS, bitbully.CONNECT) else None

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.rows, self.columns, 4 if self.threats else 2)

    @property
    def _num_words(self) -> int:
        return bb.num_words(self.columns * (self.rows + 1))

    @property
    def _directions(self) -> tuple[int, int, int, int]:
        """From a cell of a line to the next: up, falling, level, rising."""
        return (1, self.rows, self.rows + 1, self.rows + 2)

    def _cells(self, num_rows: int, columns: range) -> bb.Cells:
        """The lowest cells of some columns, as words."""
        bits = sum(((1 << num_rows) - 1) << column * (self.rows + 1) for column in columns)
        return bb.cells(bits, self._num_words)

    def _landing(self, occupied: bb.Board) -> bb.Board:
        """The cell above the topmost stone of every column; the spare cell where a column is full."""
        bottom = self._cells(1, range(self.columns))
        return bb.without(bb.either(bb.shifted(occupied, 1), bottom), occupied)

    def _has_line(self, board: bb.Board) -> Bool[Array, ""]:
        found = []
        for direction in self._directions:
            run, length = board, 1
            while length < self.connect:
                step = min(length, self.connect - length)
                run, length = bb.both(run, bb.shifted(run, -step * direction)), length + step
            found.append(~bb.is_empty(run))
        return reduce(or_, found)

    def _threats(self, board: bb.Board, occupied: bb.Board) -> bb.Board:
        """Free cells where a stone would complete a line of the board."""
        completing = bb.empty(self._num_words)
        for direction in self._directions:
            for place in range(self.connect):
                steps = [step - place for step in range(self.connect) if step != place]
                rest = reduce(bb.both, (bb.shifted(board, -step * direction) for step in steps))
                completing = bb.either(completing, rest)
        return bb.both(completing, bb.left_free(occupied, self._cells(self.rows, range(self.columns))))

    def _has_room(self, occupied: bb.Board) -> Bool[Array, " A"]:
        """Whether the top cell of each column is free."""
        return ~bb.plane(occupied, np.arange(self.columns) * (self.rows + 1) + self.rows - 1)

    def init(self) -> ConnectFourState:
        empty = bb.empty(self._num_words)
        return ConnectFourState(mine=empty, theirs=empty)

    def legal_actions(self, state: ConnectFourState) -> Bool[Array, " A"]:
        return self._has_room(bb.either(*state)) & ~self._has_line(state.theirs)

    def outcome_probs(self, state: ConnectFourState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: ConnectFourState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[ConnectFourState, Step]:
        landing = self._landing(bb.either(*state))
        mine = state.mine
        for column in range(self.columns):
            stone = bb.both(landing, self._cells(self.rows, range(column, column + 1)))
            mine = bb.chosen(action == column, bb.either(mine, stone), mine)
        wins = self._has_line(mine)
        board = self._cells(self.rows, range(self.columns))
        over = wins | bb.is_empty(bb.left_free(bb.either(mine, state.theirs), board))
        step = Step(reward=jnp.where(wins, 1.0, 0.0), discount=jnp.where(over, 0.0, -1.0))
        return ConnectFourState(mine=state.theirs, theirs=mine), step

    def observe(self, state: ConnectFourState) -> Float[Array, "rows columns planes"]:
        """Planes of the two players' stones, then of their threats if asked for, row 0 at the bottom."""
        bits = np.arange(self.columns) * (self.rows + 1) + np.arange(self.rows)[:, None]
        boards = [state.mine, state.theirs]
        if self.threats:
            occupied = bb.either(*state)
            boards += [self._threats(board, occupied) for board in boards]
        return jnp.stack([bb.plane(board, bits) for board in boards], axis=-1).astype(jnp.float32)

    def encode(self, state: ConnectFourState) -> UInt32[Array, " K"]:
        """The mover's stones, and in every column one bit above its topmost stone."""
        return jnp.stack(bb.either(state.mine, self._landing(bb.either(*state))))

    def decode(self, key: UInt32[Array, " K"]) -> ConnectFourState:
        code = tuple(key[k] for k in range(self._num_words))
        # The topmost bit of each column marks its height: spread it down to the bottom of the column.
        spread, distance = code, 1
        while distance <= self.rows:
            inside = self._cells(self.rows + 1 - distance, range(self.columns))
            spread = bb.either(spread, bb.both(bb.shifted(spread, -distance), inside))
            distance *= 2
        occupied = bb.both(bb.shifted(spread, -1), self._cells(self.rows, range(self.columns)))
        mine = bb.both(code, occupied)
        return ConnectFourState(mine=mine, theirs=bb.without(occupied, mine))

    def symmetries(self, state: ConnectFourState) -> tuple[ConnectFourState, Int[Array, "2 A"]]:
        """The board and its left-right mirror image."""

        def images(board: bb.Board) -> tuple[UInt32[Array, "2"], ...]:
            pairs = zip(board, self._mirrored(board), strict=True)
            return tuple(jnp.stack(pair) for pair in pairs)

        actions = np.arange(self.columns, dtype=np.int32)
        return ConnectFourState(*map(images, state)), jnp.stack([actions, actions[::-1]])

    @property
    def symmetric_observations(self) -> Int[np.ndarray, "2 N"]:
        """The planes and their mirror images."""
        entries = np.arange(math.prod(self.observation_shape), dtype=np.int32).reshape(self.observation_shape)
        return np.stack([entries, entries[:, ::-1]]).reshape(2, -1)

    def _mirrored(self, board: bb.Board) -> bb.Board:
        mirrored = bb.empty(self._num_words)
        for column in range(self.columns):
            cells = bb.both(board, self._cells(self.rows, range(column, column + 1)))
            distance = (self.columns - 1 - 2 * column) * (self.rows + 1)
            mirrored = bb.either(mirrored, bb.shifted(cells, distance))
        return mirrored

    def render(self, state: ConnectFourState) -> str:
        """The board, top row first, X for the first player; below it the number of each column."""
        mine, theirs = map(bb.whole_number, state)
        x, o = (mine, theirs) if mine.bit_count() == theirs.bit_count() else (theirs, mine)
        width = len(str(self.columns - 1))

        def mark(row: int, column: int) -> str:
            bit = column * (self.rows + 1) + row
            return ("X" if x >> bit & 1 else "O" if o >> bit & 1 else ".").rjust(width)

        lines = [
            " ".join(mark(row, column) for column in range(self.columns))
            for row in reversed(range(self.rows))
        ]
        return "\n".join([*lines, " ".join(str(column).rjust(width) for column in range(self.columns))])

    def action_name(self, action: int) -> str:
        return f"column {action}"

    def library_qvalues(
        self, states: ConnectFourState, progress_fn: Callable[[float], None] | None = None
    ) -> Float[np.ndarray, "n A"]:
        if self.solver_library is None:
            raise ValueError(f"bitbully solves connect_four alone, not {self.name}")
        words = [[np.asarray(word).astype(np.uint64) for word in board] for board in states]
        mine, theirs = (low | high << np.uint64(bb.WORD_BITS) for low, high in words)
        return bitbully.qvalues(mine, theirs, stride=self.rows + 1, progress_fn=progress_fn)


def make(rows: int = 6, columns: int = 7, connect: int = 4) -> ConnectFour:
    """Connect Four with `rows` x `columns` cells and lines of `connect`."""
    return ConnectFour(rows, columns, connect)
