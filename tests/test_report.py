"""Runs side by side: seeds of one setting together, curves over what all of them reported."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from exit.catalog import with_overrides
from exit.cli import run
from exit.errors import UsageError
from exit.report import groups_of
from exit.rundir import claim
from tests.tiny import tiny_config

Captured = pytest.CaptureFixture[str]


def _run_of(folder: Path, overrides: tuple[str, ...], rows: list[dict[str, float | None]]) -> Path:
    """A run directory that holds these reports."""
    config = with_overrides(tiny_config(), overrides)
    with claim(folder, config, config_name="tiny", overrides=overrides):
        pass
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def run_dirs(tmp_path: Path) -> list[Path]:
    def rows(rates: list[float | None], seconds: float) -> list[dict[str, float | None]]:
        return [
            {"iteration": 10 * (n + 1), "seconds": seconds * (n + 1), "reflex_mistake_rate": rate}
            for n, rate in enumerate(rates)
        ]

    return [
        _run_of(tmp_path / "a", ("seed=1", "network.width=8"), rows([0.5, 0.3, 0.1], 10.0)),
        _run_of(tmp_path / "b", (), rows([None, None], 10.0)),
        _run_of(tmp_path / "c", ("network.width=8", "seed=2"), rows([0.7, None, 0.2, 0.1], 20.0)),
    ]


def test_seeds_of_one_setting_are_one_curve(run_dirs: list[Path]) -> None:
    wide, plain = groups_of(run_dirs)
    assert (wide.name, plain.name) == ("tiny network.width=8", "tiny")
    assert (wide.label, plain.label) == ("tiny network.width=8", "tiny")
    assert wide.run_dirs == (run_dirs[0], run_dirs[2])
    curve = wide.curve("reflex_mistake_rate")
    assert curve is not None
    # The second run has no figure at 20, the first none at 40.
    np.testing.assert_array_equal(curve.iteration, [10, 30])
    np.testing.assert_allclose(curve.seconds, [15, 45])
    np.testing.assert_allclose(curve.mean, [0.6, 0.15])
    np.testing.assert_allclose(curve.low, [0.5, 0.1])
    np.testing.assert_allclose(curve.high, [0.7, 0.2])
    assert plain.curve("reflex_mistake_rate") is None
    assert [row["reflex_mistake_rate"] for row in wide.last()] == [0.1, 0.1]


def test_where_a_run_stands_is_its_last_report_alone(tmp_path: Path) -> None:
    depths = (4.0, 2.0, None)
    rows = [{"iteration": n, "seconds": 1.0, "amortized_depth": depth} for n, depth in enumerate(depths)]
    (group,) = groups_of([_run_of(tmp_path / "a", (), rows)])
    assert group.last() == [{"iteration": 2, "seconds": 1.0}]


def test_what_all_settings_share_is_not_said_of_each(tmp_path: Path) -> None:
    rows = [{"iteration": 1, "seconds": 1.0}]
    settings = [("seed=1", "num_iterations=9", f"network.width={width}") for width in (8, 16)]
    run_dirs = [_run_of(tmp_path / words[2], words, rows) for words in settings]
    assert [group.label for group in groups_of(run_dirs)] == ["tiny network.width=8", "tiny network.width=16"]
    (alone,) = groups_of(run_dirs[:1])
    assert alone.label == alone.name == "tiny num_iterations=9 network.width=8"


def test_the_command_shows_each_setting_and_draws(
    run_dirs: list[Path], tmp_path: Path, capsys: Captured
) -> None:
    picture, figures = tmp_path / "curves.png", tmp_path / "figures.json"
    arguments = ["report", *map(str, run_dirs), "--out", str(picture), "--json", str(figures)]
    assert run(arguments) == 0
    assert "10.00%" in " ".join(capsys.readouterr().out.split())
    assert picture.read_bytes().startswith(b"\x89PNG")
    groups = json.loads(figures.read_text())["groups"]
    assert [len(group["runs"]) for group in groups] == [2, 1]


def test_a_run_counts_once_and_its_copy_is_no_other_seed(
    run_dirs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (group,) = groups_of([Path("b/../a"), run_dirs[2], run_dirs[0]])
    assert group.run_dirs == (Path("b/../a"), run_dirs[2])
    copy = shutil.copytree(run_dirs[0], tmp_path / "copy")
    with pytest.raises(UsageError, match=r"a and .*copy are runs of the same settings, seed and commit"):
        groups_of([run_dirs[0], copy])
    # Of another commit it is another run, and no seed either.
    described = json.loads((copy / "config.json").read_text()) | {"commit": "other"}
    (copy / "config.json").write_text(json.dumps(described))
    before, after = groups_of([run_dirs[0], copy])
    assert (len(before.run_dirs), len(after.run_dirs)) == (1, 1)
    assert "commit=other" in after.label


def test_a_picture_of_no_kind_is_refused_before_the_work(run_dirs: list[Path], capsys: Captured) -> None:
    for command in "report", "frontier":
        assert run([command, str(run_dirs[0]), "--out", "curves.txt"]) == 2
        assert "'curves.txt' must end in one of .png, .svg, .pdf" in capsys.readouterr().err


def test_what_holds_no_reports_is_named(run_dirs: list[Path], tmp_path: Path, capsys: Captured) -> None:
    (run_dirs[1] / "metrics.jsonl").write_text("")
    with pytest.raises(UsageError, match="b has not reported yet"):
        groups_of(run_dirs)
    assert run(["report", str(tmp_path)]) == 2
    assert f"is no run itself, but {run_dirs[0].name} in it is one (of 3)" in capsys.readouterr().err
    assert run(["report", str(tmp_path / "a" / "nothing")]) == 2
    assert "holds no run (no config.json)" in capsys.readouterr().err
