"""Every state that can be reached, layer by layer."""

from collections.abc import Callable
from typing import NamedTuple

from exit.game import Game
from exit.solve.expand import chunk_rows, initial_key, next_keys
from exit.solve.keys import Keys, SeenKeys, distinct, map_rows, union
from exit.solve.memory import MemoryLimit

ProgressFn = Callable[[str, int, int], None]
"""Called with the phase ("enumerate" or "solve"), the layer, and the states done so far."""

_MIN_PENDING = 1 << 20


class Layers(NamedTuple):
    """Distinct reachable states by the fewest moves that reach them.

    Attributes:
      keys: of each layer, sorted.
      graded: every move leads to the next layer, so layers in reverse are an order for backward induction.
    """

    keys: list[Keys]
    graded: bool


def reachable_layers(game: Game, limit: MemoryLimit, progress_fn: ProgressFn) -> Layers:
    """Breadth-first enumeration from the initial state.

    Raises:
      UserError: the states do not fit in memory.
    """
    seen = SeenKeys()
    layers, graded, total = [initial_key(game)], True, 1
    while True:
        progress_fn("enumerate", len(layers) - 1, total)
        seen.add(layers[-1])
        layer = _next_layer(game, layers[-1], limit, total, len(layers))
        repeated = seen.contains(layer)
        if repeated.any():
            graded, layer = False, layer[~repeated]
        if len(layer) == 0:
            return Layers(layers, graded)
        layers.append(layer)
        total += len(layer)
        limit.check(total, len(layers) - 1)


def _next_layer(game: Game, layer: Keys, limit: MemoryLimit, num_before: int, ply: int) -> Keys:
    """The distinct states that may follow those of a layer, sorted."""
    merged = layer[:0]
    pending, num_pending = [], 0

    def children(rows: slice) -> Keys:
        return distinct(next_keys(game, layer[rows]))

    for keys in map_rows(children, len(layer), chunk_rows(game)):
        pending.append(keys)
        num_pending += len(keys)
        # Merging whenever the new parts outweigh the old bounds memory by the number of distinct states.
        if num_pending > max(len(merged), _MIN_PENDING):
            merged, pending, num_pending = union([merged, *pending]), [], 0
            limit.check(num_before + len(merged), ply, extra_bytes=2 * merged.nbytes)
    return union([merged, *pending])
