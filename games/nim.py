"""Nim: take any number of objects from one heap; whoever takes the last object wins (normal play)."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from exit.game import Step
from games._numbers import orders_of, packed, unpacked, word_groups

EXAMPLES = ("nim_3_4_5", "nim_1_3_5_7")

_MAX_KEY_WORDS = 2
_MAX_SYMMETRIES = 120


class NimState(NamedTuple):
    """Objects left.

    Attributes:
      heaps: size of each heap.
    """

    heaps: Int32[Array, " heaps"]


@dataclass(frozen=True)
class Nim:
    """Two players; reward 1 for taking the last object; actions run heap by heap, taking 1, 2, ... of it.

    Attributes:
      heaps: initial size of each heap.

    Raises:
      ValueError: no heap, a heap outside 1 to 1000, or more positions than a 64-bit key can tell apart.
    """

    heaps: tuple[int, ...] = (3, 4, 5)

    version = 1
    num_outcomes = 1
    value_bounds = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if not self.heaps or not all(1 <= size <= 1000 for size in self.heaps):
            raise ValueError(f"nim needs one or more heaps of 1 to 1000 objects, got {self.heaps}")
        if len(word_groups(self._radices)) > _MAX_KEY_WORDS:
            raise ValueError(
                f"nim heaps {self.heaps} have more positions than a 64-bit key; use fewer or smaller heaps"
            )

    @property
    def name(self) -> str:
        return "_".join(["nim", *map(str, self.heaps)])

    @property
    def num_actions(self) -> int:
        return sum(self.heaps)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        return (len(self.heaps), max(self.heaps) + 1)

    @property
    def openspiel_name(self) -> str:
        return f"nim(pile_sizes={';'.join(map(str, self.heaps))},is_misere=False)"

    @property
    def openspiel_actions(self) -> tuple[int, ...]:
        """There all heaps of one number of objects come before those of the next number."""
        heap, take = self._moves()
        return tuple(((take - 1) * len(self.heaps) + heap).tolist())

    def _moves(self) -> tuple[np.ndarray, np.ndarray]:
        """Heap and number of objects of every action, int32 `[A]` each."""
        heap = np.repeat(np.arange(len(self.heaps), dtype=np.int32), self.heaps)
        take = np.concatenate([np.arange(1, size + 1, dtype=np.int32) for size in self.heaps])
        return heap, take

    def init(self) -> NimState:
        return NimState(heaps=jnp.array(self.heaps, jnp.int32))

    def legal_actions(self, state: NimState) -> Bool[Array, " A"]:
        heap, take = self._moves()
        return state.heaps[heap] >= take

    def outcome_probs(self, state: NimState, action: Int[Array, ""]) -> Float[Array, "1"]:
        return jnp.ones(1)

    def apply(
        self, state: NimState, action: Int[Array, ""], outcome: Int[Array, ""]
    ) -> tuple[NimState, Step]:
        heap, take = (jnp.asarray(table)[action] for table in self._moves())
        here = np.arange(len(self.heaps)) == heap
        # An illegal action empties the heap instead of leaving a negative number in it.
        heaps = jnp.maximum(state.heaps - jnp.where(here, take, 0), 0)
        over = jnp.all(heaps == 0)
        step = Step(reward=jnp.where(over, 1.0, 0.0), discount=jnp.where(over, 0.0, -1.0))
        return NimState(heaps), step

    def observe(self, state: NimState) -> Float[Array, "heaps sizes"]:
        """One-hot size of every heap."""
        return jax.nn.one_hot(state.heaps, max(self.heaps) + 1, dtype=jnp.float32)

    @property
    def _radices(self) -> tuple[int, ...]:
        return tuple(size + 1 for size in self.heaps)

    def encode(self, state: NimState) -> UInt32[Array, " K"]:
        return packed(state.heaps, self._radices)

    def decode(self, key: UInt32[Array, " K"]) -> NimState:
        return NimState(heaps=unpacked(key, self._radices))

    def symmetries(self, state: NimState) -> tuple[NimState, Int[Array, "S A"]]:
        """Permutations of heaps of equal initial size; the identity alone where they exceed 120."""
        orders = orders_of(self.heaps, _MAX_SYMMETRIES)
        heap, take = self._moves()
        first_action = np.concatenate([[0], np.cumsum(self.heaps)[:-1]])
        # Image heap i holds what heap order[i] held, so a heap's image is where the inverse order sends it.
        images = np.argsort(orders, axis=1)[:, heap]
        return NimState(state.heaps[orders]), jnp.asarray(first_action[images] + take - 1, jnp.int32)

    def render(self, state: NimState) -> str:
        """One line a heap: its number, its objects and how many there are."""
        return "\n".join(
            f"heap {heap}: {'o' * int(size)} ({int(size)})" for heap, size in enumerate(state.heaps)
        )

    def action_name(self, action: int) -> str:
        heap, take = self._moves()
        return f"take {take[action]} from heap {heap[action]}"


def make(*heaps: int) -> Nim:
    """Nim with the given heaps; 3, 4 and 5 where none is given."""
    return Nim(heaps or (3, 4, 5))
