"""The benchmark of settings of training: what an arm is, and what its figures say."""

import argparse
from typing import Any

import pytest

from benchmarks.ablation import arm_of, arms_of, compare, run
from exit.search import SearchConfig
from tests.tiny import tiny_config


def test_an_arm_is_a_name_and_settings() -> None:
    assert arm_of("base") == ("base", ())
    text = "again:reanalysis.num_positions=8,reanalysis.priority=age"
    assert arm_of(text) == ("again", ("reanalysis.num_positions=8", "reanalysis.priority=age"))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([":seed=1"], "bad arm ':seed=1': it has no name; write NAME"),
        (["a:seed"], "'seed' is no setting; write NAME, or NAME:learner.focus=0.5"),
        (["a:=1"], "'=1' is no setting"),
        (["a", "b", "a:seed=1"], "two arms are called 'a'; give every arm a name of its own"),
    ],
)
def test_senseless_arms_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        arms_of(texts)
    assert message in str(caught.value)


def _run(arm: str, seed: int, *figures: tuple[float, int]) -> dict[str, Any]:
    return {
        "arm": arm,
        "seed": seed,
        "rows": [{"cpu_seconds": cpu, "mistakes": mistakes} for cpu, mistakes in figures],
    }


def test_arms_are_held_against_the_first_seed_by_seed() -> None:
    runs = [
        _run("base", 0, (10, 50), (20, 9)),
        _run("new", 0, (20, 29), (40, 4)),
        _run("base", 1, (10, 60), (20, 19)),
        _run("new", 1, (15, 19), (30, 0)),
        _run("new", 2, (15, 1), (30, 0)),
    ]
    base, new = compare(runs)
    assert base["mistakes_ratio"] == base["cpu_ratio"] == base["times_faster"] == [1.0, 1.0, 1.0]
    assert new["seeds"] == 2
    assert new["mistakes"] == [4, 0]
    assert new["mistakes_ratio"] == pytest.approx([(0.5 * 0.05) ** 0.5, 0.05, 0.5])
    assert new["cpu_ratio"] == pytest.approx([3**0.5, 1.5, 2])
    # 9 mistakes are reached four fifths of the way from 20 to 40 seconds, and 19 after 15.
    sooner = [20 / 36, 20 / 15]
    assert new["times_faster"] == pytest.approx([(sooner[0] * sooner[1]) ** 0.5, *sooner])


def test_an_arm_that_never_gets_there_is_no_faster() -> None:
    _, new = compare([_run("base", 0, (10, 5)), _run("new", 0, (10, 50), (20, 6))])
    assert new["times_faster"] is None


def test_a_run_is_measured_along_its_way_over_all_states() -> None:
    config = tiny_config(search=SearchConfig(max_simulations=2))
    rows = list(run(config, 2))
    assert [row["iteration"] for row in rows] == [2, 4]
    assert all(row["critical"] == 3191 for row in rows)
    assert all(0 < row["mistakes"] < 3191 for row in rows)
    assert 0 < rows[0]["cpu_seconds"] < rows[1]["cpu_seconds"]
