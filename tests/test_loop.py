"""The loop: continued runs end where they would have, bad ones are refused, and what is learned is exact."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import exit.loop as loop_module
import exit.selfplay as selfplay_module
from exit.catalog import load_config, with_overrides
from exit.checkpoint import restore, steps
from exit.errors import UsageError, UserError
from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.logs import read_metrics
from exit.loop import RunConfig, RunState, TrainingDiverged, acting_template, init_run, train
from exit.network import ConvConfig, MLPConfig
from exit.replay import ReplayConfig
from exit.rundir import claim, read_info
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from exit.solve import save_table, table_directory
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.planted import Dice
from tests.tiny import assert_same_bits, contents, table_of, tiny_config

CONFIG = tiny_config()


def _train(run_dir: Path, config: RunConfig = CONFIG, **options: Any) -> list[dict[str, Any]]:
    """Train, and what was reported."""
    reports: list[dict[str, Any]] = []
    train(
        config,
        run_dir,
        config_name="tiny",
        report_fn=lambda figures: reports.append(dict(figures)),
        **options,
    )
    return reports


def _state(run_dir: Path, iteration: int, config: RunConfig = CONFIG) -> dict[str, Any]:
    """All that a checkpoint holds."""
    templates = {"run": jax.eval_shape(lambda: init_run(config)), "acting": acting_template(config)}
    return restore(run_dir, iteration, templates)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four iterations without interruption."""
    run_dir = tmp_path_factory.mktemp("whole")
    _train(run_dir)
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
        _train(tmp_path, stop_iteration=stop)
        assert steps(tmp_path)[-1] == stop
    _train(tmp_path)
    assert steps(tmp_path) == steps(whole) == [2, 3, 4]
    for iteration in (2, 3, 4):
        assert_same_bits(_state(tmp_path, iteration), _state(whole, iteration))


def test_a_checkpoint_holds_all_that_changes(whole: Path) -> None:
    before, after = _state(whole, 3), _state(whole, 4)
    state: RunState = after["run"]
    assert int(state.iteration) == 4
    assert int(state.learner.num_updates) == 4 * CONFIG.learner.num_updates
    assert int(state.replay.size) == 64
    assert_same_bits(after["acting"], state.learner.averaged_params)
    for part in ("params", "averaged_params", "optimizer_state"):
        pairs = zip(
            jax.tree.leaves(getattr(before["run"].learner, part)),
            jax.tree.leaves(getattr(state.learner, part)),
            strict=True,
        )
        assert any(not np.array_equal(old, new) for old, new in pairs), part


def test_the_seed_decides_the_result(whole: Path, tmp_path: Path) -> None:
    other = replace(CONFIG, seed=1)
    _train(tmp_path, other)
    pairs = zip(
        *(jax.tree.leaves(state["acting"]) for state in (_state(whole, 4), _state(tmp_path, 4, other))),
        strict=True,
    )
    assert sum(not np.array_equal(one, another) for one, another in pairs) > 5


def test_each_report_has_one_row_however_often_the_run_was_interrupted(whole: Path, run_dir: Path) -> None:
    """The last checkpoint is lost after its report was written, as by a kill between the two."""
    shutil.rmtree(run_dir / "checkpoints" / "4")
    reports = _train(run_dir)
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


def test_the_figures_are_what_their_names_say(whole: Path) -> None:
    rows = read_metrics(whole)
    assert [row["positions"] for row in rows] == [16, 32, 48, 64]
    assert [row["replay_size"] for row in rows] == [16, 32, 48, 64]
    for row in rows:
        assert row["num_iterations"] == 4
        assert row["reflex_mistake_rate"] is None
        assert 0 <= row["entropy"] <= np.log(9)  # pyright: ignore[reportOperatorIssue]
        for name in ("policy_loss", "value_loss", "grad_norm", "learning_rate", "positions_per_second"):
            assert row[name] >= 0, name  # pyright: ignore[reportOptionalOperand]
    assert rows[-1]["seconds_left"] == 0


def test_a_finished_run_is_left_as_it_is(run_dir: Path) -> None:
    before = contents(run_dir / "checkpoints")
    rows = read_metrics(run_dir)
    assert _train(run_dir) == []
    assert contents(run_dir / "checkpoints") == before
    assert read_metrics(run_dir) == rows


