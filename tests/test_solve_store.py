"""Exact tables on disk: round trips, damage, and disks that refuse."""

import errno
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from exit.errors import UserError
from exit.game import Game
from exit.solve import (
    Table,
    exact_moves_of_keys,
    load_or_solve,
    load_table,
    save_table,
    solve,
    summary,
    table_directory,
    unfinished_keys,
)
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.solver_games import LongKeys


@dataclass(frozen=True)
class NewRules(TicTacToe):
    version = 2


@pytest.fixture(scope="module")
def tic_tac_toe() -> Table:
    return solve(TicTacToe())


def test_a_stored_table_is_the_same_table(tic_tac_toe: Table, tmp_path: Path) -> None:
    stored = save_table(tic_tac_toe, tmp_path / "table")
    loaded = load_table(TicTacToe(), tmp_path / "table")
    assert summary(loaded) == summary(stored) == {**summary(tic_tac_toe), "table": str(tmp_path / "table")}
    for name in ("keys", "values", "terminal", "optimal"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(tic_tac_toe, name))
    keys = unfinished_keys(tic_tac_toe)
    assert exact_moves_of_keys(loaded, keys).critical.sum() == 3191


def test_keys_of_three_words_are_stored_too(tmp_path: Path) -> None:
    table = save_table(solve(LongKeys()), tmp_path)
    assert (load_table(LongKeys(), tmp_path).keys == table.keys).all()


def test_storing_again_leaves_one_table(tic_tac_toe: Table, tmp_path: Path) -> None:
    save_table(solve(LongKeys()), tmp_path)
    save_table(tic_tac_toe, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert load_table(TicTacToe(), tmp_path).num_states == 5478


@pytest.mark.parametrize("name", ["keys", "values", "optimal", "meta"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
def test_damaged_tables_are_refused(tic_tac_toe: Table, tmp_path: Path, name: str, damage: str) -> None:
    save_table(tic_tac_toe, tmp_path)
    (path,) = tmp_path.glob(f"{name}.*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-1])
        case "flip":
            path.write_bytes(content)
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
    with pytest.raises(UserError, match="xit solve tic_tac_toe") as refusal:
        load_table(TicTacToe(), tmp_path)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize(
    ("game", "reason"),
    [
        (NewRules(), "has version 1, expected 2"),
        (Nim((3, 4, 5)), "has game 'tic_tac_toe', expected 'nim_3_4_5'"),
        (LongKeys(), "has rules"),
    ],
)
def test_tables_of_other_rules_are_refused(
    tic_tac_toe: Table, tmp_path: Path, game: Game, reason: str
) -> None:
    save_table(tic_tac_toe, tmp_path)
    with pytest.raises(UserError, match=reason):
        load_table(game, tmp_path)


def test_what_observations_show_is_no_part_of_the_rules(tmp_path: Path) -> None:
    save_table(solve(ConnectFour(3, 4, 3)), tmp_path)
    assert load_table(ConnectFour(3, 4, 3, threats=True), tmp_path).game.observation_shape == (3, 4, 4)


def test_tables_of_another_format_are_refused(
    tic_tac_toe: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_table(tic_tac_toe, tmp_path)
    monkeypatch.setattr("exit.solve.store.FORMAT", 99)
    with pytest.raises(UserError, match="has format 2, expected 99"):
        load_table(TicTacToe(), tmp_path)


def test_a_table_is_solved_once_and_again_when_damaged(tmp_path: Path) -> None:
    solved: list[str] = []
    warned: list[str] = []

    def load() -> Table:
        return load_or_solve(
            Nim((2, 3)),
            directory=tmp_path,
            progress_fn=lambda phase, layer, states: solved.append(phase),
            warn_fn=warned.append,
        )

    first = load()
    num_calls = len(solved)
    assert num_calls > 0
    assert summary(load()) == summary(first)
    assert (len(solved), warned) == (num_calls, [])

    (tmp_path / "meta.json").write_text(json.dumps({"table": {}, "digest": ""}))
    assert summary(load())["states"] == 12
    assert len(solved) == 2 * num_calls
    (warning,) = warned
    assert "is damaged" in warning
    assert load_table(Nim((2, 3)), tmp_path).states_by_ply == first.states_by_ply

    load_or_solve(Nim((2, 3)), directory=tmp_path, force=True, warn_fn=warned.append)
    assert len(warned) == 1


def test_a_table_that_cannot_be_kept_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    warned: list[str] = []
    table = load_or_solve(Nim((2, 3)), directory=tmp_path / "file" / "table", warn_fn=warned.append)
    assert (len(table.keys), table.directory, len(warned)) == (12, None, 1)
    assert "XIT_CACHE_DIR" in warned[0]


def test_a_full_disk_leaves_the_older_table_whole(
    tic_tac_toe: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_table(tic_tac_toe, tmp_path)
    before = sorted(tmp_path.iterdir())

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("exit.solve.columns.FileWriter.append", fail)
    warned: list[str] = []
    table = load_or_solve(TicTacToe(), directory=tmp_path, force=True, warn_fn=warned.append)
    assert table.directory is None
    assert "No space left on device" in warned[0]
    assert sorted(tmp_path.iterdir()) == before
    assert load_table(TicTacToe(), tmp_path).num_states == 5478


def test_tables_are_kept_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", "/own")
    assert table_directory(TicTacToe()) == Path("/own/tables/tic_tac_toe")
    monkeypatch.delenv("XIT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert table_directory(TicTacToe()) == Path("/shared/xit/tables/tic_tac_toe")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert table_directory(TicTacToe()) == Path.home() / ".cache/xit/tables/tic_tac_toe"
