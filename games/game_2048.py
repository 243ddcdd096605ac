"""2048 on a small board: push the tiles to one side, equal ones that meet become one of twice the number.

G. Cirulli, 2014. After every push a 2 appears on a free cell, or a 4 in one case of ten. The board begins
with two such tiles: it starts out empty, and the first two moves do no more than put them there.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import Step
from games._numbers import packed, unpacked

EXAMPLES = ("2048_2x2", "2048_3x3")

_SIDES = (2, 3)
_FOUR_PROB = 0.1
_PUSHES = ("left", "up", "right", "down")


class BoardState(NamedTuple):
    """The board.

    Attributes:
      powers: row-major; a tile of number 2^k is k, a free cell 0.
    """

    powers: Int32[Array, " cells"]


@dataclass(frozen=True)
class Game2048:
    """One player; actions: push left, up, right, down; outcome 2 * cell + 1 puts a 4 there, 2 * cell a 2.

    A push must change the board. Two tiles that become one bring their sum as reward.

    Attributes:
      rows, columns: cells along the sides.

    Raises:
      ValueError: a side that is neither 2 nor 3.
    """

    rows: int = 3
    columns: int = 3

    version = 1
    num_actions = 4

    def __post_init__(self) -> None:
        if not {self.rows, self.columns} <= set(_SIDES):
            raise ValueError(
                f"2048 has 2 or 3 rows and columns, got {self.rows} x {self.columns}; "
                "that on 4 x 4 is pgx:2048"
            )

    @property
    def name(self) -> str:
        return f"2048_{self.rows}x{self.columns}"

    @property
    def _num_cells(self) -> int:
        return self.rows * self.columns

    @property
    def _greatest(self) -> int:
        """The greatest power: on a full row of falling powers of which the last one is a 4."""
        return self._num_cells + 1

    @property
    def num_outcomes(self) -> int:
        return 2 * self._num_cells

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (self.rows, self.columns, self._greatest + 1)

    @property
    def value_bounds(self) -> tuple[float, float]:
        # A tile 2^k that grew from twos has brought (k - 1) 2^k, and no board beats one of every power.
        return (0.0, float(sum((power - 1) * 2**power for power in range(2, self._greatest + 1))))

    def _cells(self) -> Int[np.ndarray, "rows columns"]:
        return np.arange(self._num_cells, dtype=np.int32).reshape(self.rows, self.columns)

    def _pushed(self, powers: Int[Array, " cells"]) -> tuple[Int32[Array, "4 cells"], Int32[Array, "4"]]:
        """Boards after every push, before a tile appears, and what the pushes bring."""
        boards, rewards = [], []
        for cells in (self._cells(), self._cells().T):
            slid, reward = _slides(cells.shape[1], self._greatest)
            # Lines are read from where the tiles are pushed to: forwards, then backwards.
            lines = np.stack([cells, cells[:, ::-1]])
            numbers = powers[lines] @ _places(cells.shape[1], self._greatest)
            moved = jnp.asarray(slid)[numbers].reshape(2, -1)
            where = np.argsort(lines.reshape(2, -1), axis=1).astype(np.int32)
            boards.append(jnp.take_along_axis(moved, jnp.asarray(where), axis=1))
            rewards.append(jnp.sum(jnp.asarray(reward)[numbers], axis=1, dtype=jnp.int32))
        order = np.array([0, 2, 1, 3], np.int32)
        return jnp.concatenate(boards)[order], jnp.concatenate(rewards)[order]

    def _begins(self, powers: Int[Array, " cells"]) -> Bool[Array, ""]:
        """Whether the tiles that the board begins with are still to come."""
        return jnp.sum(powers > 0) < 2

    def _after_push(
        self, powers: Int[Array, " cells"], action: Int[Array, ""]
    ) -> tuple[Int32[Array, " cells"], Int[Array, ""]]:
        boards, rewards = self._pushed(powers)
        begins = self._begins(powers)
        return jnp.where(begins, powers, boards[action]), jnp.where(begins, 0, rewards[action])

    def init(self) -> BoardState:
        return BoardState(powers=jnp.zeros(self._num_cells, jnp.int32))

    def legal_actions(self, state: BoardState) -> Bool[Array, "4"]:
        boards, _ = self._pushed(state.powers)
        return jnp.any(boards != state.powers, axis=1) | self._begins(state.powers)

    def outcome_probs(self, state: BoardState, action: Int[Array, ""]) -> Float[Array, " C"]:
        pushed, _ = self._after_push(state.powers, action)
        free = pushed == 0
        share = jnp.where(free, 1.0 / jnp.maximum(jnp.sum(free), 1), 0.0)
        return jnp.stack([(1.0 - _FOUR_PROB) * share, _FOUR_PROB * share], axis=1).reshape(-1)

    def apply(
        self, state: BoardState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[BoardState, Step]:
        pushed, reward = self._after_push(state.powers, action)
        cell, power = outcome // 2, 1 + outcome % 2
        here = (np.arange(self._num_cells) == cell) & (pushed == 0)
        after = BoardState(powers=jnp.where(here, power, pushed).astype(jnp.int32))
        goes_on = jnp.any(self.legal_actions(after))
        return after, Step(reward=1.0 * reward, discount=jnp.where(goes_on, 1.0, 0.0))

    def observe(self, state: BoardState) -> Float[Array, "rows columns powers"]:
        """One-hot power of every cell."""
        board = state.powers.reshape(self.rows, self.columns)
        return jax.nn.one_hot(board, self._greatest + 1, dtype=jnp.float32)

    @property
    def _radices(self) -> tuple[int, ...]:
        return (self._greatest + 1,) * self._num_cells

    def encode(self, state: BoardState) -> UInt32[Array, " K"]:
        return packed(state.powers, self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> BoardState:
        return BoardState(powers=unpacked(key, self._radices))

    def _images(self) -> Int[np.ndarray, "S cells"]:
        """Cells in the order of every board that turning and mirroring makes, identity first."""
        mirrored = [self._cells()[:: 1 - 2 * up, :: 1 - 2 * side] for up in (0, 1) for side in (0, 1)]
        turned = [board.T for board in mirrored] if self.rows == self.columns else []
        return np.stack([board.ravel() for board in (*mirrored, *turned)])

    @property
    def symmetric_outcomes(self) -> Int[np.ndarray, "S C"]:
        places = np.argsort(self._images(), axis=1).astype(np.int32)
        return (2 * places[:, :, None] + np.arange(2, dtype=np.int32)).reshape(len(places), -1)

    @property
    def symmetric_observations(self) -> Int[np.ndarray, "S N"]:
        """The powers of the cells that each image shows."""
        num_powers = self._greatest + 1
        entries = num_powers * self._images()[:, :, None] + np.arange(num_powers)
        return entries.reshape(len(entries), -1).astype(np.int32)

    def symmetries(self, state: BoardState) -> tuple[BoardState, Int[Array, "S 4"]]:
        """The board turned and mirrored; a board that is not square keeps which of its sides is longer."""
        flips = np.array(list(itertools.product((False, True), repeat=2)))
        up, side = flips[:, 0], flips[:, 1]
        left, right = np.where(side, 2, 0), np.where(side, 0, 2)
        above, below = np.where(up, 3, 1), np.where(up, 1, 3)
        actions = np.stack([left, above, right, below], axis=1)
        if self.rows == self.columns:
            # On a board whose rows have become columns, left is up.
            actions = np.concatenate([actions, np.array([1, 0, 3, 2])[actions]])
        return BoardState(state.powers[self._images()]), jnp.asarray(actions, jnp.int32)

    def render(self, state: BoardState) -> str:
        """The board, a point for a free cell."""
        powers = state.powers.tolist()
        texts = [str(2**power) if power else "." for power in powers]
        width = max(map(len, texts))
        return "\n".join(" ".join(texts[cell].rjust(width) for cell in row) for row in self._cells())

    def action_name(self, action: int) -> str:
        return _PUSHES[action]


def _places(length: int, greatest: int) -> Int[np.ndarray, " length"]:
    """What each place of a line counts for in the line's number."""
    return (greatest + 1) ** np.arange(length, dtype=np.int32)


@functools.cache
def _slides(length: int, greatest: int) -> tuple[Int[np.ndarray, "n length"], Int[np.ndarray, " n"]]:
    """Every line pushed to its beginning, and the sum of the tiles that came of two, by the line's number.

    What would be more than the greatest power stays apart; it cannot come up.
    """
    lines = [line[::-1] for line in itertools.product(range(greatest + 1), repeat=length)]
    slid, rewards = np.zeros((len(lines), length), np.int32), np.zeros(len(lines), np.int32)
    for number, line in enumerate(lines):
        tiles = [power for power in line if power]
        moved: list[int] = []
        while tiles:
            power = tiles.pop(0)
            if tiles and tiles[0] == power < greatest:
                tiles.pop(0)
                power += 1
                rewards[number] += 1 << power
            moved.append(power)
        slid[number, : len(moved)] = moved
    return slid, rewards


def make(rows: int = 3, columns: int | None = None) -> Game2048:
    """2048 on so many rows and columns; as many columns as rows where they are not given."""
    return Game2048(rows, rows if columns is None else columns)
