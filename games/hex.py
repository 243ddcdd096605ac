"""Hex: the first player joins the top and the bottom of a rhombus, the second its left and its right side.

Cell (row, column) touches those to its left and right, the two above it, (row - 1, column) and
(row - 1, column + 1), and the two below it, (row + 1, column - 1) and (row + 1, column). On a full board
exactly one of the players has joined his sides, so there is no draw.
"""

import string
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.game import Step
from games import _bitboard as bb

EXAMPLES = ("hex_3", "hex_4", "hex_11")

_LETTERS = string.ascii_lowercase

# Positions that can be reached, by size, estimated from random positions of every number of stones. That of
# size 11 is twice the 2.4e56 of C. Browne, Hex Strategy, 2000, who takes two turned boards for one.
_NUM_STATES = {
    5: 15 * 10**10,
    6: 23 * 10**15,
    7: 32 * 10**21,
    8: 41 * 10**28,
    9: 47 * 10**36,
    10: 49 * 10**45,
    11: 47 * 10**55,
}


class HexState(NamedTuple):
    """Cells taken, as bits (cell c is bit c, row-major), and whose sides the player to move has.

    Attributes:
      mine: stones of the player to move.
      theirs: stones of the player who just moved.
      first: whether the player to move is the first, who joins top and bottom.
      over: whether the player who just moved has joined his sides. It follows from the rest, but at a cost.
    """

    mine: bb.Board
    theirs: bb.Board
    first: Bool[Array, ""]
    over: Bool[Array, ""]


