"""Tic-tac-toe: three in a row on a 3 x 3 board."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.game import Step

EXAMPLES = ("tic_tac_toe",)

_LINES = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]])
_BITS = 1 << np.arange(9, dtype=np.uint32)
_ON_LINE = (_LINES[:, :, None] == np.arange(9)).any(axis=1)
_LINE_BITS = _BITS[_LINES].sum(axis=1).astype(np.uint32)


def _symmetric_cells() -> np.ndarray:
    """Image of each cell under the eight symmetries of the square, identity first, `[8, 9]`."""
    cells = np.arange(9).reshape(3, 3)
    turned = [np.rot90(board, turns) for board in (cells, cells.T) for turns in range(4)]
    # Indices of 32 bits: JAX remembers those of 64 bits by the precision that it first met them in.
    return np.stack([np.argsort(board.ravel()) for board in turned]).astype(np.int32)


_SYMMETRIES = _symmetric_cells()


class TicTacToeState(NamedTuple):
    """Cells taken, as bits (cell c is bit c, row-major).

    Attributes:
      mine: stones of the player to move.
      theirs: stones of the player who just moved.
    """

    mine: UInt32[Array, ""]
    theirs: UInt32[Array, ""]


def _has_line(stones: UInt32[Array, ""]) -> Bool[Array, ""]:
    return jnp.any((stones & _LINE_BITS) == _LINE_BITS)


@dataclass(frozen=True)
class TicTacToe:
    """Two players; reward 1 for completing a line; action = cell, row-major from 0."""

    name = "tic_tac_toe"
    version = 1
    num_actions = 9
    num_outcomes = 1
    observation_shape = (3, 3, 2)
    value_bounds = (-1.0, 1.0)
    openspiel_name = "tic_tac_toe"

    def init(self) -> TicTacToeState:
        return TicTacToeState(mine=jnp.uint32(0), theirs=jnp.uint32(0))

    def legal_actions(self, state: TicTacToeState) -> Bool[Array, "9"]:
        return (((state.mine | state.theirs) & _BITS) == 0) & ~_has_line(state.theirs)

    def outcome_probs(self, state: TicTacToeState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: TicTacToeState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[TicTacToeState, Step]:
        mine = state.mine | jnp.asarray(_BITS)[action]
        wins = _has_line(mine)
        over = wins | ((mine | state.theirs) == 0b111_111_111)
        step = Step(reward=jnp.where(wins, 1.0, 0.0), discount=jnp.where(over, 0.0, -1.0))
        return TicTacToeState(mine=state.theirs, theirs=mine), step

    def observe(self, state: TicTacToeState) -> Float[Array, "3 3 2"]:
        planes = jnp.stack([(stones & _BITS) != 0 for stones in state], axis=-1)
        return planes.reshape(3, 3, 2).astype(jnp.float32)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        """Stones on the board; of every cell who has it, and what a stone there would do for either."""
        cells = range(9)
        kinds = ("mine", "theirs", "i_win_at", "they_win_at", "i_fork_at", "they_fork_at")
        return ("stones", *(f"{kind}_{cell}" for kind in kinds for cell in cells))

    def statistics(self, state: TicTacToeState) -> Float[Array, "55"]:
        """A fork is a stone that gives two lines of two stones and a free cell at least."""
        mine, theirs = ((stones & _BITS) != 0 for stones in state)
        free = ~(mine | theirs)

        def lines_at(own: Bool[Array, "9"], other: Bool[Array, "9"], stones: int) -> Int[Array, "9"]:
            """Through each cell, the lines with so many own stones and no other's."""
            count = own[_LINES].sum(axis=1)
            open_lines = (count == stones) & ~other[_LINES].any(axis=1)
            return (open_lines[:, None] & _ON_LINE).sum(axis=0)

        parts = [mine, theirs]
        parts += [free & (lines_at(*pair, 2) > 0) for pair in ((mine, theirs), (theirs, mine))]
        parts += [free & (lines_at(*pair, 1) > 1) for pair in ((mine, theirs), (theirs, mine))]
        return jnp.concatenate([(9 - free.sum())[None], *parts]).astype(jnp.float32)

    def encode(self, state: TicTacToeState) -> UInt32[Array, "1"]:
        return (state.mine | state.theirs << 9)[None]

    def decode(self, key: UInt32[Array, "1"]) -> TicTacToeState:
        return TicTacToeState(mine=key[0] & 0b111_111_111, theirs=key[0] >> 9)

    def symmetries(self, state: TicTacToeState) -> tuple[TicTacToeState, Int[Array, "8 9"]]:
        def images(stones: UInt32[Array, ""]) -> UInt32[Array, "8"]:
            taken = (stones & _BITS) != 0
            return jnp.sum(jnp.where(taken, jnp.asarray(_BITS)[_SYMMETRIES], 0), axis=-1, dtype=jnp.uint32)

        return TicTacToeState(*map(images, state)), jnp.asarray(_SYMMETRIES, jnp.int32)

    @property
    def symmetric_observations(self) -> Int[np.ndarray, "8 18"]:
        """The planes turned and mirrored."""
        sources = np.argsort(_SYMMETRIES, axis=1).astype(np.int32)
        return (2 * sources[..., None] + np.arange(2, dtype=np.int32)).reshape(8, -1)

    def render(self, state: TicTacToeState) -> str:
        mine, theirs = int(state.mine), int(state.theirs)
        x, o = (mine, theirs) if mine.bit_count() == theirs.bit_count() else (theirs, mine)
        marks = ["X" if x >> cell & 1 else "O" if o >> cell & 1 else str(cell) for cell in range(9)]
        return "\n".join(" ".join(marks[row : row + 3]) for row in (0, 3, 6))


def make() -> TicTacToe:
    """Tic-tac-toe has one size."""
    return TicTacToe()
