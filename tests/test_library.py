"""Exact values from a library: kept on disk, asked for once, and what happens where it is missing."""

import contextlib
import importlib.metadata
import json
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float

from exit.agent import Agent
from exit.cli import run
from exit.cli.exact import load_exact
from exit.cli.match import open_match
from exit.errors import UserError
from exit.rundir import RunInfo
from exit.solve import (
    Exact,
    TooLarge,
    exact_moves,
    exact_moves_of_keys,
    exact_of_library,
    library_version,
    unfinished_keys,
)
from exit.solve.coding import initial_key
from exit.solve.keys import unpack
from exit.solve.qvalue_cache import QValueCache
from games.connect_four import ConnectFour
from games.tic_tac_toe import TicTacToe, TicTacToeState
from tests.tiny import NET, random_params, table_of, tiny_config

Captured = pytest.CaptureFixture[str]

_asked: list[int] = []
"""How many positions each request to the library was about."""


@dataclass(frozen=True)
class Solved(TicTacToe):
    """Tic-tac-toe as a library would know it; any distribution that is installed stands for the library."""

    version: int = 1
    num_states: int = 5478
    solver_library = "numpy"

    def library_qvalues(
        self, states: TicTacToeState, progress_fn: Callable[[float], None] | None = None
    ) -> Float[np.ndarray, "n A"]:
        _asked.append(len(states[0]))
        if progress_fn is not None:
            progress_fn(1.0)
        return exact_moves(table_of(TicTacToe()), states).qvalues


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))
    _asked.clear()


def _all_keys() -> np.ndarray:
    """Every unfinished position, and finished ones."""
    table = table_of(TicTacToe())
    return np.concatenate([unfinished_keys(table), unpack(table.keys)[table.terminal]])


def _assert_right(exact: Exact) -> None:
    found = exact.moves_fn(_all_keys())
    for column, expected in zip(found, exact_moves_of_keys(table_of(TicTacToe()), _all_keys()), strict=True):
        np.testing.assert_array_equal(column, expected)


def _the_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "positions" / "tic_tac_toe").glob("*.sqlite3")
    return path


def test_values_are_those_of_the_table() -> None:
    exact = exact_of_library(Solved())
    assert (exact.solver, exact.table) == ("numpy", None)
    # Finished positions are among them: value 0, and no move.
    _assert_right(exact)


def test_each_position_is_asked_for_once() -> None:
    keys = _all_keys()[:600]
    exact = exact_of_library(Solved())
    first = exact.moves_fn(np.concatenate([keys[:400], keys[:400]]))
    assert _asked == [400]
    np.testing.assert_array_equal(first.qvalues[:400], first.qvalues[400:])
    again = exact_of_library(Solved()).moves_fn(keys)
    assert _asked == [400, 200]
    np.testing.assert_array_equal(again.qvalues[:400], first.qvalues[:400])
    assert exact.moves_fn(keys[:0]).qvalues.shape == (0, 9)


def test_work_is_followed_and_kept_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exit.solve.library._AT_ONCE", 100)
    told: list[tuple[float, int]] = []

    @contextlib.contextmanager
    def watch() -> Iterator[Callable[[float, int], None]]:
        yield lambda share, num: told.append((share, num))

    keys = _all_keys()
    exact_of_library(Solved(), watch_fn=watch).moves_fn(keys[:50])
    exact_of_library(Solved(), watch_fn=watch).moves_fn(keys[:350])
    assert told == [(0.0, 50), (1.0, 50), *((k / 3, 300) for k in (0, 1, 1, 2, 2, 3))]

    # What was known before a failure stays known.
    def fail_later(self: Solved, *arguments: Any) -> Any:
        if len(_asked) > 5:
            raise RuntimeError("out of order")
        return answer(self, *arguments)

    answer = Solved.library_qvalues
    monkeypatch.setattr(Solved, "library_qvalues", fail_later)
    with pytest.raises(UserError, match="numpy failed: out of order"):
        exact_of_library(Solved()).moves_fn(keys[350:650])
    assert _asked == [50, 100, 100, 100, 100, 100]
    monkeypatch.setattr(Solved, "library_qvalues", answer)
    exact_of_library(Solved()).moves_fn(keys[350:650])
    assert _asked[6:] == [100]


