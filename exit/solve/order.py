"""An order for backward induction in games where a state may be reached by different numbers of moves."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from exit.solve.coding import chunk_rows
from exit.solve.expand import successors
from exit.solve.keys import Keys, positions
from exit.solve.memory import MemoryLimit
from exit.solve.space import Space
from exit.solve.threads import map_rows

_EDGE_BYTES = 40


class Order(NamedTuple):
    """Positions in sorted keys, such that every move leads to an earlier group.

    Attributes:
      groups: one after another.
      rest: those that lead into a cycle, so that no order helps.
    """

    groups: list[Int[np.ndarray, " n"]]
    rest: Int[np.ndarray, " n"]


class _Parents(NamedTuple):
    """Moves by the state they lead to: those into state i come from `parent[start[i] : start[i + 1]]`."""

    parent: Int[np.ndarray, " moves"]
    start: Int[np.ndarray, " states_plus_one"]


def solving_order(space: Space, keys: Keys, limit: MemoryLimit) -> Order:
    """An order of all states of a game.

    Raises:
      TooLarge: its moves do not fit in memory.
    """
    parents, num_moves = _parents(space, keys, limit)
    ready = np.flatnonzero(num_moves == 0)
    waiting = np.ones(len(keys), bool)
    groups = []
    while len(ready):
        groups.append(ready)
        waiting[ready] = False
        before, count = np.unique(_parents_of(parents, ready), return_counts=True)
        num_moves[before] -= count
        ready = before[num_moves[before] == 0]
    return Order(groups, np.flatnonzero(waiting))


def _parents(space: Space, keys: Keys, limit: MemoryLimit) -> tuple[_Parents, Int[np.ndarray, " states"]]:
    """All moves by the state they lead to, and the number of moves from each state."""

    chunk = chunk_rows(space.game, len(keys))

    def moves(rows: slice) -> tuple[Int[np.ndarray, " moves"], ...]:
        expanded = successors(space, keys[rows], chunk)
        exists = expanded.probs > 0
        return positions(keys, expanded.keys[exists]), rows.start + np.nonzero(exists)[2]

    parts, num_moves = [], 0
    for part in map_rows(moves, len(keys), chunk):
        parts.append(part)
        num_moves += len(part[0])
        limit.check(len(keys), 0, extra_bytes=num_moves * _EDGE_BYTES)
    child, parent = map(np.concatenate, zip(*parts, strict=True))
    order = np.argsort(child, kind="stable")
    start = np.searchsorted(child[order], np.arange(len(keys) + 1))
    return _Parents(parent[order], start), np.bincount(parent, minlength=len(keys))


def _parents_of(parents: _Parents, states: Int[np.ndarray, " n"]) -> Int[np.ndarray, " moves"]:
    """The states before each of `states`, once for every move."""
    count = parents.start[states + 1] - parents.start[states]
    skipped = np.repeat(parents.start[states] - (np.cumsum(count) - count), count)
    return parents.parent[np.arange(len(skipped)) + skipped]
