"""Run directories: whose they are, and every way in which one must not be trained in."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exit.errors import UsageError, UserError
from exit.network import ConvConfig
from exit.rundir import RunInfo, claim, read_info, require_settings
from games.nim import Nim
from tests.tiny import contents, tiny_config, train_tiny

CONFIG = tiny_config()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run that has something to lose, though nobody trained it."""
    run_dir = tmp_path / "run"
    with claim(run_dir, CONFIG, config_name="tiny", overrides=()):
        (run_dir / "checkpoints" / "4").mkdir(parents=True)
        (run_dir / "checkpoints" / "4" / "weights").write_bytes(b"dear")
    return run_dir


def test_a_run_tells_where_it_comes_from(tmp_path: Path) -> None:
    with claim(tmp_path, CONFIG, config_name="tiny", overrides=("seed=0",)):
        info = read_info(tmp_path)
    assert (info.config_name, info.overrides) == ("tiny", ("seed=0",))
    assert info.settings["self_play.num_games"] == 4
    assert info.settings["game.name"] == "tic_tac_toe"


def test_another_configuration_is_refused_by_the_setting_that_differs(run_dir: Path) -> None:
    before = contents(run_dir)
    other = replace(CONFIG, learner=replace(CONFIG.learner, learning_rate=0.5))
    with pytest.raises(UsageError, match=r"learner\.learning_rate=0\.002, not 0\.5.*another --run-dir"):
        train_tiny(run_dir, other)
    with pytest.raises(
        UsageError, match=r"game\.name=tic_tac_toe, not nim_3_4_5|game\.type=TicTacToe, not Nim"
    ):
        train_tiny(run_dir, replace(CONFIG, game=Nim()))
    assert contents(run_dir) == before


def test_a_setting_that_is_none_is_like_one_that_was_not_there_yet(tmp_path: Path) -> None:
    with claim(tmp_path, CONFIG, config_name="tiny", overrides=()):
        info = read_info(tmp_path)

    def without(path: str) -> RunInfo:
        return info._replace(settings={name: info.settings[name] for name in info.settings if name != path})

    assert info.settings["network.hidden"] is None
    require_settings(tmp_path, without("network.hidden"), CONFIG)
    with pytest.raises(UsageError, match=r"another version of xit .*\(network\.width is not in both\)"):
        require_settings(tmp_path, without("network.width"), CONFIG)


def _described(run_dir: Path, **changes: Any) -> str:
    return json.dumps(json.loads((run_dir / "config.json").read_text()) | changes)


@pytest.mark.parametrize(
    ("description_fn", "message"),
    [
        (lambda run_dir: _described(run_dir, format=2), "another version of xit"),
        (lambda run_dir: '{"format": 3, "name": "told in other words"}', "another version of xit"),
        (lambda run_dir: _described(run_dir, settings=None), "damaged"),
        (lambda run_dir: _described(run_dir, settings=[]), "damaged"),
        (lambda run_dir: _described(run_dir, overrides="seed=1"), "damaged"),
        (lambda run_dir: _described(run_dir)[:-40], "damaged"),
        (lambda run_dir: "", "damaged"),
        (lambda run_dir: "[]", "damaged"),
        (lambda run_dir: "{}", "damaged"),
        (lambda run_dir: "\x00" * 100, "damaged"),
    ],
)
def test_a_description_that_cannot_be_read_is_refused(
    run_dir: Path, description_fn: Callable[[Path], str], message: str
) -> None:
    (run_dir / "config.json").write_text(description_fn(run_dir))
    before = contents(run_dir)
    with pytest.raises(UsageError, match=message) as caught:
        train_tiny(run_dir)
    assert str(run_dir) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(run_dir) == before


def test_what_was_meant_is_named(run_dir: Path, tmp_path: Path) -> None:
    run_dir = run_dir.rename(tmp_path / "tic_tac_toe")
    with pytest.raises(UsageError, match=r"is no run itself, but tic_tac_toe in it is one \(of 1\)"):
        read_info(tmp_path)
    with pytest.raises(UsageError, match=r"tic_tac_to holds no run .*; did you mean 'tic_tac_toe'\?"):
        read_info(tmp_path / "tic_tac_to")
    with pytest.raises(UsageError, match=r"config.json is no directory of a run; give one, or"):
        read_info(run_dir / "config.json")
    with pytest.raises(UsageError, match=r"othello_4 is an agent that comes with xit, without the run"):
        read_info(Path("othello_4"))


def test_a_run_is_found_where_runs_are(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    run_dir.rename(tmp_path / "runs" / "othello_4")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"othello_4 holds no run .*; did you mean runs/othello_4\?"):
        read_info(Path("othello_4"))


def test_checkpoints_without_a_description_are_not_taken_over(run_dir: Path) -> None:
    (run_dir / "config.json").unlink()
    before = contents(run_dir)
    with pytest.raises(UsageError, match=r"no config\.json"):
        train_tiny(run_dir)
    assert contents(run_dir) == before


def test_what_cannot_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    config = tiny_config(game=Nim((1, 2)), network=ConvConfig(4, 1))
    with pytest.raises(UsageError, match="use MLPConfig"):
        train_tiny(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_a_run_that_has_nothing_to_lose_may_be_started_with_other_settings(tmp_path: Path) -> None:
    other = tiny_config(seed=5)
    with claim(tmp_path, CONFIG, config_name="tiny", overrides=()):
        (tmp_path / "metrics.jsonl").touch()
    with claim(tmp_path, other, config_name="tiny", overrides=("seed=5",)):
        assert read_info(tmp_path).settings["seed"] == 5


@pytest.mark.parametrize("path", ["file", "file/run"])
def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write in run directory .*--run-dir"):
        train_tiny(tmp_path / path)
    assert contents(tmp_path) == {"file": b"in the way"}


def test_a_second_process_in_the_directory_is_refused(run_dir: Path) -> None:
    with claim(run_dir, CONFIG, config_name="tiny", overrides=()):
        before = contents(run_dir)
        with pytest.raises(UserError, match=r"another process trains in .*--run-dir"):
            train_tiny(run_dir)
        assert contents(run_dir) == before
    with claim(run_dir, CONFIG, config_name="tiny", overrides=()):
        assert contents(run_dir) == before
