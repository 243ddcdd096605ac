"""How positions are reached: by how many moves at least, and by which."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt32

from exit.game import Game
from exit.solve.coding import chunk_rows, initial_key
from exit.solve.expand import next_keys, successors
from exit.solve.keys import Keys, SeenKeys, contains, distinct, pack, positions, union
from exit.solve.space import Space
from exit.solve.threads import map_rows, row_slices


class Plies(NamedTuple):
    """The reachable states of a game.

    Attributes:
      layers: states by the fewest moves that reach them, each layer sorted.
    """

    game: Game
    layers: list[Keys]


def plies(game: Game) -> Plies:
    """All states by the fewest moves that lead there; for games small enough to be solved in memory."""
    space, seen, layers = Space(game), SeenKeys(), [initial_key(game)]
    while True:
        layer = layers[-1]
        chunk = chunk_rows(game, len(layer))
        seen.add(layer)

        def reach(rows: slice, layer: Keys = layer, chunk: int = chunk) -> Keys:
            return distinct(next_keys(space, layer[rows], chunk).keys)

        after = union(list(map_rows(reach, len(layer), chunk)))
        after = after[~seen.contains(after)]
        if not len(after):
            return Plies(game, layers)
        layers.append(after)


def ply_of(found: Plies, keys: UInt32[np.ndarray, "n K"]) -> Int[np.ndarray, " n"]:
    """Fewest moves that lead to each of some reachable states."""
    packed = pack(np.asarray(keys, np.uint32))
    ply = np.full(len(packed), -1)
    for index, layer in enumerate(found.layers):
        ply[contains(layer, packed)] = index
    return ply


def shortest_lines(found: Plies, keys: UInt32[np.ndarray, "n K"]) -> list[list[int]]:
    """A shortest line to each of a few reachable states, as `xit act` reads it."""
    current, ply = pack(np.asarray(keys, np.uint32)).copy(), ply_of(found, keys)
    lines: list[list[int]] = [[] for _ in current]
    for index in reversed(range(len(found.layers) - 1)):
        open_ends = np.flatnonzero(ply == index + 1)
        for end, (before, line) in zip(open_ends, _into(found, index, current[open_ends]), strict=True):
            current[end], ply[end] = before, index
            lines[end] = [*line, *lines[end]]
    return lines


def _into(found: Plies, index: int, targets: Keys) -> list[tuple[Any, list[int]]]:
    """For each target a state of the layer that leads there, and the move, with its outcome after chance."""
    game, layer = found.game, found.layers[index]
    # Lines to different states may meet on the way back.
    distinct_targets, which = np.unique(targets, return_inverse=True)
    known: dict[int, tuple[Any, list[int]]] = {}
    chunk = chunk_rows(game, len(layer))
    for some in row_slices(len(layer), chunk):
        if len(known) == len(distinct_targets):
            break
        moves = successors(Space(game), layer[some], chunk)
        leads = (moves.probs > 0) & contains(distinct_targets, moves.keys.ravel()).reshape(moves.keys.shape)
        for action, outcome, state in zip(*np.nonzero(leads), strict=True):
            target = int(positions(distinct_targets, moves.keys[action, outcome, state][None])[0])
            line = [int(action)] if game.num_outcomes == 1 else [int(action), int(outcome)]
            known.setdefault(target, (layer[some.start + state], line))
    return [known[int(target)] for target in which]
