"""What an agent knows of itself, and what search made of the reflex, against figures worked out by hand."""

from typing import Any

import numpy as np
import pytest

from exit.evaluate import Decisions, Yardstick, measure, override_report
from exit.evaluate.figures import calibration
from exit.search import SearchResult
from exit.solve import ExactMoves

# Two moves in each of eight states: the first is right in the first four, both are in the last two.
_QVALUES = np.array([[1.0, -1.0]] * 4 + [[-1.0, 0.0]] * 2 + [[0.0, 0.0]] * 2)


def _moves() -> ExactMoves:
    values = _QVALUES.max(axis=1)
    return ExactMoves(values, _QVALUES, values[:, None] == _QVALUES, np.ones_like(_QVALUES, bool))


def _decisions(action: list[int], weight: list[float], value: list[float]) -> Decisions:
    columns = np.array(action), np.array(weight), np.array(value)
    return Decisions(*columns, num_simulations=np.zeros(len(action), int), seconds=1.0)


def test_calibration_sets_claims_beside_the_truth() -> None:
    claimed = [0.9, 0.9, 0.9, 0.5, -0.9, 0.01, 0.02, 0.03]
    found = calibration(
        _decisions([0, 0, 1, 0, 0, 1, 0, 1], [0.95, 0.95, 0.95, 0.55, 0.15, 0.15, 1.0, 1.0], claimed),
        _moves(),
    )
    assert [(row["count"], row["claimed"], row["true"]) for row in found["value"]] == [
        (1, pytest.approx(-0.9), 0.0),
        (3, pytest.approx(0.02), 0.0),
        (1, pytest.approx(0.5), 1.0),
        (3, pytest.approx(0.9), 1.0),
    ]
    assert found["value_error"] == pytest.approx((0.9 + 3 * 0.02 + 0.5 + 3 * 0.1) / 8)
    # States in which nothing can go wrong say nothing about how sure the agent may be.
    assert [(row["count"], row["claimed"], row["true"]) for row in found["policy"]] == [
        (2, pytest.approx(0.15), 0.5),
        (1, pytest.approx(0.55), 1.0),
        (3, pytest.approx(0.95), pytest.approx(2 / 3)),
    ]
    assert found["policy_error"] == pytest.approx((2 * 0.35 + 0.45 + 3 * (0.95 - 2 / 3)) / 6)


def test_claims_beyond_the_greatest_value_fall_into_the_last_bin() -> None:
    found = calibration(_decisions([0] * 8, [1.0] * 8, [3.0] * 4 + [-3.0] * 4), _moves())
    assert [(row["from"], row["count"]) for row in found["value"]] == [(-1.0, 4), (pytest.approx(0.8), 4)]


def test_critical_states_have_figures_of_their_own() -> None:
    row = measure(_decisions([1] * 8, [1.0] * 8, [0.0] * 8), _moves(), 0, exhaustive=False)
    assert (row["mistakes"], row["critical"]["mistakes"], row["critical"]["count"]) == (4, 4, 6)
    assert (row["mean_regret"], row["critical"]["mean_regret"]) == (1.0, pytest.approx(8 / 6))
    low, high = row["critical"]["ci95"]["mistake_rate"]
    assert low < 4 / 6 < high


def test_overrides_are_booked_where_they_happen() -> None:
    # State by state, the moves at 0, 1, 2, 4 and 5 simulations.
    lines = np.array(
        [
            [0, 0, 0, 0, 0],  # right all along
            [1, 1, 0, 0, 0],  # helped at 2
            [0, 1, 1, 1, 1],  # hurt at 1
            [1, 0, 1, 0, 0],  # helped, hurt, helped
            [0, 0, 0, 0, 1],  # helped at 5, by 1
            [1, 1, 1, 1, 1],
            [0, 1, 0, 1, 1],  # neither here nor there
            [0, 0, 0, 0, 0],
        ]
    )
    asked = []

    def curve(states: np.ndarray, budgets: np.ndarray) -> SearchResult:
        asked.append(budgets.tolist())
        empty: Any = dict.fromkeys(SearchResult._fields)
        return SearchResult(**empty | {"action": lines[states].T})

    found = override_report(curve, Yardstick(np.arange(8), _moves()), 5)
    assert asked == [[0, 1, 2, 4, 5]]
    columns = [
        (row["from"], row["to"], row["changed"], row["helped"], row["hurt"]) for row in found["simulations"]
    ]
    assert columns == [(0, 1, 3, 1, 1), (1, 2, 3, 1, 1), (2, 4, 2, 1, 0), (4, 5, 1, 1, 0)]
    assert (found["changed"], found["helped"], found["hurt"]) == (5, 3, 1)
    assert (found["regret_removed"], found["regret_added"]) == ((2 + 2 + 1) / 8, 2 / 8)
    net = sum(row["regret_removed"] - row["regret_added"] for row in found["simulations"])
    assert net == pytest.approx(found["regret_removed"] - found["regret_added"])
