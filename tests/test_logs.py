"""Reports of a run on disk."""

import json
import math
from pathlib import Path

import pytest

from exit.errors import UserError
from exit.logs import open_metrics, read_metrics


def _run(run_dir: Path, first: int, last: int) -> None:
    writer = open_metrics(run_dir, first - 1)
    for iteration in range(first, last + 1):
        writer.write({"iteration": iteration, "value_loss": iteration / 8, "search_mistake_rate": None})
    writer.close()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    _run(tmp_path, 1, 3)
    assert [row["iteration"] for row in read_metrics(tmp_path)] == [1, 2, 3]
    assert read_metrics(tmp_path)[1] == {"iteration": 2, "value_loss": 0.25, "search_mistake_rate": None}
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_resumed_run_leaves_the_file_of_an_uninterrupted_one(tmp_path: Path) -> None:
    _run(tmp_path / "whole", 1, 4)
    _run(tmp_path / "resumed", 1, 3)
    _run(tmp_path / "resumed", 3, 4)
    whole, resumed = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "resumed"))
    assert whole == resumed


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    _run(tmp_path, 1, 2)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-20])
    assert [row["iteration"] for row in read_metrics(tmp_path)] == [1]
    _run(tmp_path, 2, 3)
    assert [row["iteration"] for row in read_metrics(tmp_path)] == [1, 2, 3]


def test_a_damaged_line_within_is_named(tmp_path: Path) -> None:
    _run(tmp_path, 1, 3)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text().replace('"iteration": 2', '"iteration" 2'))
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged in line 2"):
        read_metrics(tmp_path)


def test_figures_that_are_not_finite_leave_valid_json(tmp_path: Path) -> None:
    writer = open_metrics(tmp_path)
    writer.write({"iteration": 1, "value_loss": math.nan, "grad_norm": math.inf})
    writer.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {"iteration": 1, "value_loss": None, "grad_norm": None}


def test_tensorboard_does_not_complain_of_figures_that_are_not_finite(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = open_metrics(tmp_path)
    writer.write({"iteration": 1, "value_slope": math.nan, "grad_norm": math.inf, "entropy": 0.5})
    writer.close()
    assert caplog.messages == []


def test_a_run_that_has_not_reported_has_no_reports(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "absent") == []
