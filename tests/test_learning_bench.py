"""The learning benchmark: when an arm stops, and what it is compared by."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

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


def test_arms_are_compared_by_when_they_were_first_as_good_as_the_peer_in_the_end_and_at_best(
    learning: ModuleType,
):
    def run_of(arm: str, seed: int, **rates: float) -> dict[str, Any]:
        rows = [
            {"cpu_seconds": float(seconds[1:])} | dict.fromkeys(("random", "strong", "astray"), rate)
            for seconds, rate in rates.items()
        ]
        return {"arm": arm, "seed": seed, "rows": rows}

    runs = [
        run_of("pgx", 0, s0=0.2, s10=0.5, s20=0.3, s30=0.4),
        run_of("ours", 0, s0=0.1, s2=0.4, s4=0.3),
        run_of("worse", 0, s0=0.7, s2=0.35),
        run_of("alone", 1, s0=0.7, s2=0.1),
    ]
    found = {
        (row["arm"], row["which"]): (
            row["peer_rate"],
            row["peer_cpu_seconds"],
            row["cpu_seconds"],
            row["times_faster"],
        )
        for row in learning._compare(runs)
        if row["set"] == "strong"
    }
    # An untrained network may be good by chance: what counts is what was learnt.
    assert found == {
        ("ours", "last"): (0.4, 20.0, 2.0, 10.0),
        ("ours", "lowest"): (0.3, 20.0, 4.0, 5.0),
        ("worse", "last"): (0.4, 20.0, 2.0, 10.0),
        ("worse", "lowest"): (0.3, 20.0, None, None),
    }
    assert learning._rates_of_peer(runs, 0) == {"random": 0.3, "strong": 0.3, "astray": 0.3}
    assert learning._rates_of_peer(runs, 1) == {}
