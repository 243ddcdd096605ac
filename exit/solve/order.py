"""An order for backward induction in games where a state may be reached by different numbers of moves."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from exit.errors import UserError
from exit.game import Game
from exit.solve.expand import chunk_rows, successors
from exit.solve.keys import Keys, map_rows, positions
from exit.solve.memory import MemoryLimit

_EDGE_BYTES = 40


class _Parents(NamedTuple):
    """Moves by the state they lead to: those into state i come from `parent[start[i] : start[i + 1]]`."""

    parent: Int[np.ndarray, " moves"]
    start: Int[np.ndarray, " states_plus_one"]


def solving_order(game: Game, keys: Keys, limit: MemoryLimit) -> list[Int[np.ndarray, " n"]]:
    """Groups of positions in sorted `keys` such that every move leads to an earlier group.

    Raises:
      UserError: positions repeat in the game, or its moves do not fit in memory.
    """
    parents, num_moves = _parents(game, keys, limit)
    ready = np.flatnonzero(num_moves == 0)
    groups, num_ordered = [], 0
    while len(ready):
        groups.append(ready)
        num_ordered += len(ready)
        before, count = np.unique(_parents_of(parents, ready), return_counts=True)
        num_moves[before] -= count
        ready = before[num_moves[before] == 0]
    if num_ordered < len(keys):
        raise UserError(
            f"positions repeat in {game.name}: {len(keys) - num_ordered:,} of its {len(keys):,} states lead "
            "into a cycle; exact solving by backward induction needs a game in which no position comes back"
        )
    return groups


def _parents(game: Game, keys: Keys, limit: MemoryLimit) -> tuple[_Parents, Int[np.ndarray, " states"]]:
    """All moves by the state they lead to, and the number of moves from each state."""

    def moves(rows: slice) -> tuple[Keys, Int[np.ndarray, " moves"]]:
        expanded = successors(game, keys[rows])
        exists = expanded.probs > 0
        return positions(keys, expanded.keys[exists]), exists.sum(axis=(1, 2))

    children, counts, num_moves = [], [], 0
    for child, count in map_rows(moves, len(keys), chunk_rows(game)):
        children.append(child)
        counts.append(count)
        num_moves += len(child)
        limit.check(len(keys), 0, extra_bytes=num_moves * _EDGE_BYTES)
    child, count = np.concatenate(children), np.concatenate(counts)
    order = np.argsort(child, kind="stable")
    start = np.searchsorted(child[order], np.arange(len(keys) + 1))
    return _Parents(np.repeat(np.arange(len(keys)), count)[order], start), count


def _parents_of(parents: _Parents, states: Int[np.ndarray, " n"]) -> Int[np.ndarray, " moves"]:
    """The states before each of `states`, once for every move."""
    count = parents.start[states + 1] - parents.start[states]
    skipped = np.repeat(parents.start[states] - (np.cumsum(count) - count), count)
    return parents.parent[np.arange(len(skipped)) + skipped]