def test_positions_of_no_game_are_an_error() -> None:
    words = np.full((1, 2), 0b11, np.uint32)
    with pytest.raises(UserError, match=r"connect_four: 1 of 1 boards .* ask only for positions"):
        exact_of_library(ConnectFour()).moves_fn(words)


@pytest.mark.parametrize("damage", ["cut", "garbage", "values", "header"])
def test_damaged_files_are_set_aside(tmp_path: Path, damage: str) -> None:
    exact_of_library(Solved()).moves_fn(_all_keys())
    num_asked = len(_asked)
    path = _the_file(tmp_path)
    content = bytearray(path.read_bytes())
    match damage:
        case "cut":
            del content[len(content) // 2 :]
        case "garbage":
            content[:] = b"no database" * 1000
        case "values":
            # A value that was -1 becomes another number, in a row that is stored as it was.
            place = content.rindex(np.float64(-1).tobytes())
            content[place] ^= 1
        case "header":
            content[0] ^= 1
    path.write_bytes(content)
    warned: list[str] = []
    _assert_right(exact_of_library(Solved(), warn_fn=warned.append))
    (warning,) = warned
    assert f"{path} is now {path.name}.damaged" in warning
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content
    assert len(_asked) == 2 * num_asked
    _assert_right(exact_of_library(Solved(), warn_fn=warned.append))
    assert (len(_asked), len(warned)) == (2 * num_asked, 1)


def test_an_empty_file_is_filled(tmp_path: Path) -> None:
    exact_of_library(Solved()).moves_fn(_all_keys()[:9])
    _the_file(tmp_path).write_bytes(b"")
    exact_of_library(Solved()).moves_fn(_all_keys()[:9])
    exact_of_library(Solved()).moves_fn(_all_keys()[:9])
    assert _asked == [9, 9]


def test_values_of_other_rules_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = _all_keys()[:9]
    exact_of_library(Solved()).moves_fn(keys)
    old = _the_file(tmp_path)
    exact_of_library(Solved(version=2)).moves_fn(keys)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99")
    exact_of_library(Solved()).moves_fn(keys)
    assert _asked == [9, 9, 9]

    # A file that was moved in the place of another one tells whose it is.
    (new,) = [path for path in old.parent.iterdir() if path != old and b"99" in path.read_bytes()]
    new.write_bytes(old.read_bytes())
    warned: list[str] = []
    exact_of_library(Solved(), warn_fn=warned.append).moves_fn(keys)
    assert len(_asked) == 4
    assert "belongs to another game, library or version" in warned[0]


def test_values_that_cannot_be_kept_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "file"))
    warned: list[str] = []
    exact = exact_of_library(Solved(), warn_fn=warned.append)
    _assert_right(exact)
    _assert_right(exact)
    (warning,) = warned
    assert "Not a directory; set XIT_CACHE_DIR" in warning


def test_a_full_disk_leaves_older_values_whole(tmp_path: Path) -> None:
    keys, warned = _all_keys(), []
    exact_of_library(Solved()).moves_fn(keys[:100])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = _the_file(tmp_path).stat().st_size
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # No file may grow beyond what this one has now, as on a disk that is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        _assert_right(exact_of_library(Solved(), warn_fn=warned.append))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    (warning,) = warned
    assert "cannot be kept in" in warning
    _asked.clear()
    exact_of_library(Solved(), warn_fn=warned.append).moves_fn(keys[:200])
    assert (_asked, len(warned)) == ([100], 1)


_WRITER = """
import os, sys
import numpy as np
from pathlib import Path
from exit.solve.qvalue_cache import QValueCache

def fail(line):
    raise SystemExit(line)

cache = QValueCache(Path(sys.argv[1]), {}, 2, fail)
for start in range(int(sys.argv[2]), int(sys.argv[3])):
    keys = np.arange(start, start + 50, dtype=np.uint32)[:, None]
    cache.look_up(keys)
    cache.add(keys, np.repeat(keys, 2, axis=1).astype(float))
    if sys.argv[4] == "dies" and start == int(sys.argv[3]) - 1:
        with cache._opened() as connection:
            connection.execute("DELETE FROM qvalues")
            os._exit(9)
"""


