"""A ring of recent training examples, as pure functions."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from exit.targets import Targets

_LEAST_REGRET = 1e-6
_BLOCK = 256
_SLOTS = 4
"""Of the table of positions, for every example there is room for."""
_GROWTH = 0.75
"""Power of all examples so far that a window grows with: of D. Wu, Accelerating Self-Play Learning in Go,
2019."""


@dataclass(frozen=True)
class ReplayConfig:
    """What is kept, and what of it is drawn.

    Attributes:
      capacity: examples kept; the oldest are overwritten.
      window: of those kept the newest alone are drawn: w at first, and w (n / w)**0.75 after n examples
        in all, if as many are kept. Early play is soon outdone and best forgotten; late in a long run the
        more there is to learn from the less is learnt by heart. None draws from all that are kept.
      rarity: an example counts in proportion to the number of examples of its position, or of symmetric
        ones, to the power of minus this, wherever some are drawn: at 0 examples count alike, at 1 positions
        do, so that what play seldom meets is learnt like the rest. Above 0 the policy of a position is learnt
        as its newest search improved it, or one that proved the position, whichever example is drawn.
    """

    capacity: int = 65_536
    window: int | None = None
    rarity: float = 0.0

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"replay.capacity is {self.capacity}; it must be at least 1")
        if self.window is not None and self.window < 1:
            raise ValueError(
                f"replay.window is {self.window}; it must be at least 1, or none to draw from all"
            )
        if not 0.0 <= self.rarity <= 1.0:
            raise ValueError(
                f"replay.rarity is {self.rarity}; it must be in [0, 1], where 0 draws examples evenly and 1 "
                "positions"
            )


class Replay(NamedTuple):
    """A ring of examples.

    Attributes:
      examples: leaves `[capacity, ...]`; entries not yet written are zero.
      age: iterations since each was searched.
      position: the fingerprint of each one's position; 0 where not yet written, None where they are not told
        apart.
      held: how many examples of a position there are, in a table that fingerprints are looked up in; None
        where they are not told apart.
      latest: where the newest example of a position is, or the newest of those that prove it, in such a
        table; None where they are not told apart.
      next_index: where the next examples go, in [0, capacity).
      num_rounds: how often the ring has been filled.
      window: how many of those written, the newest, are drawn from.
    """

    examples: Targets
    age: Int[Array, " capacity"]
    position: UInt32[Array, " capacity"] | None
    held: Int[Array, " slots"] | None
    latest: Int[Array, " slots"] | None
    # Not one count of all examples ever added: a long run adds more than an int32 holds.
    next_index: Int[Array, ""]
    num_rounds: Int[Array, ""]
    window: Int[Array, ""]


def init(example: Targets, capacity: int, *, tell_apart: bool = False) -> Replay:
    """An empty ring for examples shaped like this one (arrays or shapes, no leading axis).

    Args:
      tell_apart: keep fingerprints of their positions, for `rarities`.
    """
    empty = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), example)
    position = jnp.zeros(capacity, jnp.uint32) if tell_apart else None
    held = jnp.zeros(_SLOTS * capacity, jnp.int32) if tell_apart else None
    latest = jnp.zeros(_SLOTS * capacity, jnp.int32) if tell_apart else None
    age = jnp.zeros(capacity, jnp.int32)
    nothing = {name: jnp.int32(0) for name in ("next_index", "num_rounds", "window")}
    return Replay(empty, age, position, held, latest, **nothing)


def add(
    replay: Replay,
    examples: Targets,
    position: UInt32[Array, " n"] | None = None,
    *,
    first_window: int | None = None,
) -> Replay:
    """Write n examples, searched just now, over those played first; the others get an iteration older.

    Args:
      position: fingerprints of their positions, where the ring tells them apart.
      first_window: as `ReplayConfig.window`.

    Raises:
      ValueError: the capacity is not a multiple of n, or positions are given to a ring that does not tell
        them apart, or none to one that does.
    """
    capacity, num_new = replay.examples.value.shape[0], examples.value.shape[0]
    if capacity % num_new:
        raise ValueError(
            f"replay.capacity is {capacity}; it must be a multiple of the {num_new} examples of one iteration"
        )

    def write(ring: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(ring, new, replay.next_index, axis=0)

    told_apart, held = replay.position, replay.held
    if told_apart is not None and held is not None and position is not None:
        # Counted as they come and go: to count all of a large ring takes as long as several updates.
        gone = jax.lax.dynamic_slice_in_dim(told_apart, replay.next_index, num_new)
        were_written = (replay.num_rounds > 0).astype(jnp.int32)
        held = held.at[_slot(gone, held)].add(-were_written).at[_slot(position, held)].add(1)
        told_apart = write(told_apart, position)
    elif told_apart is not None or position is not None:
        raise ValueError(
            "fingerprints of positions belong to a ring made to tell them apart, and to no other"
        )
    rows = replay.next_index + jnp.arange(num_new, dtype=jnp.int32)
    upto = replay.next_index + num_new
    num_rounds, next_index = replay.num_rounds + upto // capacity, upto % capacity
    size = jnp.where(num_rounds > 0, capacity, next_index)
    replay = Replay(
        jax.tree.map(write, replay.examples, examples),
        write(replay.age + 1, jnp.zeros(num_new, jnp.int32)),
        told_apart,
        held,
        replay.latest,
        next_index=next_index,
        num_rounds=num_rounds,
        window=_window(num_rounds * float(capacity) + next_index, size, first_window),
    )
    return _with_latest(replay, rows)


def _window(num_added: Float[Array, ""], size: Int[Array, ""], first_window: int | None) -> Int[Array, ""]:
    """How many of the newest examples are drawn from, when so many have been added in all."""
    if first_window is None:
        return size
    grown = first_window * jnp.maximum(num_added / first_window, 1.0) ** _GROWTH
    return jnp.minimum(size, grown.astype(jnp.int32))


def rarities(replay: Replay, power: float) -> Float[Array, " capacity"]:
    """What each example counts for: how many the replay holds of its position, to the power of `-power`.

    0 where nothing is written yet, and before the window.

    Raises:
      ValueError: the replay does not tell positions apart.
    """
    if replay.position is None or replay.held is None:
        raise ValueError("this replay does not tell positions apart; make it with `tell_apart`")
    held = replay.held[_slot(replay.position, replay.held)]
    return jnp.where(_in_window(replay), jnp.maximum(held, 1).astype(jnp.float32) ** -power, 0.0)


def composition(replay: Replay) -> dict[str, float | int | None]:
    """What is drawn from a replay that is not empty.

    Returns:
      `replay_size`, examples; `replay_proven`, the share of them that search has proven; `replay_distinct`,
      positions for each example, images under symmetries being one, None where they are not told apart; and
      `target_age`, iterations since an example was searched, mean.
    """
    size = int(replay.window)
    rows = np.asarray(rows_in_window(replay, jnp.arange(size)))
    age, solved = (np.asarray(leaf)[rows] for leaf in (replay.age, replay.examples.solved))
    distinct = None
    if replay.position is not None and replay.held is not None:
        held = np.asarray(replay.held[_slot(replay.position, replay.held)])[rows]
        # Of a position that is held n times every example is an n-th.
        distinct = float(np.mean(1.0 / np.maximum(held, 1)))
    return {
        "replay_size": size,
        "replay_proven": float(np.mean(solved)),
        "replay_distinct": distinct,
        "target_age": float(np.mean(age)),
    }


def _slot(position: UInt32[Array, " n"], held: Int[Array, " slots"]) -> UInt32[Array, " n"]:
    """Where in the table a position is counted; few share one with another."""
    return position % jnp.uint32(len(held))


def draw(
    replay: Replay,
    rng_key: Key[Array, ""],
    num: int,
    *,
    focus: float = 0.0,
    counts_for: Float[Array, " capacity"] | None = None,
) -> Int[Array, " num"]:
    """Rows of `num` examples, with replacement, from those in the window; the ring must not be empty.

    Args:
      focus: share of them, the last ones, drawn in proportion to the examples' regret (proportional
        prioritisation; Schaul et al. 2016, section 3.3), times what they count for; the others by the latter
        alone.
      counts_for: as `rarities` has it; None where all count alike.
    """
    num_focused = round(focus * num)
    key_even, key_focused = jax.random.split(rng_key)
    if counts_for is None:
        even = rows_in_window(replay, jax.random.randint(key_even, (num - num_focused,), 0, replay.window))
    else:
        even = _in_proportion(counts_for, key_even, num - num_focused)
    if not num_focused:
        return even
    counts_for = _in_window(replay) if counts_for is None else counts_for
    # Where nothing is given away any more, all are alike.
    focused = _in_proportion(counts_for * (replay.examples.regret + _LEAST_REGRET), key_focused, num_focused)
    return jnp.concatenate([even, focused])


def rows_in_window(replay: Replay, index: Int[Array, " n"]) -> Int[Array, " n"]:
    """Rows of the examples in the window by their place in it, from the one played first."""
    return (replay.next_index - replay.window + index) % len(replay.age)


def _in_window(replay: Replay) -> Bool[Array, " capacity"]:
    capacity = len(replay.age)
    return (jnp.arange(capacity) - replay.next_index) % capacity >= capacity - replay.window


def _in_proportion(
    weight: Float[Array, " capacity"], rng_key: Key[Array, ""], num: int
) -> Int[Array, " num"]:
    """Rows drawn in proportion to their weights, which are not all 0."""
    # A block of rows first and then a row in it: in a sum over a million weights, a float32 has no room for
    # the small ones. Of the blocks, one from each of equal parts, which is what a sum tree is asked for.
    blocks = jnp.pad(weight, (0, -len(weight) % _BLOCK)).reshape(-1, _BLOCK)
    key_block, key_row = jax.random.split(rng_key)
    part = (jnp.arange(num) + jax.random.uniform(key_block, (num,))) / num
    sums = blocks.sum(axis=1)
    # XLA adds in another order than one after another, so that its running sum may sink a little.
    upto = jax.lax.cummax(jnp.cumsum(sums))
    # Searched, not compared with all: that would be most of an update where the ring is large.
    block = jnp.searchsorted(upto, part * upto[-1], side="right")
    # A part may round to the whole, and the sum may rise after the last weight.
    block = jnp.minimum(block, jnp.max(jnp.where(sums > 0, jnp.arange(len(sums)), 0)))
    weights = blocks[block]
    within = jax.lax.cummax(jnp.cumsum(weights, axis=1), axis=1)
    return block * _BLOCK + _first_beyond(weights, within, jax.random.uniform(key_row, (num,)))


def _first_beyond(
    weight: Float[Array, "n m"], upto: Float[Array, "n m"], part: Float[Array, " n"]
) -> Int[Array, " n"]:
    """Where running sums first exceed these parts of their totals; never at a weight of 0."""
    beyond = jnp.sum(upto <= part[:, None] * upto[:, -1:], axis=1)
    last = jnp.max(jnp.where(weight > 0, jnp.arange(weight.shape[1]), 0), axis=1)
    return jnp.minimum(beyond, last)


def renew(replay: Replay, rows: Int[Array, " n"], examples: Targets) -> Replay:
    """Write examples, searched just now, in the place of those of the same positions in these rows."""
    written = jax.tree.map(lambda ring, new: ring.at[rows].set(new), replay.examples, examples)
    return _with_latest(replay._replace(examples=written, age=replay.age.at[rows].set(0)), rows)


def _with_latest(replay: Replay, rows: Int[Array, " n"]) -> Replay:
    """The replay in which these rows hold what was searched last; what is proven stays until it is gone."""
    if replay.position is None or replay.latest is None:
        return replay
    latest, position = replay.latest, replay.position[rows]
    slot = _slot(position, latest)
    before = latest[slot]
    proven = replay.examples.solved[rows]
    kept = replay.examples.solved[before] & (replay.position[before] == position) & ~proven

    def put(latest: Int[Array, " slots"], some: Bool[Array, " n"]) -> Int[Array, " slots"]:
        where = jnp.where(some, slot, len(latest))
        # Of several the one in the last row, in whatever order they are written.
        return latest.at[where].set(-1, mode="drop").at[where].max(rows, mode="drop")

    return replay._replace(latest=put(put(latest, ~proven & ~kept), proven))


def rows_at(replay: Replay, rows: Int[Array, " n"]) -> Targets:
    """The examples of these rows.

    Where positions are told apart, the policy is what the newest search of the position improved it to, or
    one that has proven it. The value stays what became of it in the row's own game, unless it is proven: of
    outcomes, all that there are make an expectation.
    """
    own = jax.tree.map(lambda leaf: leaf[rows], replay.examples)
    if replay.position is None or replay.latest is None:
        return own
    latest = replay.latest[_slot(replay.position[rows], replay.latest)]
    # Few positions share a slot.
    latest = jnp.where(replay.position[latest] == replay.position[rows], latest, rows)
    newest = jax.tree.map(lambda leaf: leaf[latest], replay.examples)
    value = jnp.where(newest.solved, newest.value, own.value)
    return newest._replace(value=value, regret=own.regret)
