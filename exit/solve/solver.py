"""Exact solution of a game by enumeration and backward induction."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from exit.game import Game, num_states_of
from exit.memory import peak_megabytes
from exit.solve.expand import chunk_rows, initial_key, successors
from exit.solve.keys import Keys, map_rows
from exit.solve.layers import ProgressFn, reachable_layers
from exit.solve.memory import MemoryLimit, TooLarge, memory_limit
from exit.solve.order import solving_order
from exit.solve.table import Table, action_values, best_values


def solve(game: Game, *, max_bytes: int | None = None, progress_fn: ProgressFn | None = None) -> Table:
    """Exact values of every reachable state of a game without repeating positions.

    The value of a state is the best, over legal actions, of the expectation over chance outcomes of
    reward + discount * value(next state), in double precision.

    Args:
      max_bytes: memory the states may take; by default most of what the machine has left.
      progress_fn: called once a layer.

    Raises:
      TooLarge: the states do not fit in memory.
      UserError: positions repeat.
    """
    started = time.perf_counter()
    report = progress_fn or (lambda phase, layer, states: None)
    limit = memory_limit(game, initial_key(game).itemsize, max_bytes)
    if (num_states := num_states_of(game)) is not None:
        limit.check_known(num_states)
    layers = reachable_layers(game, limit, report)
    sizes = tuple(map(len, layers.keys))
    keys = np.concatenate(layers.keys)
    layers.keys.clear()
    solved = _by_layer(game, keys, sizes, report) if layers.graded else _by_order(game, keys, limit, report)
    return Table(
        game=game,
        keys=solved.keys,
        values=solved.values,
        terminal=solved.terminal,
        states_by_ply=sizes,
        seconds=time.perf_counter() - started,
        peak_mb=peak_megabytes(),
    )


def fits_in_memory(game: Game) -> bool:
    """False where the game is known to have more states than `solve` could hold on this machine."""
    num_states = num_states_of(game)
    if num_states is None:
        return True
    try:
        memory_limit(game, initial_key(game).itemsize, None).check_known(num_states)
    except TooLarge:
        return False
    return True


class _Solved(NamedTuple):
    """Columns of a table."""

    keys: Keys
    values: Float[np.ndarray, " n"]
    terminal: Bool[np.ndarray, " n"]


def _by_layer(game: Game, keys: Keys, sizes: tuple[int, ...], progress_fn: ProgressFn) -> _Solved:
    """Backward induction where every move leads to the next layer.

    Args:
      keys: the layers one after another.
    """
    values, terminal, num_solved = np.empty(len(keys)), np.empty(len(keys), bool), 0
    known = slice(len(keys), len(keys))
    for ply in reversed(range(len(sizes))):
        layer = slice(known.start - sizes[ply], known.start)
        parts = _solved_parts(game, keys[layer], keys[known], values[known])
        values[layer], terminal[layer] = map(np.concatenate, zip(*parts, strict=True))
        known, num_solved = layer, num_solved + sizes[ply]
        progress_fn("solve", ply, num_solved)
    # Layers are sorted already, and the stable sort merges sorted runs.
    order = np.argsort(keys, kind="stable")
    return _Solved(keys[order], values[order], terminal[order])


def _by_order(game: Game, keys: Keys, limit: MemoryLimit, progress_fn: ProgressFn) -> _Solved:
    """Backward induction in any game that comes to an end."""
    keys.sort(kind="stable")
    values, terminal, num_solved = np.empty(len(keys)), np.empty(len(keys), bool), 0
    for index, group in enumerate(solving_order(game, keys, limit)):
        parts = _solved_parts(game, keys[group], keys, values)
        values[group], terminal[group] = map(np.concatenate, zip(*parts, strict=True))
        num_solved += len(group)
        progress_fn("solve", index, num_solved)
    return _Solved(keys, values, terminal)


def _solved_parts(
    game: Game, keys: Keys, known_keys: Keys, known_values: Float[np.ndarray, " m"]
) -> Iterator[tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]]:
    """Values of states whose successors are known, and whether they are terminal, chunk by chunk."""

    def solve_rows(rows: slice) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        moves = successors(game, keys[rows])
        return best_values(action_values(moves, known_keys, known_values)), moves.terminal

    return map_rows(solve_rows, len(keys), chunk_rows(game))
