"""Pictures: written whatever figures there are, and showing those that there are."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from exit.plots import diagnostic_panels, plot_bench, plot_training
from exit.report import Group


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[Axes]]:
    """The axes of every figure that is saved, in place of the files' pixels."""
    seen: list[list[Axes]] = []
    save = Figure.savefig

    def spy(figure: Figure, path: Path, **options: Any) -> None:
        seen.append(figure.axes)
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    return seen


def _labels(axis: Axes) -> dict[str, list[float]]:
    """The heights of each line by its label."""
    return {str(line.get_label()): np.asarray(line.get_ydata(), float).tolist() for line in axis.get_lines()}


def _report(iteration: int, **more: float | None) -> dict[str, float | None]:
    return {
        "iteration": iteration,
        "seconds": 60.0 * iteration,
        "policy_loss": 1.0,
        "value_loss": 0.5,
        **more,
    }


def test_mistakes_are_drawn_in_percent_over_minutes(tmp_path: Path, drawn: list[list[Axes]]) -> None:
    rows = [
        _report(2, reflex_mistake_rate=0.5, search_mistake_rate=0.25),
        _report(4, reflex_mistake_rate=None),
        _report(6, reflex_mistake_rate=0.125, search_mistake_rate=0.0),
    ]
    path = plot_training(rows, tmp_path / "new" / "training.png", title="a run")
    assert path.read_bytes().startswith(b"\x89PNG")
    mistakes, losses = drawn[0]
    assert _labels(mistakes) == {"reflex (budget 0)": [50.0, 12.5], "search": [25.0, 0.0]}
    assert _labels(losses)["policy loss (nats)"] == [1.0, 1.0, 1.0]
    assert losses.get_xlabel() == "training time (min)"
    assert np.asarray(losses.get_lines()[0].get_xdata(), float).tolist() == [2.0, 4.0, 6.0]


def test_regret_is_drawn_at_the_reflex_and_three_budgets(tmp_path: Path, drawn: list[list[Axes]]) -> None:
    looks = (0, 1, 2, 4, 8, 16, 32)
    rows = [
        _report(i, amortized_depth=depth, **{f"regret_at_{look}": i / (1 + look) for look in looks})
        for i, depth in ((1, None), (2, 3.0))
    ]
    plot_training(rows, tmp_path / "training.png", title="a run")
    regrets, depth, _ = drawn[0]
    assert _labels(regrets) == {
        "reflex (budget 0)": [1.0, 2.0],
        "2 simulations": [1 / 3, 2 / 3],
        "8 simulations": [1 / 9, 2 / 9],
        "32 simulations": [1 / 33, 2 / 33],
    }
    assert list(_labels(depth).values()) == [[3.0]]


def test_what_old_weights_played_is_drawn_by_age(tmp_path: Path, drawn: list[list[Axes]]) -> None:
    ages = {f"stale_residual_at_age_{age}": 0.1 * (1 + age) for age in (0, 1, 2, 4)}
    rows = [_report(1, stale_residual=0.3), _report(2, stale_residual=0.2, **ages)]
    plot_training(rows, tmp_path / "training.png", title="a run")
    stale, _ = drawn[0]
    assert _labels(stale) == {
        "any age of weights": [0.3, 0.2],
        "age 1": [0.2],
        "age 2 to 3": [pytest.approx(0.3)],
        "age 4 to 7": [0.5],
    }


def test_the_page_of_a_fleets_run_shows_what_its_old_weights_played() -> None:
    def shown(*rows: dict[str, float | None]) -> list[str]:
        group = Group("a setting", "a setting", (Path("run"),), (tuple(rows),))
        return [panel.says for panel in diagnostic_panels([group])]

    alone, fleet = shown(_report(1)), shown(_report(1, stale_residual=0.2, weights_age=3.0))
    assert set(fleet) - set(alone) == {
        "age of the weights that played (iterations) over training time",
        "residual of what they played over training time",
    }


@pytest.mark.parametrize("rows", [[], [_report(1), _report(2)]])
def test_a_run_without_exact_values_shows_its_losses_alone(
    rows: list[dict[str, float | None]], tmp_path: Path, drawn: list[list[Axes]]
) -> None:
    plot_training(rows, tmp_path / "training.png", title="a run")
    (losses,) = drawn[0]
    assert losses.get_ylabel() == "loss"
    assert len(_labels(losses)) == (2 if rows else 0)


def test_budgets_are_drawn_in_order_with_their_intervals(tmp_path: Path, drawn: list[list[Axes]]) -> None:
    def row(budget: int, regret: float, interval: list[float] | None) -> dict[str, Any]:
        rates = {"mistake_rate": regret / 2, "critical_mistake_rate": regret}
        bins = [{"from": 0.0, "to": 1.0, "count": 3, "claimed": 0.75, "true": regret}]
        plies = [
            {"ply": ply, "critical": ply, "critical_mistake_rate": regret / (1 + ply), "ci95": {}}
            for ply in range(3)
        ]
        return {
            "budget": budget,
            "mean_regret": regret,
            **rates,
            "ci95": {"mean_regret": interval},
            "calibration": {"value": bins, "policy": []},
            "by_ply": plies,
        }

    stretches = [
        {"from": 0, "to": 1, "regret_removed": 0.5, "regret_added": 0.0},
        {"from": 1, "to": 16, "regret_removed": 0.0, "regret_added": 0.25},
    ]
    bench = {
        "budgets": [row(16, 0.25, None), row(4, 1.0, None), row(0, 0.5, [0.25, 0.75])],
        "overrides": {"simulations": stretches},
    }
    plot_bench(bench, tmp_path / "bench.png", title="a game")
    regret, mistakes, plies, value, _, overrides = drawn[0]
    assert _labels(regret) == {"all positions": [0.5, 1.0, 0.25]}
    assert _labels(mistakes) == {
        "all positions": [25.0, 50.0, 12.5],
        "critical positions": [50.0, 100.0, 25.0],
    }
    # Least and greatest budget side by side, plies without a critical position left out.
    assert _labels(plies) == {
        "budget 0": pytest.approx([25.0, 50 / 3]),
        "budget 16": pytest.approx([12.5, 25 / 3]),
    }
    dots = [np.asarray(dot.get_offsets()).tolist() for dot in value.collections]
    assert dots == [[[0.75, 0.5]], [[0.75, 0.25]]]
    assert [bar.get_height() for bar in overrides.patches if isinstance(bar, Rectangle)] == [
        -0.5,
        0.0,
        0.0,
        0.25,
    ]
    band = np.asarray(regret.collections[0].get_paths()[0].vertices)
    assert np.unique(band[:, 1]).tolist() == [0.25, 0.75, 1.0]


def test_no_figure_stays_open(tmp_path: Path) -> None:
    plot_training([], tmp_path / "training.png", title="a run")
    assert plt.get_fignums() == []