def test_a_run_tells_where_it_comes_from(tmp_path: Path) -> None:
    with claim(tmp_path, CONFIG, config_name="tiny", overrides=("seed=0",)):
        info = read_info(tmp_path)
    assert (info.config_name, info.overrides) == ("tiny", ("seed=0",))
    assert info.settings["self_play.num_games"] == 4
    assert info.settings["game.name"] == "tic_tac_toe"


def _cheap_iteration(losses: Callable[[int], float]) -> Any:
    """An iteration that does nothing but count and report a loss."""

    def iterate(state: RunState, *, config: RunConfig) -> tuple[RunState, Any, Any]:
        state = state._replace(iteration=state.iteration + 1)
        loss = losses(int(state.iteration))
        return state, loop_module.LearnerMetrics(loss, 0.1, 0.1, 0.1), 1.0  # pyright: ignore[reportArgumentType]

    return iterate


def test_reports_and_checkpoints_come_as_often_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "iterate", _cheap_iteration(lambda iteration: 0.5))
    config = replace(CONFIG, num_iterations=11, report_every=4, checkpoint_every=3, keep_checkpoints=2)
    reports = _train(tmp_path, config)
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
        _train(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert steps(tmp_path) == [1, 2]
    assert int(_state(tmp_path, 2)["run"].iteration) == 2
    assert [row["iteration"] for row in read_metrics(tmp_path)] == [1, 2]


def test_another_configuration_is_refused_by_the_setting_that_differs(run_dir: Path) -> None:
    before = contents(run_dir)
    other = replace(CONFIG, learner=replace(CONFIG.learner, learning_rate=0.5))
    with pytest.raises(UsageError, match=r"learner\.learning_rate=0\.002, not 0\.5.*another --run-dir"):
        _train(run_dir, other)
    with pytest.raises(
        UsageError, match=r"game\.name=tic_tac_toe, not nim_3_4_5|game\.type=TicTacToe, not Nim"
    ):
        _train(run_dir, replace(CONFIG, game=Nim()))
    assert contents(run_dir) == before


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
        _train(run_dir)
    assert str(run_dir) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(run_dir) == before


def test_checkpoints_without_a_description_are_not_taken_over(run_dir: Path) -> None:
    (run_dir / "config.json").unlink()
    before = contents(run_dir)
    with pytest.raises(UsageError, match=r"no config\.json"):
        _train(run_dir)
    assert contents(run_dir) == before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (tiny_config(game=Dice(), evaluation=EvaluationConfig(budget=2, exact=False)), "chance"),
        (tiny_config(game=Nim((1, 2)), network=ConvConfig(4, 1)), "use MLPConfig"),
    ],
    ids=["chance", "network"],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    config: RunConfig, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        _train(tmp_path / "run", config)
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
        _train(tmp_path / path)
    assert contents(tmp_path) == {"file": b"in the way"}


def test_a_second_process_in_the_directory_is_refused(run_dir: Path) -> None:
    with claim(run_dir, CONFIG, config_name="tiny", overrides=()):
        before = contents(run_dir)
        with pytest.raises(UserError, match=r"another process trains in .*--run-dir"):
            _train(run_dir)
        assert contents(run_dir) == before
    assert _train(run_dir) == []


def test_a_damaged_checkpoint_costs_only_its_iterations(whole: Path, run_dir: Path) -> None:
    for path in (run_dir / "checkpoints" / "4").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    warnings: list[str] = []
    _train(run_dir, warn_fn=warnings.append)
    assert len(warnings) == 1
    assert_same_bits(_state(run_dir, 4), _state(whole, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_iterations": 0}, "num_iterations is 0"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"return_weight": 1.5}, "return_weight is 1.5"),
        ({"replay": ReplayConfig(capacity=70)}, r"replay\.capacity is 70.*multiple of the 16"),
        ({"search": SearchConfig(max_simulations=1)}, r"self_play\.budget is 2.*search\.max_simulations"),
    ],
)
def test_a_senseless_configuration_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)


LEARNING = RunConfig(
    game=TicTacToe(),
    network=MLPConfig(width=64, num_blocks=1),
    search=SearchConfig(max_simulations=32),
    self_play=SelfPlayConfig(num_games=64, num_steps=8, budget=16, max_random_plies=8),
    replay=ReplayConfig(capacity=64 * 8 * 16),
    learner=LearnerConfig(batch_size=256, num_updates=16, learning_rate=5e-3),
    evaluation=EvaluationConfig(num_positions=1024, budget=32),
    num_iterations=28,
    report_every=14,
    checkpoint_every=28,
)


