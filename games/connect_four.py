"""Connect Four on a board of any size: stones fall to the bottom of a column, a line of `connect` wins.

A board is a bit string kept in 32-bit words, low bits first: cell (row, column) is bit
`column * (rows + 1) + row`, rows counted from the bottom. The spare cell above each column stays empty in
a board and separates the columns, so that a shifted board never lines up cells that are not in line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.game import Step
from games import bitbully

EXAMPLES = ("connect_four", "connect_four_4x4", "connect_four_4x5", "connect_four_5x4", "connect_four_5x5")

_WORD_BITS = 32

# Positions that can be reached, by rows and columns, as published by J. Tromp.
_NUM_STATES = {(5, 5): 69_763_700, (6, 7): 4_531_985_219_092}

Board = tuple[UInt32[Array, ""], ...]
"""Words of a bit string, lowest first. Separate scalars rather than one array, so that a whole move fuses."""

Cells = tuple[np.uint32, ...]
"""A board that is known when the program is compiled."""


class ConnectFourState(NamedTuple):
    """Cells taken.

    Attributes:
      mine: stones of the player to move.
      theirs: stones of the player who just moved.
    """

    mine: Board
    theirs: Board


def _and(left: Board, right: Board | Cells) -> Board:
    return tuple(a & b for a, b in zip(left, right, strict=True))


def _or(left: Board, right: Board | Cells) -> Board:
    return tuple(a | b for a, b in zip(left, right, strict=True))


def _without(left: Board, right: Board) -> Board:
    return tuple(a & ~b for a, b in zip(left, right, strict=True))


def _shifted(board: Board, distance: int) -> Board:
    """The bit string moved up by `distance` bits, or down where negative; what leaves the words is lost."""
    skip, bits = divmod(distance, _WORD_BITS)

    def word(index: int) -> UInt32[Array, ""]:
        return board[index] if 0 <= index < len(board) else jnp.uint32(0)

    places = range(len(board))
    if bits == 0:
        return tuple(word(place - skip) for place in places)
    high, low = np.uint32(bits), np.uint32(_WORD_BITS - bits)
    return tuple((word(place - skip) << high) | (word(place - skip - 1) >> low) for place in places)


def _is_empty(board: Board) -> Bool[Array, ""]:
    return reduce(or_, board) == 0


@dataclass(frozen=True)
class ConnectFour:
    """Two players; reward 1 for completing a line; action = column, from 0 at the left.

    Attributes:
      connect: stones in a row, column or diagonal that win.

    Raises:
      ValueError: a board without room for a line.
    """

    rows: int = 6
    columns: int = 7
    connect: int = 4

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
    def solver_library(self) -> str | None:
        sizes = (self.rows, self.columns, self.connect)
        return "bitbully" if sizes == (bitbully.ROWS, bitbully.COLUMNS, bitbully.CONNECT) else None

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.rows, self.columns, 2)

    @property
    def _num_words(self) -> int:
        return -(-self.columns * (self.rows + 1) // _WORD_BITS)

    def _cells(self, num_rows: int, columns: range) -> Cells:
        """The lowest cells of some columns, as words."""
        bits = sum(((1 << num_rows) - 1) << column * (self.rows + 1) for column in columns)
        return tuple(np.uint32(bits >> _WORD_BITS * k & 0xFFFFFFFF) for k in range(self._num_words))

    def _landing(self, occupied: Board) -> Board:
        """The cell above the topmost stone of every column; the spare cell where a column is full."""
        bottom = self._cells(1, range(self.columns))
        return _without(_or(_shifted(occupied, 1), bottom), occupied)

    def _has_line(self, board: Board) -> Bool[Array, ""]:
        found = []
        for direction in (1, self.rows, self.rows + 1, self.rows + 2):
            run, length = board, 1
            while length < self.connect:
                step = min(length, self.connect - length)
                run, length = _and(run, _shifted(run, -step * direction)), length + step
            found.append(~_is_empty(run))
        return reduce(or_, found)

    def _has_room(self, occupied: Board) -> Bool[Array, " A"]:
        """Whether the top cell of each column is free."""
        top = [divmod(column * (self.rows + 1) + self.rows - 1, _WORD_BITS) for column in range(self.columns)]
        return jnp.stack([(occupied[word] & np.uint32(1 << bit)) == 0 for word, bit in top])

    def init(self) -> ConnectFourState:
        empty = tuple(jnp.uint32(0) for _ in range(self._num_words))
        return ConnectFourState(mine=empty, theirs=empty)

    def legal_actions(self, state: ConnectFourState) -> Bool[Array, " A"]:
        return self._has_room(_or(*state)) & ~self._has_line(state.theirs)

    def outcome_probs(self, state: ConnectFourState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: ConnectFourState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[ConnectFourState, Step]:
        landing = self._landing(_or(*state))
        mine = state.mine
        for column in range(self.columns):
            stone = _and(landing, self._cells(self.rows, range(column, column + 1)))
            mine = tuple(jnp.where(action == column, a | b, a) for a, b in zip(mine, stone, strict=True))
        wins = self._has_line(mine)
        room = _and(self._landing(_or(mine, state.theirs)), self._cells(self.rows, range(self.columns)))
        over = wins | _is_empty(room)
        step = Step(reward=jnp.where(wins, 1.0, 0.0), discount=jnp.where(over, 0.0, -1.0))
        return ConnectFourState(mine=state.theirs, theirs=mine), step

    def observe(self, state: ConnectFourState) -> Float[Array, "rows columns 2"]:
        """Planes of the two players' stones, row 0 at the bottom."""
        planes = [self._plane(board) for board in state]
        return jnp.stack(planes, axis=-1).astype(jnp.float32)

    def _plane(self, board: Board) -> Bool[Array, "rows columns"]:
        bits = np.arange(self.columns) * (self.rows + 1) + np.arange(self.rows)[:, None]
        words, places = np.divmod(bits, _WORD_BITS)
        # Select among words rather than gather: it stays one fused loop, several times as fast.
        holding = reduce(
            lambda held, k: jnp.where(words == k, board[k], held), range(len(board)), jnp.uint32(0)
        )
        return (holding >> places.astype(np.uint32)) & 1 != 0

    def encode(self, state: ConnectFourState) -> UInt32[Array, " K"]:
        """The mover's stones, and in every column one bit above its topmost stone."""
        return jnp.stack(_or(state.mine, self._landing(_or(*state))))

    def decode(self, key: UInt32[Array, " K"]) -> ConnectFourState:
        code = tuple(key[k] for k in range(self._num_words))
        # The topmost bit of each column marks its height: spread it down to the bottom of the column.
        spread, distance = code, 1
        while distance <= self.rows:
            inside = self._cells(self.rows + 1 - distance, range(self.columns))
            spread = _or(spread, _and(_shifted(spread, -distance), inside))
            distance *= 2
        occupied = _and(_shifted(spread, -1), self._cells(self.rows, range(self.columns)))
        mine = _and(code, occupied)
        return ConnectFourState(mine=mine, theirs=_without(occupied, mine))

    def symmetries(self, state: ConnectFourState) -> tuple[ConnectFourState, Int[Array, "2 A"]]:
        """The board and its left-right mirror image."""

        def images(board: Board) -> tuple[UInt32[Array, "2"], ...]:
            pairs = zip(board, self._mirrored(board), strict=True)
            return tuple(jnp.stack(pair) for pair in pairs)

        actions = np.arange(self.columns, dtype=np.int32)
        return ConnectFourState(*map(images, state)), jnp.stack([actions, actions[::-1]])

    def _mirrored(self, board: Board) -> Board:
        mirrored = tuple(jnp.zeros_like(word) for word in board)
        for column in range(self.columns):
            cells = _and(board, self._cells(self.rows, range(column, column + 1)))
            mirrored = _or(mirrored, _shifted(cells, (self.columns - 1 - 2 * column) * (self.rows + 1)))
        return mirrored

    def render(self, state: ConnectFourState) -> str:
        """The board, top row first, X for the first player; below it the number of each column."""
        mine, theirs = (sum(int(word) << _WORD_BITS * k for k, word in enumerate(board)) for board in state)
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
        mine, theirs = (low | high << np.uint64(_WORD_BITS) for low, high in words)
        return bitbully.qvalues(mine, theirs, stride=self.rows + 1, progress_fn=progress_fn)


def make(rows: int = 6, columns: int = 7, connect: int = 4) -> ConnectFour:
    """Connect Four with `rows` x `columns` cells and lines of `connect`."""
    return ConnectFour(rows, columns, connect)
