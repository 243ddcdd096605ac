"""The states of an exact table: all, chunk by chunk, or a fair sample of them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int, UInt32

from exit.errors import UserError
from exit.game import Game, State
from exit.solve.action_sets import is_empty
from exit.solve.coding import chunk_rows, decode_keys
from exit.solve.expand import images
from exit.solve.keys import Keys, pack, unpack
from exit.solve.table import Table
from exit.solve.threads import map_in_order, row_slices


def unfinished_keys(table: Table) -> UInt32[np.ndarray, "n K"]:
    """Keys of all states in which a move is to be made, in an order that depends on the game alone."""
    keys = np.concatenate([table.keys[:0], *_unfinished(table)])
    if table.space.reduced:
        keys.sort()
    return unpack(keys)


def unfinished_chunks(table: Table) -> Iterator[UInt32[np.ndarray, "n K"]]:
    """`unfinished_keys` in another order and without holding all of them."""
    return map(unpack, _unfinished(table))


def _unfinished(table: Table) -> Iterator[Keys]:
    chunk = chunk_rows(table.game, len(table.keys))

    def keys(rows: slice) -> Keys:
        kept = table.keys[rows][~is_empty(table.optimal[rows])]
        if not table.space.reduced or len(kept) == 0:
            return kept
        found = images(table.space, kept, chunk)
        return found.keys[found.first]

    return map_in_order(keys, row_slices(len(table.keys), chunk))


def sample_unfinished(table: Table, num_states: int, *, seed: int = 0) -> UInt32[np.ndarray, "n K"]:
    """Keys of so many states in which a move is to be made, each set of them equally likely.

    Raises:
      UserError: there are fewer such states.
    """
    num_unfinished = table.num_states - table.figures.terminal_states
    if not 0 <= num_states <= num_unfinished:
        raise UserError(
            f"{table.game.name} has {num_unfinished:,} states in which a move is to be made; "
            f"{num_states:,} cannot be drawn from them"
        )
    # Every state is one image of one row: the first image that shows it.
    num_places = len(table.keys) * table.space.num_images
    share = num_unfinished / num_places
    num_drawn = min(num_places, round(1.1 * num_states / share) + 64)
    while True:
        places = np.random.default_rng(seed).choice(num_places, num_drawn, replace=False)
        keys = _shown(table, places)
        if len(keys) >= num_states:
            return unpack(keys[:num_states])
        num_drawn = min(num_places, 2 * num_drawn)


def _shown(table: Table, places: Int[np.ndarray, " n"]) -> Keys:
    """The unfinished states that places show which are the first to show them."""

    chunk = chunk_rows(table.game, len(places))

    def keys(part: slice) -> Keys:
        rows, image = np.divmod(places[part], table.space.num_images)
        kept = table.keys[rows]
        shown: Bool[np.ndarray, " n"] = ~is_empty(table.optimal[rows])
        if table.space.reduced:
            found = images(table.space, kept, chunk)
            each = np.arange(len(kept))
            kept, shown = found.keys[image, each], shown & found.first[image, each]
        return kept[shown]

    parts = map_in_order(keys, row_slices(len(places), chunk))
    return np.concatenate([table.keys[:0], *parts])


def states_of(game: Game, keys: UInt32[np.ndarray, "n K"]) -> State:
    """States of keys, stacked along a leading axis as NumPy arrays."""
    return decode_keys(game, pack(np.asarray(keys, np.uint32)))
