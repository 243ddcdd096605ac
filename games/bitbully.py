"""BitBully, a solver of Connect Four on 6 rows x 7 columns by M. Thill, asked about many positions at once.

The library is an optional extra, imported when it is first needed. It keeps Python's lock while it searches,
so many positions are shared out among processes that run this file: they read boards from their input and
write one byte for each to their output.

A board is a bit string of stride 9: cell (row, column) is bit `9 * column + row`, rows from the bottom.
"""

import contextlib
import functools
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

ROWS, COLUMNS, CONNECT = 6, 7, 4

_STRIDE = 9
_CELLS_OF_COLUMN = (1 << ROWS) - 1
_BOTTOM = np.uint64(sum(1 << _STRIDE * column for column in range(COLUMNS)))
_CELLS = np.uint64(_BOTTOM * _CELLS_OF_COLUMN)
_COLUMNS = np.array([_CELLS_OF_COLUMN << _STRIDE * column for column in range(COLUMNS)], np.uint64)

# A position takes half a millisecond on average; starting a process takes as long as several hundred.
_FEWEST_PER_WORKER = 512
_PER_REQUEST = 128
# Each fills some 140 MB, most of it with the library's transposition table.
_MAX_WORKERS = 16


def qvalues(
    mine: UInt64[np.ndarray, " n"],
    theirs: UInt64[np.ndarray, " n"],
    *,
    stride: int,
    progress_fn: Callable[[float], None] | None = None,
) -> Float[np.ndarray, "n 7"]:
    """Exact value of each move to the player to move: 1 wins, 0 draws, -1 loses; -inf where illegal.

    Args:
      mine: stones of the player to move; cell (row, column) is bit `stride * column + row`.
      theirs: stones of the other player.
      progress_fn: told what share of the work is done.

    Raises:
      ImportError: the library is not installed.
      ValueError: boards that no game leads to.
      RuntimeError: a process that shared the work died.
    """
    num_stones = np.bitwise_count(mine).astype(int) + np.bitwise_count(theirs)
    mine, theirs = _strided(mine, stride), _strided(theirs, stride)
    _check(mine, theirs, num_stones)
    occupied = mine | theirs
    stones = (occupied + _BOTTOM)[:, None] & _COLUMNS
    after = mine[:, None] | stones
    legal = (stones != 0) & ~_has_line(theirs)[:, None]
    wins = legal & _has_line(after)
    values = np.where(legal, 1.0, -np.inf)
    asked = legal & ~wins
    # The other player is to move next, and what is worth 1 to one is worth -1 to the other.
    movers = np.broadcast_to(theirs[:, None], stones.shape)[asked]
    values[asked] = -_values((occupied[:, None] | stones)[asked], movers, progress_fn)
    return values


def _strided(boards: UInt64[np.ndarray, " n"], stride: int) -> UInt64[np.ndarray, " n"]:
    """Boards of another stride in the library's."""
    columns = (
        (boards >> np.uint64(stride * column) & np.uint64(_CELLS_OF_COLUMN)) << np.uint64(_STRIDE * column)
        for column in range(COLUMNS)
    )
    return functools.reduce(np.bitwise_or, columns)


