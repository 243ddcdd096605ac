"""Solutions whose layers go through the disk: the same tables, whatever happens on the way."""

import errno
import fcntl
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from exit.errors import UserError
from exit.game import Game
from exit.solve import ProgressFn, Table, TooLarge, load_or_solve, load_table, solve, summary
from exit.solve.columns import FileWriter, Writer
from exit.solve.shelf import Shelf
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.chance_games import Race
from tests.solver_games import LongKeys, Random, Ring

TINY = 5_000
GAME = ConnectFour(4, 4, connect=3)


class Killed(BaseException):
    """Ends a solution at once."""


def _killed_after(num_calls: int) -> ProgressFn:
    """Progress that comes to so many calls."""
    calls = []

    def count(*report: object) -> None:
        calls.append(report)
        if len(calls) == num_calls:
            raise Killed

    return count


def _assert_same(found: Table, expected: Table) -> None:
    for name in ("keys", "values", "optimal"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.figures[:3] == expected.figures[:3]


@pytest.fixture(scope="module")
def expected() -> Table:
    return solve(GAME)


@pytest.mark.parametrize(
    "game", [TicTacToe(), LongKeys(), Nim((3, 4, 5)), Race(), Random()], ids=lambda game: game.name
)
def test_tables_are_the_same_through_the_disk(game: Game, tmp_path: Path) -> None:
    """Games whose layers have states in common among them, with chance and without."""
    in_memory = solve(game)
    streamed = solve(game, max_bytes=1000, directory=tmp_path)
    _assert_same(streamed, in_memory)
    assert streamed.directory == tmp_path
    assert sorted(path.name.split(".")[0] for path in tmp_path.iterdir()) == [
        "keys",
        "meta",
        "optimal",
        "values",
    ]
    _assert_same(load_table(game, tmp_path), in_memory)


def test_layers_larger_than_the_memory_are_worked_on_in_parts(
    expected: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exit.solve.merge._MIN_RANGE_BYTES", 1 << 12)
    monkeypatch.setattr("exit.solve.coding._CHUNK_SUCCESSORS", 1 << 9)
    monkeypatch.setattr("exit.solve.coding._SMALL_CHUNK_SUCCESSORS", 1 << 6)
    monkeypatch.setattr("exit.solve.coding._MANY_CHUNKS", 2)
    seen: set[str] = set()
    written = []

    def watch(phase: str, layer: int, states: int) -> None:
        seen.update(path.name.split("_")[0] for path in (tmp_path / "unfinished").glob("*_*"))
        written.append((phase, layer))

    monkeypatch.setattr("exit.solve.progress._STATES_BETWEEN", 50)
    _assert_same(solve(GAME, max_bytes=TINY, directory=tmp_path, progress_fn=watch), expected)
    assert seen >= {"ply", "run"}
    assert len(written) > 200


@pytest.mark.parametrize("num_calls", [2, 5, 12, 17, 20, 31, 33])
def test_a_killed_solution_goes_on(
    expected: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_calls: int
) -> None:
    monkeypatch.setattr("exit.solve.layers._PATIENCE_SECONDS", 0.0)
    with pytest.raises(Killed):
        solve(GAME, directory=tmp_path, progress_fn=_killed_after(num_calls))
    plies: dict[str, list[int]] = {"keys": [], "values": []}
    write = Shelf.writer

    def watch(shelf: Shelf, name: str, dtype: np.dtype) -> Writer:
        ply, _, column = name.removeprefix("ply_").partition(".")
        plies.get(column, []).append(int(ply))
        return write(shelf, name, dtype)

    monkeypatch.setattr(Shelf, "writer", watch)
    _assert_same(solve(GAME, directory=tmp_path), expected)
    # The call that did not return came before a layer of keys was written down, or after one of values.
    num_plies = len(expected.states_by_ply)
    assert plies["keys"] == list(range(num_calls, num_plies + 1))
    assert plies["values"] == list(reversed(range(min(num_plies, 2 * num_plies - num_calls))))
    assert not (tmp_path / "unfinished").exists()


@dataclass(frozen=True)
class Newer(ConnectFour):
    version = 2


def test_layers_of_other_rules_are_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exit.solve.layers._PATIENCE_SECONDS", 0.0)
    with pytest.raises(Killed):
        solve(GAME, directory=tmp_path, progress_fn=_killed_after(12))
    calls: list[int] = []
    solve(Newer(4, 4, 3), directory=tmp_path, progress_fn=lambda *report: calls.append(report[1]))
    assert calls[0] == 0


@pytest.mark.parametrize("name", ["ply_0005.keys", "ply_0014.keys", "ply_0013.values", "ply_0014.optimal"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_layers_are_made_anew(
    expected: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    monkeypatch.setattr("exit.solve.layers._PATIENCE_SECONDS", 0.0)
    num_plies = len(expected.states_by_ply)
    with pytest.raises(Killed):
        solve(GAME, directory=tmp_path, progress_fn=_killed_after(num_plies + 6))
    (path,) = (tmp_path / "unfinished").glob(f"{name}.*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    match damage:
        case "flip":
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:-1])
        case "gone":
            path.unlink()
    _assert_same(solve(GAME, directory=tmp_path), expected)


@pytest.mark.parametrize("content", ["", "{}", '{"digest": "", "body": {}}'])
def test_a_damaged_journal_starts_over(
    expected: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr("exit.solve.layers._PATIENCE_SECONDS", 0.0)
    with pytest.raises(Killed):
        solve(GAME, directory=tmp_path, progress_fn=_killed_after(12))
    (tmp_path / "unfinished" / "journal.json").write_text(content)
    _assert_same(solve(GAME, directory=tmp_path), expected)


@pytest.mark.parametrize("num_writes", [0, 3, 20, 40, 60])
def test_a_full_disk_says_what_is_missing_and_nothing_is_lost(
    expected: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_writes: int
) -> None:
    append, writes = FileWriter.append, []

    def fill(self: FileWriter, part: np.ndarray) -> None:
        writes.append(part)
        if len(writes) > num_writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, part)

    monkeypatch.setattr(FileWriter, "append", fill)
    with pytest.raises(TooLarge, match=r"at least \d\.\d{3} GB more are needed") as refusal:
        solve(GAME, max_bytes=TINY, directory=tmp_path)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.rglob("*.draft"))
    monkeypatch.undo()
    _assert_same(solve(GAME, max_bytes=TINY, directory=tmp_path), expected)


def test_a_disk_that_is_too_small_is_named_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("exit.solve.memory.shutil.disk_usage", lambda path: usage(10**6, 10**6 - 5000, 5000))
    with pytest.raises(TooLarge, match=r"does not fit on the disk.*\(0\.000 GB are free\)"):
        solve(GAME, max_bytes=TINY, directory=tmp_path)
    with pytest.raises(TooLarge, match=r"45,319\.852 GB more are needed for its 4,531,985,219,092 states"):
        solve(ConnectFour(6, 7), max_bytes=10**9, directory=tmp_path)


def test_layers_left_behind_beside_their_table_are_removed(
    expected: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(shelf: Shelf) -> None:
        raise Killed

    monkeypatch.setattr(Shelf, "clear", die)
    with pytest.raises(Killed):
        solve(GAME, max_bytes=TINY, directory=tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "unfinished" / "journal.json").exists()
    _assert_same(load_or_solve(GAME, directory=tmp_path, on_disk=True), expected)
    assert not (tmp_path / "unfinished").exists()


def test_two_processes_do_not_solve_in_one_place(tmp_path: Path) -> None:
    work = tmp_path / "unfinished"
    work.mkdir()
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is solving"):
            solve(GAME, max_bytes=TINY, directory=tmp_path)
    solve(GAME, max_bytes=TINY, directory=tmp_path)


def test_positions_that_repeat_are_refused_on_disk(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="positions repeat in ring"):
        solve(Ring(), max_bytes=50, directory=tmp_path)


def test_what_fits_leaves_nothing_on_disk(tmp_path: Path) -> None:
    table = solve(TicTacToe(), directory=tmp_path / "new")
    assert table.directory is None
    assert not (tmp_path / "new").exists()
    assert summary(table)["table"] is None
