"""Othello: stones turn over where a move encloses them in a line; whoever has more stones at the end wins.

A player who can place no stone must pass; the game ends as soon as neither player can. Pgx and OpenSpiel
play the same game, but Pgx asks for the two passes that end it where we end it at once.
"""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.game import Step
from games import _bitboard as bb

EXAMPLES = ("othello_4", "othello_6", "othello_8")

# Positions that can be reached, by size; for 6 those of a board of 5 x 6, two turned boards taken for one, by
# A. Khorramian et al., Othello Font, 2018; for 8 about, by H. Takizawa, Othello is Solved, 2023. There are
# more, which changes nothing: all these are too large to solve.
_NUM_STATES = {6: 257_387_474_170, 8: 10**28, 10: 10**28}

_LETTERS = string.ascii_lowercase


class OthelloState(NamedTuple):
    """Stones, as bits (cell c is bit c, row-major).

    Attributes:
      mine: stones of the player to move.
      theirs: stones of the player who just moved.
    """

    mine: bb.Board
    theirs: bb.Board


@dataclass(frozen=True)
class Othello:
    """Two players; action = cell, row-major from 0; size * size passes, which is legal only where it must be.

    The player who makes the last move is rewarded with 1 if he has more stones then, -1 if he has fewer.

    Attributes:
      size: rows and columns.

    Raises:
      ValueError: a size that is odd or outside 4 to 10.
    """

    size: int = 8

    version = 1
    num_outcomes = 1
    value_bounds = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if self.size not in (4, 6, 8, 10):
            raise ValueError(f"othello has a size of 4, 6, 8 or 10, got {self.size}")

    @property
    def name(self) -> str:
        return f"othello_{self.size}"

    @property
    def num_actions(self) -> int:
        return self._num_cells + 1

    @property
    def num_states(self) -> int | None:
        return _NUM_STATES.get(self.size)

    @property
    def openspiel_name(self) -> str | None:
        return "othello" if self.size == 8 else None

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.size, self.size, 2)

    @property
    def _num_cells(self) -> int:
        return self.size * self.size

    @property
    def _num_words(self) -> int:
        return bb.num_words(self._num_cells)

    def _cell_numbers(self) -> Int[np.ndarray, "size size"]:
        return np.arange(self._num_cells).reshape(self.size, self.size)

    def _cells(self, columns: range) -> bb.Cells:
        """All cells of some columns."""
        bits = sum(1 << row * self.size + column for row in range(self.size) for column in columns)
        return bb.cells(bits, self._num_words)

    def _free(self, state: OthelloState) -> bb.Board:
        return bb.left_free(bb.either(state.mine, state.theirs), self._cells(range(self.size)))

    def _runs(self, start: bb.Board, stones: bb.Board) -> Iterator[tuple[bb.Boards, bb.Boards]]:
        """Stones that follow `start` without a gap, and these moved on by a cell, for four directions twice.

        Of a run that reaches the left or right edge, what lies on the edge is left out: no stone beyond
        could enclose it.
        """
        size = self.size
        distances = np.array([size, 1, size - 1, size + 1])
        inner = self._cells(range(1, size - 1))
        between = bb.both(stones, bb.stacked([self._cells(range(size)), inner, inner, inner]))
        for up in (True, False):
            ahead = bb.fanned(start, distances, up=up)
            run = bb.both(between, ahead)
            for _ in range(size - 2):
                ahead = bb.fanned(run, distances, up=up)
                run = bb.either(run, bb.both(between, ahead))
            yield run, ahead

    def _placements(self, state: OthelloState) -> bb.Board:
        """Where the player to move can place a stone."""
        low, high = (ahead for _, ahead in self._runs(state.mine, state.theirs))
        return bb.both(bb.merged(bb.either(low, high)), self._free(state))

    def _turned(self, state: OthelloState, stone: bb.Board) -> bb.Board:
        """The stones that the mover turns over by placing one."""
        low, high = (
            bb.chosen(bb.is_empty(bb.both(ahead, state.mine)), bb.cells(0, self._num_words), run)
            for run, ahead in self._runs(stone, state.theirs)
        )
        return bb.merged(bb.either(low, high))

    def init(self) -> OthelloState:
        low, high = self.size // 2 - 1, self.size // 2
        first = 1 << low * self.size + high | 1 << high * self.size + low
        second = 1 << low * self.size + low | 1 << high * self.size + high
        mine, theirs = (bb.cells(bits, self._num_words) for bits in (first, second))
        return OthelloState(mine=tuple(map(jnp.uint32, mine)), theirs=tuple(map(jnp.uint32, theirs)))

    def legal_actions(self, state: OthelloState) -> Bool[Array, " A"]:
        here = self._placements(state)
        passes = bb.is_empty(here) & ~bb.is_empty(self._placements(_other_side(state)))
        return jnp.append(bb.plane(here, np.arange(self._num_cells)), passes)

    def outcome_probs(self, state: OthelloState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: OthelloState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[OthelloState, Step]:
        # A pass is a stone beyond the board: none.
        stone = bb.both(self._free(state), bb.one_bit(action, self._num_words))
        turned = self._turned(state, stone)
        mine = bb.either(bb.either(state.mine, turned), stone)
        after = OthelloState(mine=bb.without(state.theirs, turned), theirs=mine)
        over = bb.is_empty(self._placements(after)) & bb.is_empty(self._placements(_other_side(after)))
        lead = jnp.sign(bb.count(after.theirs) - bb.count(after.mine)).astype(jnp.float32)
        step = Step(reward=jnp.where(over, lead, 0.0), discount=jnp.where(over, 0.0, -1.0))
        return after, step

    def observe(self, state: OthelloState) -> Float[Array, "size size 2"]:
        """Planes of the two players' stones."""
        planes = [bb.plane(board, self._cell_numbers()) for board in state]
        return jnp.stack(planes, axis=-1).astype(jnp.float32)

    def encode(self, state: OthelloState) -> UInt32[Array, " K"]:
        """The mover's stones, then the other's."""
        size = bb.num_words(2 * self._num_cells)
        mine, theirs = (bb.widened(board, size) for board in state)
        return jnp.stack(bb.either(mine, bb.shifted(theirs, self._num_cells)))

    def decode(self, key: UInt32[Array, " K"]) -> OthelloState:
        code = tuple(key[k] for k in range(bb.num_words(2 * self._num_cells)))
        theirs = bb.shifted(code, -self._num_cells)
        every = self._cells(range(self.size))
        return OthelloState(*(bb.both(board[: self._num_words], every) for board in (code, theirs)))

    def symmetries(self, state: OthelloState) -> tuple[OthelloState, Int[Array, "8 A"]]:
        """The eight symmetries of the square. Half of them exchange the colours of the initial stones."""
        sources = self._symmetric_cells()
        images = [bb.packed(bb.plane(board, sources)) for board in state]
        passes = np.full((8, 1), self._num_cells)
        actions = np.concatenate([np.argsort(sources, axis=1), passes], axis=1)
        return OthelloState(*images), jnp.asarray(actions, jnp.int32)

    @property
    def symmetric_observations(self) -> Int[np.ndarray, "8 N"]:
        """The planes turned and mirrored."""
        return (2 * self._symmetric_cells()[..., None] + np.arange(2, dtype=np.int32)).reshape(8, -1)

    def _symmetric_cells(self) -> Int[np.ndarray, "8 N"]:
        """Where each cell of an image is found on the board."""
        cells = self._cell_numbers()
        turned = [np.rot90(board, turns).ravel() for board in (cells, cells.T) for turns in range(4)]
        return np.stack(turned).astype(np.int32)

    def render(self, state: OthelloState) -> str:
        """The board, X for the player to move: whose turn it is does not follow from the stones."""
        mine, theirs = map(bb.whole_number, state)
        marks = [
            "X" if mine >> cell & 1 else "O" if theirs >> cell & 1 else "." for cell in range(self._num_cells)
        ]
        margin = len(str(self.size))
        lines = [" ".join([" " * margin, *_LETTERS[: self.size]])]
        for row in range(self.size):
            label = str(row + 1).rjust(margin)
            lines.append(" ".join([label, *marks[row * self.size : (row + 1) * self.size]]))
        return "\n".join([*lines, "X to move"])

    def action_name(self, action: int) -> str:
        if action == self._num_cells:
            return "pass"
        row, column = divmod(action, self.size)
        return f"{_LETTERS[column]}{row + 1}"


def _other_side(state: OthelloState) -> OthelloState:
    """The same board with the other player to move."""
    return OthelloState(mine=state.theirs, theirs=state.mine)


def make(size: int = 8) -> Othello:
    """Othello with `size` x `size` cells."""
    return Othello(size)
