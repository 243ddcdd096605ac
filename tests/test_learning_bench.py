"""When an arm of the learning benchmark stops."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from exit.evaluate import critical_sample
from exit.solve import exact_of
from games.tic_tac_toe import TicTacToe

ARM = "tic_tac_toe:num_iterations=3,self_play.num_games=32"


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    return importlib.import_module("learning")


def test_an_arm_stops_once_it_was_as_good_on_every_set(learning: ModuleType):
    yardstick = critical_sample(exact_of(TicTacToe()), 10_000)
    sets = {"random": yardstick, "strong": yardstick}

    def iterations(goals: dict[str, float]) -> int:
        return [row["iterations"] for row in learning.run(ARM, 0, 600.0, sets, goals)][-1]

    assert iterations({"random": 1.0, "strong": 1.0}) == 1
    assert iterations({"random": 1.0, "strong": -1.0}) == 3
    assert iterations({}) == 3
