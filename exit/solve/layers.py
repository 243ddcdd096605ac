"""Every state that can be reached, layer by layer."""

import hashlib
from collections.abc import Callable

import numpy as np

from exit.errors import UserError
from exit.solve.coding import chunk_rows, initial_key
from exit.solve.columns import FileColumn
from exit.solve.expand import next_keys
from exit.solve.journal import Layer
from exit.solve.keys import Keys, SeenKeys, distinct, hashes
from exit.solve.merge import DistinctKeys
from exit.solve.progress import Report
from exit.solve.shelf import Shelf, column_name
from exit.solve.threads import map_rows

_PATIENCE_SECONDS = 10.0
_SAMPLE_ROWS = 1 << 20
_FEW_ROWS = 1 << 16


class Repeated(Exception):
    """A state is reached by lines of play of different lengths."""


def find_layers(shelf: Shelf, report: Report) -> None:
    """Fills a shelf with layers of which each holds all that one move reaches from the one before.

    Backward induction may then go layer by layer, even where a state is in several of them.

    Raises:
      Repeated: a state is in several layers, which are in memory. It may be that no layer is the last.
      TooLarge: the states do not fit in memory or on disk.
      UserError: positions repeat; layers are on disk.
    """
    watch = _RepeatWatch()
    if not shelf.layers:
        shelf.layers.append(Layer(initial_key(shelf.space.game)))
        watch.check(shelf.layers[0].keys[:])
    num_known = 0
    for ply, layer in enumerate(shelf.layers if shelf.complete else shelf.layers[:-1]):
        num_known += layer.num_states
        report.done("enumerate", ply, num_known)
    while not shelf.complete:
        layer = _next_layer(shelf, report, lambda keys: keys)
        if shelf.on_disk:
            _require_end(shelf, layer)
        elif len(layer.keys):
            watch.check(layer.keys[:])
        _put(shelf, layer)
        if shelf.directory is not None and not shelf.on_disk and shelf.elapsed > _PATIENCE_SECONDS:
            shelf.move_to_disk()
        shelf.record()
        shelf.require_disk()


def find_distinct_layers(shelf: Shelf, report: Report) -> None:
    """Fills a shelf, in memory, with layers of the states that no fewer moves reach.

    Raises:
      TooLarge: the states do not fit in memory.
    """
    seen = SeenKeys()

    def unseen(keys: Keys) -> Keys:
        return keys[~seen.contains(keys)]

    shelf.layers.append(Layer(initial_key(shelf.space.game)))
    while not shelf.complete:
        seen.add(shelf.layers[-1].keys[:])
        _put(shelf, _next_layer(shelf, report, unseen))


def _next_layer(shelf: Shelf, report: Report, chosen_fn: Callable[[Keys], Keys]) -> Layer:
    """Those chosen among the states that may follow the last layer."""
    space, ply, layer = shelf.space, len(shelf.layers) - 1, shelf.layers[-1]
    found = DistinctKeys(shelf, ply + 1, layer.keys.dtype)
    num_before = sum(layer.num_states for layer in shelf.layers[:-1])
    num_states = num_finished = 0
    chunk = chunk_rows(space.game, len(layer.keys))

    def reach(rows: slice) -> tuple[Keys, int, int]:
        reached = next_keys(space, layer.keys[rows], chunk)
        return distinct(reached.keys), reached.num_states, reached.num_finished

    for keys, states, finished in map_rows(reach, len(layer.keys), chunk):
        found.add(keys)
        num_states, num_finished = num_states + states, num_finished + finished
        report.on_the_way("enumerate", ply, num_before + num_states)
    column = shelf.write(column_name(ply + 1, "keys"), layer.keys.dtype, map(chosen_fn, found.blocks()))
    layer.num_states, layer.num_finished = num_states, num_finished
    report.done("enumerate", ply, num_before + num_states)
    shelf.make_room(shelf.num_rows + len(column), ply + 1)
    return Layer(column)


def _put(shelf: Shelf, layer: Layer) -> None:
    if len(layer.keys):
        shelf.layers.append(layer)
    else:
        shelf.complete = True


def _require_end(shelf: Shelf, layer: Layer) -> None:
    """Raises UserError where a layer on disk is one that was there before: then there is no last one."""
    contents = {each.keys.digest for each in shelf.layers if isinstance(each.keys, FileColumn)}
    if isinstance(layer.keys, FileColumn) and len(layer.keys) and layer.keys.digest in contents:
        raise UserError(
            f"positions repeat in {shelf.space.game.name}, which is solved in memory only, and does not fit "
            f"in the {shelf.limit.max_bytes / 1e6:,.1f} MB allowed; allow more memory"
        )


class _RepeatWatch:
    """Notices states that come back: any one while they are few, of many states nearly any larger part."""

    def __init__(self) -> None:
        self._sample, self._num_sampled = SeenKeys(), 0
        self._shift = 0
        self._few: set[bytes] = set()

    def check(self, keys: Keys) -> None:
        """Raises `Repeated` if states of a layer are noticed to be in an earlier one."""
        sampled = self._sampled(keys)
        if self._sample.contains(sampled).any():
            raise Repeated
        if len(keys) <= _FEW_ROWS:
            # Few states that come back may all miss the sample, but a cycle brings back whole layers.
            content = hashlib.blake2b(keys.tobytes(), digest_size=16).digest()
            if content in self._few:
                raise Repeated
            self._few.add(content)
        self._sample.add(sampled)
        self._num_sampled += len(sampled)
        while self._num_sampled > _SAMPLE_ROWS:
            self._shift += 1
            runs, self._sample = self._sample.runs, SeenKeys()
            for run in runs:
                self._sample.add(self._sampled(run))
            self._num_sampled = sum(map(len, self._sample.runs))

    def _sampled(self, keys: Keys) -> Keys:
        return keys[hashes(keys) >> np.uint64(64 - self._shift) == 0] if self._shift else keys