def _mirrored(boards: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Boards with their columns, spare cells included, in opposite order."""
    whole = np.uint64((1 << _STRIDE) - 1)
    columns = (
        (boards >> np.uint64(_STRIDE * column) & whole) << np.uint64(_STRIDE * (COLUMNS - 1 - column))
        for column in range(COLUMNS)
    )
    return functools.reduce(np.bitwise_or, columns)


def _has_line(boards: UInt64[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    found = np.zeros(boards.shape, bool)
    for direction in (1, _STRIDE - 1, _STRIDE, _STRIDE + 1):
        pairs = boards & (boards >> np.uint64(direction))
        found |= (pairs & (pairs >> np.uint64(2 * direction))) != 0
    return found


def _check(
    mine: UInt64[np.ndarray, " n"], theirs: UInt64[np.ndarray, " n"], num_stones: Int[np.ndarray, " n"]
) -> None:
    """Raises ValueError where a board breaks the rules; the library itself would answer anything."""
    occupied = mine | theirs
    ahead = np.bitwise_count(theirs).astype(int) - np.bitwise_count(mine)
    floating = (occupied + _BOTTOM) & occupied & _CELLS
    # Stones off the board or in one cell are fewer now than they were.
    bad = (floating != 0) | (np.bitwise_count(occupied) != num_stones)
    bad |= (ahead < 0) | (ahead > 1) | _has_line(mine)
    if bad.any():
        raise ValueError(
            f"{np.count_nonzero(bad)} of {len(bad)} boards cannot come up in Connect Four on {ROWS} rows x "
            f"{COLUMNS} columns; stones lie on one another, players alternate, and a line ends the game"
        )


def _values(
    occupied: UInt64[np.ndarray, " n"],
    mine: UInt64[np.ndarray, " n"],
    progress_fn: Callable[[float], None] | None,
) -> Int[np.ndarray, " n"]:
    """Value to the player to move of positions without a line; mirror images are solved once."""
    # One bit above each column's topmost stone tells empty cells from the other player's stones.
    code = mine | (occupied + _BOTTOM)
    _, first, inverse = np.unique(np.minimum(code, _mirrored(code)), return_index=True, return_inverse=True)
    # What follows one position after its several moves is much the same: those stay together.
    order = np.argsort(first)
    boards = np.stack([occupied, mine], axis=1)[first[order]]
    starts = range(0, len(boards), _PER_REQUEST)
    requests = [boards[start : start + _PER_REQUEST] for start in starts]
    values = np.empty(len(boards), int)
    for start, answer in zip(starts, _answers(requests, _num_workers(len(boards))), strict=True):
        values[order[start : start + _PER_REQUEST]] = answer
        if progress_fn is not None:
            progress_fn((start + len(answer)) / len(boards))
    return values[inverse]


def _num_workers(num_boards: int) -> int:
    """How many processes are worth starting; below two, none are."""
    return min(len(os.sched_getaffinity(0)), num_boards // _FEWEST_PER_WORKER, _MAX_WORKERS)


def _answers(
    requests: Sequence[UInt64[np.ndarray, "_ 2"]], num_workers: int
) -> Iterator[Int[np.ndarray, " _"]]:
    """`_solved` of each request, in order, shared out among processes where there is enough to do."""
    if num_workers < 2:
        yield from map(_solved, requests)
        return
    # A library that is missing is better found out here than by every worker.
    _library()
    idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()

    def ask(request: UInt64[np.ndarray, "_ 2"]) -> Int[np.ndarray, " _"]:
        worker = idle.get()
        try:
            return _asked(worker, request)
        finally:
            idle.put(worker)

    # Workers are left, and so end, before the threads that wait for them are.
    with ThreadPoolExecutor(num_workers) as threads, contextlib.ExitStack() as workers:
        for _ in range(num_workers):
            idle.put(workers.enter_context(_worker()))
        yield from threads.map(ask, requests)


@contextlib.contextmanager
def _worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process that serves requests."""
    # A path to this file's own folder would hide the library behind this module: -P keeps it out.
    command = [sys.executable, "-P", __file__]
    # Large pages for the transposition table save an eighth of the time; they mean nothing outside glibc.
    environment = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", **os.environ}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _asked(worker: "subprocess.Popen[bytes]", boards: UInt64[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    """What a worker answers."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    answer = b""
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.write(len(boards).to_bytes(8, "little") + np.ascontiguousarray(boards).tobytes())
        worker.stdin.flush()
        answer = worker.stdout.read(len(boards))
    if len(answer) < len(boards):
        raise RuntimeError(
            f"a process that solved positions ended with code {worker.wait()}; is there memory for it?"
        )
    return np.frombuffer(answer, np.int8)


def _serve() -> None:
    """Answers requests from standard input until it ends."""
    # An interrupt from the keyboard reaches the whole group of processes; the one that asks decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while header := source.read(8):
        content = source.read(16 * int.from_bytes(header, "little"))
        sink.write(_solved(np.frombuffer(content, np.uint64).reshape(-1, 2)).tobytes())
        sink.flush()


def _solved(boards: UInt64[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    """Values, -1, 0 or 1 to the player to move, of boards given as all stones and the mover's."""
    library, engine = _library(), _engine()
    board = library.BoardCore()
    values = np.empty(len(boards), np.int8)
    for index, (occupied, mine) in enumerate(boards.tolist()):
        board.setRawState(occupied, mine, ROWS * COLUMNS - occupied.bit_count())
        # The score tells how soon the game is won; a window about 0 asks for its sign alone.
        score = engine.negamax(board, alpha=-1, beta=1, depth=0)
        values[index] = (score > 0) - (score < 0)
    return values


def _library() -> Any:
    from bitbully import bitbully_core

    return bitbully_core


@functools.cache
def _engine() -> Any:
    """The solver, with its opening book; its transposition table serves all calls of the process."""
    from bitbully_databases import BitBullyDatabases

    # This book tells who wins at 12 stones and not how soon, in a third of the space.
    return _library().BitBullyCore(Path(BitBullyDatabases.get_database_path("12-ply")))


if __name__ == "__main__":
    _serve()