@dataclass(frozen=True)
class Hex:
    """Two players; reward 1 for joining one's sides; action = cell, row-major from 0.

    Attributes:
      size: cells along each side.
      swap: the second player may answer the first move by taking it over, with the last action, size * size:
        the stone becomes his, mirrored at the diagonal through the first cell, where it is worth to him
        what it was worth to the first player. This is the rule of Pgx.

    Raises:
      ValueError: a size outside 2 to 26.
    """

    size: int = 11
    swap: bool = False

    version = 1
    num_outcomes = 1
    value_bounds = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if not 2 <= self.size <= 26:
            raise ValueError(f"hex has a size of 2 to 26, got {self.size}")

    @property
    def name(self) -> str:
        return f"hex_{self.size}_1" if self.swap else f"hex_{self.size}"

    @property
    def num_actions(self) -> int:
        return self._num_cells + self.swap

    @property
    def num_states(self) -> int | None:
        # Larger boards and swaps add to it, which changes nothing: all these are too large to solve.
        return _NUM_STATES.get(min(self.size, 11))

    @property
    def openspiel_name(self) -> str:
        return f"hex(board_size={self.size},swap={self.swap})"

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.size, self.size, 3)

    @property
    def _num_cells(self) -> int:
        return self.size * self.size

    @property
    def _num_words(self) -> int:
        return bb.num_words(self._num_cells)

    def _cells(self, rows: range, columns: range) -> bb.Cells:
        """The cells where some rows and columns meet."""
        bits = sum(1 << row * self.size + column for row in rows for column in columns)
        return bb.cells(bits, self._num_words)

    def _neighbours(self, board: bb.Board) -> bb.Board:
        """Cells that touch a stone, and bits beyond the board."""
        every, size = range(self.size), self.size
        leftward = bb.both(board, self._cells(every, range(1, size)))
        rightward = bb.both(board, self._cells(every, range(size - 1)))
        found = bb.either(bb.shifted(board, size), bb.shifted(board, -size))
        for stones, distance in ((leftward, -1), (leftward, size - 1), (rightward, 1), (rightward, 1 - size)):
            found = bb.either(found, bb.shifted(stones, distance))
        return found

    def _joins(self, stones: bb.Board, first: Bool[Array, ""]) -> Bool[Array, ""]:
        """Whether stones join top and bottom, if they are the first player's, or left and right."""
        every, low, high = range(self.size), range(1), range(self.size - 1, self.size)
        start = bb.chosen(first, self._cells(low, every), self._cells(every, low))
        goal = bb.chosen(first, self._cells(high, every), self._cells(every, high))

        def grows(flood: tuple[bb.Board, bb.Board]) -> Bool[Array, ""]:
            before, after = flood
            return ~bb.is_empty(bb.without(after, before))

        def grown(flood: tuple[bb.Board, bb.Board]) -> tuple[bb.Board, bb.Board]:
            before = flood[1]
            return before, bb.either(before, bb.both(stones, self._neighbours(before)))

        _, reached = lax.while_loop(grows, grown, (bb.empty(self._num_words), bb.both(stones, start)))
        return ~bb.is_empty(bb.both(reached, goal))

    def _may_swap(self, state: HexState) -> Bool[Array, ""]:
        """Whether one stone alone is on the board and the second player is to move."""
        return ~state.first & bb.is_empty(state.mine)

    def init(self) -> HexState:
        empty = bb.empty(self._num_words)
        return HexState(mine=empty, theirs=empty, first=jnp.bool_(True), over=jnp.bool_(False))

    def legal_actions(self, state: HexState) -> Bool[Array, " A"]:
        free = ~bb.plane(bb.either(state.mine, state.theirs), np.arange(self._num_cells))
        if self.swap:
            free = jnp.append(free, self._may_swap(state))
        return free & ~state.over

    def outcome_probs(self, state: HexState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: HexState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[HexState, Step]:
        stone = bb.both(bb.one_bit(action, self._num_words), self._cells(range(self.size), range(self.size)))
        mine, theirs = bb.either(state.mine, bb.without(stone, state.theirs)), state.theirs
        if self.swap:
            swaps = self._may_swap(state) & (action == self._num_cells)
            mine = bb.chosen(swaps, self._mirrored(theirs), mine)
            theirs = bb.chosen(swaps, bb.empty(self._num_words), theirs)
        wins = self._joins(mine, state.first)
        step = Step(reward=jnp.where(wins, 1.0, 0.0), discount=jnp.where(wins, 0.0, -1.0))
        return HexState(mine=theirs, theirs=mine, first=~state.first, over=wins), step

    def _mirrored(self, board: bb.Board) -> bb.Board:
        """The board with rows and columns exchanged."""
        return bb.packed(bb.plane(board, self._cell_numbers().T.ravel()))

    def _cell_numbers(self) -> Int[np.ndarray, "size size"]:
        return np.arange(self._num_cells).reshape(self.size, self.size)

    def observe(self, state: HexState) -> Float[Array, "size size 3"]:
        """Planes of the mover's and the other's stones, and of ones where the mover joins top and bottom."""
        stones = [bb.plane(board, self._cell_numbers()) for board in (state.mine, state.theirs)]
        side = jnp.broadcast_to(state.first, (self.size, self.size))
        return jnp.stack([*stones, side], axis=-1).astype(jnp.float32)

    def _key_words(self) -> int:
        # Without a swap, whose turn it is follows from the number of stones.
        return bb.num_words(2 * self._num_cells + self.swap)

    def encode(self, state: HexState) -> UInt32[Array, " K"]:
        """The mover's stones, then the other's; where it does not follow from these, who is to move."""
        size = self._key_words()
        mine, theirs = (bb.widened(board, size) for board in (state.mine, state.theirs))
        code = bb.either(mine, bb.shifted(theirs, self._num_cells))
        if self.swap:
            code = bb.either(code, bb.chosen(state.first, self._turn_bit(), bb.cells(0, size)))
        return jnp.stack(code)

    def _turn_bit(self) -> bb.Cells:
        return bb.cells(1 << 2 * self._num_cells, self._key_words())

    def decode(self, key: UInt32[Array, " K"]) -> HexState:
        code = tuple(key[k] for k in range(self._key_words()))
        every = self._cells(range(self.size), range(self.size))
        mine, theirs = (
            bb.both(bb.shifted(code, -place)[: self._num_words], every) for place in (0, self._num_cells)
        )
        if self.swap:
            first = ~bb.is_empty(bb.both(code, self._turn_bit()))
        else:
            first = bb.count(mine) == bb.count(theirs)
        return HexState(mine, theirs, first, self._joins(theirs, ~first))

    def symmetries(self, state: HexState) -> tuple[HexState, Int[Array, "2 A"]]:
        """The board and the board turned by half a turn."""
        cells = np.arange(self._num_cells)
        mine, theirs = (
            bb.packed(bb.plane(board, np.stack([cells, cells[::-1]]))) for board in (state.mine, state.theirs)
        )
        actions = np.arange(self.num_actions, dtype=np.int32)
        turned = actions.copy()
        turned[: self._num_cells] = turned[: self._num_cells][::-1]
        alike = [jnp.stack([flag, flag]) for flag in (state.first, state.over)]
        return HexState(mine, theirs, *alike), jnp.stack([actions, turned])

    @property
    def symmetric_observations(self) -> Int[np.ndarray, "2 N"]:
        """The planes and the planes turned by half a turn."""
        entries = np.arange(3 * self._num_cells, dtype=np.int32).reshape(self.observation_shape)
        return np.stack([entries, entries[::-1, ::-1]]).reshape(2, -1)

    def render(self, state: HexState) -> str:
        """The rhombus, X for the first player, and whose sides are whose."""
        mine, theirs = map(bb.whole_number, (state.mine, state.theirs))
        x, o = (mine, theirs) if bool(state.first) else (theirs, mine)
        marks = ["X" if x >> cell & 1 else "O" if o >> cell & 1 else "." for cell in range(self._num_cells)]
        margin = len(str(self.size)) + 1
        lines = [" " * margin + " ".join(_LETTERS[: self.size])]
        for row in range(self.size):
            label = " " * row + str(row + 1).rjust(margin - 1)
            lines.append(" ".join([label, *marks[row * self.size : (row + 1) * self.size]]))
        return "\n".join([*lines, "X joins top and bottom, O left and right"])

    def action_name(self, action: int) -> str:
        if action == self._num_cells:
            return "swap"
        row, column = divmod(action, self.size)
        return f"{_LETTERS[column]}{row + 1}"


def make(size: int = 11, swap: int = 0) -> Hex:
    """Hex with `size` x `size` cells, without a swap or with one (`hex_11_1`)."""
    if swap not in (0, 1):
        raise ValueError(f"hex has a swap (1) or none (0), got {swap}")
    return Hex(size, bool(swap))