def _passes(figures: dict[str, Any]) -> bool:
    """The bar of the learning test: exact mistakes of 1,024 critical positions of tic-tac-toe."""
    return figures["reflex_mistake_rate"] < 0.04 and figures["search_mistake_rate"] < 0.02


@pytest.fixture
def _own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))
    save_table(table_of(TicTacToe()), table_directory(TicTacToe()))


@pytest.mark.slow
@pytest.mark.usefixtures("_own_tables")
def test_the_loop_learns_tic_tac_toe(tmp_path: Path) -> None:
    halfway, end = _train(tmp_path / "run", LEARNING)
    assert _passes(end)
    assert end["policy_loss"] < halfway["policy_loss"]


@pytest.mark.slow
@pytest.mark.usefixtures("_own_tables")
def test_the_same_loop_without_search_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Search is replaced by random legal moves; all else stays."""

    def random_moves(params: Any, rng_key: Any, state: Any, *_: Any, predict: Any, **__: Any) -> Any:
        game = TicTacToe()
        legal = jax.vmap(game.legal_actions)(state)
        action = jax.random.categorical(rng_key, jnp.where(legal, 0.0, -jnp.inf)).astype(jnp.int32)
        _, value = predict(params, jax.vmap(game.observe)(state))
        weights = jax.nn.one_hot(action, 9)
        return SimpleNamespace(action=action, action_weights=weights, value=value, prior=weights)

    monkeypatch.setattr(selfplay_module, "search", random_moves)
    # Another seed, so that no program compiled with search is used again.
    *_, end = _train(tmp_path / "run", replace(LEARNING, seed=1))
    assert not _passes(end)
    assert end["reflex_mistake_rate"] > 0.2


@pytest.mark.usefixtures("_own_tables")
def test_a_game_in_which_nothing_can_go_wrong_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "iterate", _cheap_iteration(lambda iteration: 0.5))
    config = replace(CONFIG, game=Nim((1, 1)), evaluation=EvaluationConfig(budget=2))
    for row in _train(tmp_path / "run", config):
        assert (row["reflex_mistake_rate"], row["search_mistake_rate"]) == (None, None)


# So small that a process spends its time on what a kill may hit: playing, learning and writing.
SETTINGS = (
    "num_iterations=40",
    "checkpoint_every=1",
    "report_every=2",
    "network.width=8",
    "network.num_blocks=0",
    "search.max_simulations=2",
    "self_play.num_games=4",
    "self_play.num_steps=4",
    "self_play.budget=2",
    "replay.capacity=64",
    "learner.batch_size=8",
    "learner.num_updates=1",
    "evaluation.budget=2",
    "evaluation.exact=false",
)


def _process(run_dir: Path, compiled: Path) -> subprocess.Popen[bytes]:
    """The command that trains; programs compiled by one process serve the next."""
    command = [sys.executable, "-m", "exit", "train", "tic_tac_toe", "--run-dir", str(run_dir)]
    for setting in SETTINGS:
        command += ["--set", setting]
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        command,
        cwd=Path(__file__).parent.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


@pytest.mark.slow
def test_a_killed_process_is_continued_to_the_same_bits(tmp_path: Path) -> None:
    """Killed twice, at a moment drawn anew in every run of the test; the benchmark does it more often."""
    whole, killed, compiled = tmp_path / "whole", tmp_path / "killed", tmp_path / "compiled"
    _finish(_process(whole, compiled))
    delay = np.random.default_rng()
    for reached in (5, 20):
        process = _process(killed, compiled)
        while (steps(killed) or [0])[-1] < reached:
            assert process.poll() is None, process.communicate()[1].decode()
            time.sleep(0.005)
        time.sleep(delay.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert reached <= steps(killed)[-1] < 40
    _finish(_process(killed, compiled))
    assert steps(killed) == steps(whole)
    for name, content in _arrays(killed).items():
        np.testing.assert_array_equal(content, _arrays(whole)[name], err_msg=name)
    assert [row["iteration"] for row in read_metrics(killed)] == list(range(1, 41))


def _arrays(run_dir: Path) -> dict[str, bytes]:
    """The last checkpoint of a run of the command, every leaf by its path."""
    config = with_overrides(load_config("tic_tac_toe"), SETTINGS)
    state = _state(run_dir, 40, config)
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}
