"""The commands that need a trained agent, on a run of a few iterations."""

import io
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exit.agent import Agent
from exit.bench import bench
from exit.card import write_card
from exit.cli import run
from exit.cli.bench import rate_text
from exit.solve import exact_of

Captured = pytest.CaptureFixture[str]

_CAPACITY = 16
_CONFIG = f"""
from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.tic_tac_toe import TicTacToe


def config() -> RunConfig:
    return RunConfig(
        game=TicTacToe(),
        network=MLPConfig(width=16, num_blocks=1),
        search=SearchConfig(max_simulations={_CAPACITY}),
        self_play=SelfPlayConfig(num_games=16, num_steps=8, budget=4),
        replay=ReplayConfig(capacity=512),
        learner=LearnerConfig(batch_size=64, num_updates=2),
        evaluation=EvaluationConfig(num_positions=64, budget=4),
        num_iterations=2,
        report_every=1,
    )
"""


class _Run:
    """A run in a directory of its own, and the command that trained it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "tiny.py"
        self.config.write_text(_CONFIG)
        self.run_dir = folder / "run"
        self.command = ["train", str(self.config), "--run-dir", str(self.run_dir)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        made = _Run(tmp_path_factory.mktemp("runs"))
        assert run(made.command) == 0
        yield made


def _error_line(capsys: Captured) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("xit: error: ")
    return line


def _type(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Puts a text on stdin."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))


def _answers(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_training_leaves_metrics_and_a_picture(trained: _Run) -> None:
    rows = _answers((trained.run_dir / "metrics.jsonl").read_text())
    assert [row["iteration"] for row in rows] == [1, 2]
    assert rows[-1]["positions"] == 2 * 16 * 8
    assert (trained.run_dir / "training.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_finds_a_finished_run_complete(
    trained: _Run, tmp_path: Path, capsys: Captured
) -> None:
    figures = tmp_path / "train.json"
    before = (trained.run_dir / "metrics.jsonl").read_bytes()
    assert run([*trained.command, "--json", str(figures)]) == 0
    assert "complete already" in capsys.readouterr().out
    assert (trained.run_dir / "metrics.jsonl").read_bytes() == before
    assert json.loads(figures.read_text())["iteration"] == 2


def test_another_configuration_is_refused(trained: _Run, capsys: Captured) -> None:
    capsys.readouterr()
    assert run([*trained.command, "--set", "learner.learning_rate=0.5"]) == 2
    said = capsys.readouterr()
    assert "learner.learning_rate=0.002, not 0.5" in said.err
    assert said.out == ""


def test_an_unknown_setting_is_named_with_the_nearest(trained: _Run, capsys: Captured) -> None:
    assert run([*trained.command, "--set", "learner.learning_rat=0.5"]) == 2
    assert "did you mean 'learning_rate'" in _error_line(capsys)


def test_a_run_of_another_version_is_refused(trained: _Run, tmp_path: Path, capsys: Captured) -> None:
    other = tmp_path / "run"
    shutil.copytree(trained.run_dir, other)
    path = other / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 999}))
    for command in (["bench", str(other)], [*trained.command[:2], "--run-dir", str(other)]):
        assert run(command) == 2
        assert "another version" in _error_line(capsys)


def test_a_run_directory_that_cannot_be_made_is_named(
    trained: _Run, tmp_path: Path, capsys: Captured
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run([*trained.command[:2], "--run-dir", str(blocked / "run")]) == 1
    assert str(blocked) in _error_line(capsys)


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        (None, "-"),
        (0.0, "0.00%"),
        (1 / 8_188_705, "<0.0001%"),
        (14 / 8_188_705, "0.00017%"),
        (126 / 1_709_487, "0.0074%"),
        (0.0123, "1.23%"),
    ],
)
def test_mistakes_that_are_rare_do_not_round_to_none(rate: float | None, says: str) -> None:
    assert rate_text(rate) == says


@pytest.mark.parametrize("command", [["bench"], ["act", "--budget", "1"], ["play"]])
def test_a_directory_without_a_run_is_named(command: list[str], tmp_path: Path, capsys: Captured) -> None:
    assert run([command[0], str(tmp_path), *command[1:]]) == 2
    assert f"{tmp_path} holds no run" in _error_line(capsys)


def test_bench_writes_the_figures_of_the_contract(trained: _Run, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "bench.json"
    assert run(["bench", str(trained.run_dir), "--budgets", "0,4", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert figures["positions"] == {"kind": "all", "count": 4520, "critical": 3191}
    assert {"game", "run", "solver", "hardware", "amortization_gap", "exploitability"} <= set(figures)
    reflex, search = figures["budgets"]
    assert (reflex["budget"], search["budget"]) == (0, 4)
    # What is proven early needs no more simulations.
    assert reflex["mean_simulations"] == 0
    assert 2 < search["mean_simulations"] < 4
    assert 0 < search["mistake_rate"] < reflex["mistake_rate"] < reflex["critical_mistake_rate"] < 1
    assert figures["amortization_gap"] == pytest.approx(reflex["mean_regret"] - search["mean_regret"])
    assert figures["certified"] is False
    assert (trained.run_dir / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "4,520 positions" in capsys.readouterr().out


def test_bench_shows_what_an_opponent_can_make_of_the_agent(trained: _Run, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    assert run(["bench", str(trained.run_dir), "--budgets", "0,16", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    reflex, search = figures["budgets"]
    # An agent of a few seconds' training is beaten by an opponent who knows it.
    assert figures["exploitability"] == reflex["exploitability"] > 0
    assert [seat["seat"] for seat in reflex["certificate"]] == ["first", "second"]
    assert any(seat["line"] is not None for seat in reflex["certificate"])
    assert reflex["reached"]["count"] < 4520
    assert sum(row["count"] for row in search["by_ply"]) == 4520
    assert figures["overrides"]["helped"] > figures["overrides"]["hurt"]
    shown = figures["wrong_at_every_budget"]["shown"]
    assert len(shown) == min(12, figures["wrong_at_every_budget"]["count"])
    for each in shown:
        best = {action["action"] for action in each["actions"] if action["optimal"]}
        assert set(each["played"]) == {"0", "16"}
        assert not best & set(each["played"].values())
        assert len(each["line"]) < 9
    assert figures["provenance"]["config"] == trained.command[1]
    page = (trained.run_dir / "bench.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert all(
        name in page for name in ("Not certified", "data:image/png;base64,", "How to have these figures")
    )


def test_a_card_is_written_from_python(trained: _Run, tmp_path: Path) -> None:
    agent = Agent.load(trained.run_dir)
    figures = bench(agent, exact_of(agent.game), [0], max_reached=0)
    page = write_card(figures, tmp_path / "card.html").read_text()
    assert agent.game.name in page
    assert "xit bench" not in page


def test_followed_no_further_than_allowed_the_agent_has_no_certificate(
    trained: _Run, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "bench.json"
    options = ["--budgets", "0", "--max-reached", "3", "--json", str(path)]
    assert run(["bench", str(trained.run_dir), *options]) == 0
    figures = json.loads(path.read_text())
    assert (figures["exploitability"], figures["certified"], figures["overrides"]) == (None, None, None)
    assert "budget 0: exploitability is not measured, since the agent can come to more than 3 positions" in (
        " ".join(capsys.readouterr().out.split())
    )
    assert "Not measured" in (trained.run_dir / "bench.html").read_text()


def test_bench_measures_the_positions_of_a_file(trained: _Run, tmp_path: Path, capsys: Captured) -> None:
    positions, path = tmp_path / "positions.jsonl", tmp_path / "bench.json"
    # The last is the second again.
    positions.write_text('{"moves": []}\n{"moves": [4, 1]}\n\n{"moves": [0]}\n{"moves": [4, 1]}\n')
    command = ["bench", str(trained.run_dir), "--budgets", "0"]
    assert run(command) == 0
    card = (trained.run_dir / "bench.html").read_text()
    assert run([*command, "--positions", str(positions), "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert "repeats 1 position; each counts once" in capsys.readouterr().err
    # Every reply keeps the draw at the start; after 4, 1 and after 0 some move throws a point away.
    assert figures["positions"] == {"kind": "file", "count": 3, "critical": 2}
    assert "those of a file" in (trained.run_dir / "bench-positions.html").read_text()
    assert figures["certified"] is None
    # What was measured in all positions still stands.
    assert (trained.run_dir / "bench.html").read_text() == card
    assert json.loads((trained.run_dir / "bench.json").read_text())["positions"]["kind"] == "all"


def _unwritable(*_: object, **__: object) -> None:
    raise ValueError("no font")


def test_figures_outlive_a_failing_picture(
    trained: _Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("exit.plots.plot_bench", _unwritable)
    monkeypatch.setattr("exit.plots.plot_training", _unwritable)
    for command in (["bench", str(trained.run_dir), "--budgets", "0"], trained.command):
        path = tmp_path / f"{command[0]}.json"
        assert run([*command, "--json", str(path)]) == 0
        assert json.loads(path.read_text())["run"] == str(trained.run_dir)
        assert capsys.readouterr().err == "xit: there is no picture (ValueError: no font)\n"
    # The page does without it, rather than show an older one.
    assert "data:image" not in (trained.run_dir / "bench.html").read_text()


def test_bench_refuses_a_game_that_takes_long_to_solve(
    trained: _Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("exit.cli.bench._MAX_TABLE_BYTES", 10_000)
    assert run(["bench", str(trained.run_dir), "--budgets", "0"]) == 1
    line = _error_line(capsys)
    assert "tic_tac_toe does not fit in memory" in line
    assert "0.0 MB allowed" in line
    assert "`xit solve tic_tac_toe` may take all there is" in line
    assert run(["solve", "tic_tac_toe"]) == 0
    assert run(["bench", str(trained.run_dir), "--budgets", "0"]) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"moves": []}\n{"moves": [0, 0]}\n', "line 2: action 0 (move 2) is illegal"),
        ('\ufeff{"moves": []}\n\n{"moves": [9]}\n', "line 3: "),
        ("\n", "no positions"),
    ],
)
def test_bench_names_the_first_bad_position(
    text: str, expected: str, trained: _Run, tmp_path: Path, capsys: Captured
) -> None:
    positions = tmp_path / "positions.jsonl"
    positions.write_text(text)
    assert run(["bench", str(trained.run_dir), "--positions", str(positions)]) == 1
    assert expected in _error_line(capsys)


@pytest.mark.parametrize("command", [["bench", "--budgets", "0,17"], ["act", "--budget", "17"]])
def test_a_budget_over_the_capacity_is_refused(command: list[str], trained: _Run, capsys: Captured) -> None:
    assert run([command[0], str(trained.run_dir), *command[1:]]) == 2
    line = _error_line(capsys)
    assert "budget 17 is over the capacity of 16" in line
    assert "--max-simulations 17" in line


def test_act_answers_every_line(trained: _Run, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    _type(monkeypatch, '{"moves": [4]}\n{"moves": [0, 0]}\n{\n{"moves": [0, 3, 1, 4, 2]}\n{"moves": []}')
    assert run(["act", str(trained.run_dir), "--budget", "8"]) == 0
    first, illegal, malformed, finished, second = _answers(capsys.readouterr().out)
    assert "action 0 (move 2) is illegal" in illegal["error"]
    assert "malformed JSON" in malformed["error"]
    assert "the game is over" in finished["error"]
    for answer, legal in ((first, "01235678"), (second, "012345678")):
        assert set(answer["prior"]) == set(answer["action_weights"]) == set(legal)
        assert sum(answer["action_weights"].values()) == pytest.approx(1, abs=1e-5)
        assert str(answer["action"]) in legal
        assert answer["simulations"] == 8
        assert answer["proven"] is False
        assert answer["ms"] > 0


def test_act_thinks_as_long_as_it_is_worth_the_price(
    trained: _Run, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    spent = []
    for options in ("--budget auto --price 3", "--price 0.000001", "--budget 2 --price 0"):
        _type(monkeypatch, '{"moves": [4]}')
        assert run(["act", str(trained.run_dir), *options.split()]) == 0
        (answer,) = _answers(capsys.readouterr().out)
        spent.append(answer["simulations"])
    assert spent[0] == 0 < spent[1] <= 16
    assert spent[2] == 2


def test_batches_and_single_lines_get_the_same_answers(trained: _Run, tmp_path: Path) -> None:
    lines = [json.dumps({"moves": [first, (first + 1) % 9]}) for first in range(9)]
    positions, out = tmp_path / "positions.jsonl", tmp_path / "out.jsonl"
    command = ["act", str(trained.run_dir), "--budget", "4"]
    command += ["--positions", str(positions), "--out", str(out)]
    singly = []
    for line in lines:
        positions.write_text(line)
        assert run(command) == 0
        singly += _answers(out.read_text())
    positions.write_text("\n".join(lines))
    assert run(command) == 0
    together = _answers(out.read_text())
    assert [answer["action"] for answer in together] == [answer["action"] for answer in singly]
    for one, other in zip(together, singly, strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-5)


@pytest.mark.parametrize(
    ("limits", "fewest", "most"),
    [
        (["--deadline-ms", "1"], 0, 1024),
        (["--deadline-ms", "100000", "--budget", "2000"], 2000, 2000),
        (["--deadline-ms", "100000", "--budget", "3"], 3, 3),
    ],
    ids=["time", "long", "budget"],
)
def test_a_deadline_bounds_the_simulations_by_time(
    limits: list[str], fewest: int, most: int, trained: _Run, tmp_path: Path
) -> None:
    positions, out = tmp_path / "positions.jsonl", tmp_path / "out.jsonl"
    positions.write_text('{"moves": []}\n')
    command = ["act", str(trained.run_dir), "--positions", str(positions), "--out", str(out)]
    assert run([*command, "--max-simulations", "2048", *limits]) == 0
    (answer,) = _answers(out.read_text())
    assert fewest <= answer["simulations"] <= most


def test_act_says_how_far_it_is(
    trained: _Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("exit.cli.console._PATIENCE_SECONDS", 0.0)
    # However long it takes, nothing is said twice.
    monkeypatch.setattr("exit.cli.console._LOOK_SECONDS", 600.0)
    monkeypatch.setattr("exit.cli.console._PLAIN_INTERVAL_SECONDS", 0.0)
    positions, out = tmp_path / "positions.jsonl", tmp_path / "made" / "for" / "out.jsonl"
    positions.write_text('{"moves": []}\n{"moves": [4]}\n')
    command = ["act", str(trained.run_dir), "--budget", "1", "--positions", str(positions)]
    assert run([*command, "--out", str(out)]) == 0
    assert capsys.readouterr().err == "answering  compiling\nanswering  100%  2 positions\n"
    assert run(command) == 0
    assert capsys.readouterr().err == ""


def test_a_whole_game_is_played_from_a_pipe(
    trained: _Run, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    _type(monkeypatch, "0\n3\n1\n4\n2\n")
    assert run(["play", str(trained.run_dir), "--side", "both", "--budget", "2"]) == 0
    output = capsys.readouterr().out
    assert "X X X" in output
    assert "player 1 wins" in output


def test_play_obeys_commands_and_refuses_bad_ones(
    trained: _Run, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    _type(monkeypatch, "undo\nhint\nbudget 17\nbudget -3\nbudget auto\nbudget 3\n4\n4\nundo\nfly\n9\nquit\n")
    assert run(["play", str(trained.run_dir), "--budget", "1"]) == 0
    output = capsys.readouterr().out
    assert "no move of yours to take back" in output
    assert "the agent would play" in output
    assert "17 is over the capacity of 16" in output
    assert "value" in output.split("budget 3")[1]
    thought = re.search(r"at budget auto \((\d+) simulations?\)", output)
    assert thought is not None
    assert 0 <= int(thought[1]) <= _CAPACITY
    assert "4 is illegal here" in output
    assert "'fly' is no move" in output
    assert "'-3' is no budget; enter budget and a whole number from 0, or auto" in output
    assert "9 is illegal here; legal are 0, 1, 2, 3, 4, 5, 6, 7, 8" in output


def test_play_shows_exact_values_beside_each_move(
    trained: _Run, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    # The player to move has two in a row: completing it is worth 1, and the only way to win at once.
    _type(monkeypatch, "0\n3\n1\n8\n")
    assert run(["play", str(trained.run_dir), "--side", "both", "--budget", "0"]) == 0
    boards = capsys.readouterr().out.split("player 1 to move")
    (winning,) = [line for line in boards[3].splitlines() if line.startswith("2 ")]
    assert winning.split()[-2:] == ["+1", "*"]


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Interrupts as in a terminal: processes in the background, and what they start, ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Ray, where another test has used it, leaves a handler of its own.
    before_term = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, before_term)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_says_how_to_go_on(
    trained: _Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def interrupted_twice(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ValueError("as array code may pass it on") from error

    def terminated(*_: object, stop_fn: Callable[[], bool], **__: object) -> None:
        assert not stop_fn()
        signal.raise_signal(signal.SIGTERM)
        assert stop_fn()

    monkeypatch.setattr("exit.loop.train", interrupted_twice)
    assert run([*trained.command[:2], "--run-dir", str(tmp_path / "run")]) == 130
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("xit: interrupted: stopping after this iteration")
    assert second == "xit: interrupted; the same command starts again"
    monkeypatch.setattr("exit.loop.train", terminated)
    assert run([*trained.command[:2], "--run-dir", str(trained.run_dir)]) == 143
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"xit: interrupted; the same command continues after iteration \d+, the last checkpoint", said
    )
