"""The loop: continued runs end where they would have, and reports and checkpoints come when they should."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import exit.iteration as iteration_module
import exit.loop as loop_module
from exit.checkpoint import steps
from exit.diagnostics import PlayFigures
from exit.evaluate import EvaluationConfig
from exit.iteration import RunConfig, RunState, init_run, iterate
from exit.learner import LearnerMetrics
from exit.logs import read_metrics
from exit.loop import TrainingDiverged
from exit.reanalysis import ReanalysisConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from games.nim import Nim
from tests.planted import Dice
from tests.tiny import assert_same_bits, contents, saved_state, tiny_config, train_tiny

CONFIG = tiny_config()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four iterations without interruption."""
    run_dir = tmp_path_factory.mktemp("whole")
    train_tiny(run_dir)
    return run_dir


@pytest.fixture
def run_dir(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.parametrize("stops", [(2,), (1, 2, 3)], ids=["2 + 2", "1 + 1 + 1 + 1"])
def test_a_run_in_parts_ends_bit_for_bit_where_it_ends_in_one(
    whole: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    for stop in stops:
        train_tiny(tmp_path, stop_iteration=stop)
        assert steps(tmp_path)[-1] == stop
    train_tiny(tmp_path)
    assert steps(tmp_path) == steps(whole) == [2, 3, 4]
    for iteration in (2, 3, 4):
        assert_same_bits(saved_state(tmp_path, iteration), saved_state(whole, iteration))


def test_what_muon_carries_is_kept(tmp_path: Path) -> None:
    config = tiny_config(learner=replace(CONFIG.learner, optimizer="muon"), num_iterations=2)
    train_tiny(tmp_path / "whole", config)
    train_tiny(tmp_path / "parts", config, stop_iteration=1)
    train_tiny(tmp_path / "parts", config)
    parts, whole = (saved_state(tmp_path / name, 2, config) for name in ("parts", "whole"))
    assert_same_bits(parts, whole)


def test_a_run_that_is_told_to_stop_keeps_what_it_has_done(whole: Path, tmp_path: Path) -> None:
    asked: list[None] = []

    def stop_fn() -> bool:
        asked.append(None)
        return len(asked) == 1

    # Where it would not have kept a checkpoint.
    config = replace(CONFIG, checkpoint_every=4)
    assert [row["iteration"] for row in train_tiny(tmp_path, config, stop_fn=stop_fn)] == [1]
    assert steps(tmp_path) == [1]
    train_tiny(tmp_path, config)
    assert_same_bits(saved_state(tmp_path, 4, config), saved_state(whole, 4))


def test_runs_that_play_alike_share_what_is_compiled_for_it() -> None:
    config = replace(CONFIG, self_play=replace(CONFIG.self_play, sample_fraction=0.5))
    programs = iteration_module._play
    iterate(init_run(config), config=config)
    before = programs.num_programs()
    other = replace(
        config, seed=7, num_iterations=9, learner=replace(config.learner, learning_rate=1e-3), report_every=3
    )
    iterate(init_run(other), config=other)
    assert programs.num_programs() == before
    drawn = replace(config, self_play=replace(config.self_play, sample_fraction=0.75))
    iterate(init_run(drawn), config=drawn)
    assert programs.num_programs() == before + 1


def test_the_share_of_returns_moves_over_the_run() -> None:
    def targets(config: RunConfig, iteration: int) -> np.ndarray:
        state = init_run(config)._replace(iteration=jnp.int32(iteration))
        return np.asarray(iterate(state, config=config)[0].replay.examples.value)

    moving = replace(CONFIG, return_weight=0.25, final_return_weight=1.0)
    last = CONFIG.num_iterations - 1
    found = []
    for iteration, share in ((0, 0.25), (last, 1.0)):
        found.append(targets(moving, iteration))
        np.testing.assert_array_equal(found[-1], targets(replace(CONFIG, return_weight=share), iteration))
    assert not np.array_equal(found[1], targets(replace(CONFIG, return_weight=0.25), last))


def test_a_checkpoint_holds_all_that_changes(whole: Path) -> None:
    before, after = saved_state(whole, 3), saved_state(whole, 4)
    state: RunState = after["run"]
    assert int(state.iteration) == 4
    assert int(state.learner.num_updates) == 4 * CONFIG.learner.num_updates
    assert int(state.replay.window) == 64
    assert_same_bits(after["acting"], state.learner.averaged_params)
    for part in ("params", "averaged_params", "optimizer_state"):
        pairs = zip(
            jax.tree.leaves(getattr(before["run"].learner, part)),
            jax.tree.leaves(getattr(state.learner, part)),
            strict=True,
        )
        assert any(not np.array_equal(old, new) for old, new in pairs), part


def test_games_are_played_by_the_averaged_parameters(whole: Path) -> None:
    """The parameters being trained may be anything: the games of the next iteration stay the same."""
    before, after = saved_state(whole, 3)["run"], saved_state(whole, 4)["run"]
    noisy = jax.tree.map(lambda leaf: leaf + 1, before.learner.params)
    state = before._replace(learner=before.learner._replace(params=noisy))
    found, _, _ = loop_module.iterate(jax.tree.map(jnp.asarray, state), config=CONFIG)
    for part in ("games", "replay"):
        assert_same_bits(jax.device_get(getattr(found, part)), getattr(after, part))
    changed = jax.tree.leaves(found.learner.params)[0]
    assert not np.array_equal(changed, jax.tree.leaves(after.learner.params)[0])


def test_the_seed_decides_the_result(whole: Path, tmp_path: Path) -> None:
    other = replace(CONFIG, seed=1)
    train_tiny(tmp_path, other)
    pairs = zip(
        *(
            jax.tree.leaves(state["acting"])
            for state in (saved_state(whole, 4), saved_state(tmp_path, 4, other))
        ),
        strict=True,
    )
    assert sum(not np.array_equal(one, another) for one, another in pairs) > 5


def test_each_report_has_one_row_however_often_the_run_was_interrupted(whole: Path, run_dir: Path) -> None:
    """The last checkpoint is lost after its report was written, as by a kill between the two."""
    shutil.rmtree(run_dir / "checkpoints" / "4")
    reports = train_tiny(run_dir)
    assert [row["iteration"] for row in reports] == [4]
    rows, expected = read_metrics(run_dir), read_metrics(whole)
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4]
    timed = {"seconds", "seconds_left", "positions_per_second"}
    for row, other in zip(rows, expected, strict=True):
        assert {name: value for name, value in row.items() if name not in timed} == {
            name: value for name, value in other.items() if name not in timed
        }
    seconds = [float(row["seconds"] or 0) for row in rows]
    assert seconds == sorted(seconds)


def _figure(row: Mapping[str, float | int | None], name: str) -> float:
    """A figure that must have been measured."""
    figure = row[name]
    assert figure is not None, name
    return figure


def test_the_figures_are_what_their_names_say(whole: Path) -> None:
    rows = read_metrics(whole)
    assert [row["positions"] for row in rows] == [16, 32, 48, 64]
    assert [row["replay_size"] for row in rows] == [16, 32, 48, 64]
    assert [row["target_age"] for row in rows] == [0, 0.5, 1, 1.5]
    assert all(0 < _figure(row, "replay_proven") < 1 for row in rows)
    for row in rows:
        assert row["num_iterations"] == 4
        assert row["reflex_mistake_rate"] is None
        assert 0 <= _figure(row, "entropy") <= np.log(9)
        assert _figure(row, "simulations") <= 2
        for name in ("top_weight", "overridden", "proven"):
            assert 0 <= _figure(row, name) <= 1, name
        for name in ("policy_loss", "value_loss", "grad_norm", "learning_rate", "positions_per_second"):
            assert _figure(row, name) >= 0, name
        assert 0 < _figure(row, "update_ratio") < 1
    assert rows[-1]["seconds_left"] == 0


def test_a_finished_run_is_left_as_it_is(run_dir: Path) -> None:
    before = contents(run_dir / "checkpoints")
    rows = read_metrics(run_dir)
    assert train_tiny(run_dir) == []
    assert contents(run_dir / "checkpoints") == before
    assert read_metrics(run_dir) == rows


def _cheap_iteration(losses: Callable[[int], float]) -> Any:
    """An iteration that does nothing but count and report a loss."""

    def iterate(state: RunState, *, config: RunConfig) -> tuple[RunState, Any, Any]:
        state = state._replace(iteration=state.iteration + 1)
        loss = losses(int(state.iteration))
        others = [jnp.float32(0.1)] * (len(LearnerMetrics._fields) - 1)
        played = PlayFigures(*[jnp.float32(0.5)] * len(PlayFigures._fields))
        return state, LearnerMetrics(jnp.float32(loss), *others), played

    return iterate


def test_reports_and_checkpoints_come_as_often_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "iterate", _cheap_iteration(lambda iteration: 0.5))
    config = replace(CONFIG, num_iterations=11, report_every=4, checkpoint_every=3, keep_checkpoints=2)
    reports = train_tiny(tmp_path, config)
    # Every checkpoint has a report of its iteration, so that a continued run knows its time.
    assert [row["iteration"] for row in reports] == [3, 4, 6, 8, 9, 11]
    assert steps(tmp_path) == [9, 11]


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_diverged_run_stops_with_its_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    monkeypatch.setattr(
        loop_module, "iterate", _cheap_iteration(lambda iteration: loss if iteration == 3 else 0.5)
    )
    with pytest.raises(
        TrainingDiverged, match=r"iteration 3 .*learner\.learning_rate below 0\.002"
    ) as caught:
        train_tiny(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert steps(tmp_path) == [1, 2]
    assert int(saved_state(tmp_path, 2)["run"].iteration) == 2
    assert [row["iteration"] for row in read_metrics(tmp_path)] == [1, 2]


def test_a_damaged_checkpoint_costs_only_its_iterations(whole: Path, run_dir: Path) -> None:
    for path in (run_dir / "checkpoints" / "4").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    warnings: list[str] = []
    train_tiny(run_dir, warn_fn=warnings.append)
    assert len(warnings) == 1
    assert_same_bits(saved_state(run_dir, 4), saved_state(whole, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_iterations": 0}, "num_iterations is 0"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"return_weight": 1.5}, "return_weight is 1.5"),
        ({"final_return_weight": -0.5}, "final_return_weight is -0.5"),
        ({"replay": ReplayConfig(capacity=70)}, r"replay\.capacity is 70.*multiple of the 16"),
        ({"reanalysis": ReanalysisConfig(budget=5)}, r"reanalysis\.budget is 5; it must be in \[0, 4\]"),
        ({"search": SearchConfig(max_simulations=1)}, r"self_play\.budget is 2.*search\.max_simulations"),
    ],
)
def test_a_senseless_configuration_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)


def test_a_game_in_which_nothing_can_go_wrong_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(loop_module, "iterate", _cheap_iteration(lambda iteration: 0.5))
    config = replace(CONFIG, game=Nim((1, 1)), evaluation=EvaluationConfig(budget=2))
    for row in train_tiny(tmp_path / "run", config):
        assert (row["reflex_mistake_rate"], row["search_mistake_rate"]) == (None, None)


@pytest.mark.slow
def test_a_game_of_chance_is_trained_and_measured_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))
    config = tiny_config(
        game=Dice(), evaluation=EvaluationConfig(num_positions=16, budget=4), num_iterations=2
    )
    reports = train_tiny(tmp_path / "run", config)
    assert [row["iteration"] for row in reports] == [1, 2]
    for row in reports:
        assert np.isfinite([row["policy_loss"], row["value_loss"]]).all()
        assert 0 <= row["search_mistake_rate"] <= row["reflex_mistake_rate"] <= 1