@pytest.mark.slow
def test_processes_share_a_file_and_one_may_be_killed(tmp_path: Path) -> None:
    path = tmp_path / "values.sqlite3"
    command = [sys.executable, "-c", _WRITER, str(path)]
    ends = ([*command, "0", "200", "dies"], [*command, "100", "300", "ends"])
    processes = [subprocess.Popen(arguments) for arguments in ends]
    assert [process.wait() for process in processes] == [9, 0]
    keys = np.arange(349, dtype=np.uint32)[:, None]

    def fail(line: str) -> None:
        raise AssertionError(line)

    found = QValueCache(path, {}, 2, fail).look_up(keys)
    np.testing.assert_array_equal(found, np.repeat(keys, 2, axis=1))


def test_the_file_is_plain_sqlite(tmp_path: Path) -> None:
    exact_of_library(Solved()).moves_fn(_all_keys()[:9])
    with contextlib.closing(sqlite3.connect(_the_file(tmp_path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ((text,),) = connection.execute("SELECT text FROM identity").fetchall()
    identity = json.loads(text)
    assert (identity["game"], identity["library"]) == ("tic_tac_toe", "numpy")
    assert identity["library_version"] == np.__version__


@pytest.fixture
def _without_bitbully(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.metadata.version

    def version(name: str) -> str:
        if name == "bitbully":
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.mark.usefixtures("_without_bitbully")
def test_a_missing_library_names_its_extra(capsys: Captured, tmp_path: Path) -> None:
    assert library_version(ConnectFour()) is None
    with pytest.raises(UserError, match=r"bitbully, which is not installed; .*'xit\[bitbully\]'") as error:
        load_exact(ConnectFour())
    assert "\n" not in str(error.value)
    assert run(["games", "--json", str(tmp_path / "games.json")]) == 0
    assert "bitbully; pip install 'xit[bitbully]'" in capsys.readouterr().out
    (row,) = [
        row for row in json.loads((tmp_path / "games.json").read_text()) if row["game"] == "connect_four"
    ]
    assert (row["solver"], row["solver_version"]) == ("bitbully", None)


def test_a_broken_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitbully", None)
    with pytest.raises(UserError, match=r"bitbully, which cannot be imported \(.*xit\[bitbully\]"):
        exact_of_library(ConnectFour()).moves_fn(unpack(initial_key(ConnectFour())))


def test_games_without_a_library_say_so() -> None:
    with pytest.raises(UserError, match="no library solves positions of tic_tac_toe"):
        exact_of_library(TicTacToe())


def test_a_table_comes_before_the_library() -> None:
    assert load_exact(Solved()).solver == "rules"
    # It would fit, so that what is too little is the memory allowed.
    with pytest.raises(TooLarge, match="may take all there is"):
        load_exact(Solved(version=2), max_bytes=1000)
    huge = Solved(version=3, num_states=10**15)
    assert load_exact(huge).solver == "numpy"
    with pytest.raises(TooLarge, match="choose a smaller game"):
        load_exact(ConnectFour(5, 5), max_bytes=1000)


def test_solve_says_who_solves_positions(capsys: Captured) -> None:
    assert run(["solve", "connect_four"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "does not fit on the disk" in line
    assert "bitbully solves its positions one at a time" in line


def test_games_lists_the_library(capsys: Captured) -> None:
    assert run(["games"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[0:1] == ["connect_four"]]
    assert line.endswith(f"bitbully {importlib.metadata.version('bitbully')}")


def _agent() -> Agent:
    config = tiny_config(game=ConnectFour(), network=NET)
    return Agent(config, config.search, random_params(config.game), 0, RunInfo("tiny", (), {}), Path())


@pytest.mark.slow
def test_play_shows_what_the_library_knows() -> None:
    match, reason = open_match(_agent(), budget=0, seed=0)
    assert reason is None
    assert match.advise().exact == dict(enumerate([-1, -1, 0, 1, 0, -1, -1]))
    for column in (3, 0, 3, 0, 3):
        match.play(column)
    # Whoever does not stop four in the centre has lost.
    exact = match.advise().exact
    assert exact is not None
    assert [exact[column] for column in range(7) if column != 3] == [-1] * 6


@pytest.mark.slow
@pytest.mark.usefixtures("_without_bitbully")
def test_play_goes_on_without_the_library() -> None:
    match, reason = open_match(_agent(), budget=0, seed=0)
    assert "not installed" in str(reason)
    assert match.advise().exact is None
