"""The command line from outside: what it says, what it writes, and the exit code of every bad input."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exit.cli import console, run

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


def _error_line(capsys: Captured) -> str:
    """The one line that a failed command left on stderr, and nothing but it."""
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("xit: error: ")
    return line


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("solvee tic_tac_toe", "Did you mean 'solve'?"),
        ("solve tic_tac_toe --jsno x", "Did you mean '--json'?"),
        ("solve tic_tac_to", "did you mean 'tic_tac_toe'"),
        ("solve", "missing argument 'GAME'; `xit solve --help`"),
        ("solve nim_3_x", "bad sizes"),
        ("solve nim_3_4_5 --set heap=2,3", "'heap'"),
        ("solve nim_3_4_5 --set heaps=a,b", "bad value 'a,b'"),
        ("solve nim_3_4_5 --set heaps", "write a.b=value"),
        ("games extra", "unexpected extra argument"),
        ("train tic_tac_to", "tic_tac_to"),
        ("train nowhere.py", "nowhere.py"),
        ("bench runs/x --budgets 1,-2", "whole numbers from 0"),
        ("bench runs/x --budgets many", "whole numbers from 0"),
        ("bench runs/x --max-positions 0", "--max-positions"),
        ("bench runs/x --positions nowhere.jsonl", "'nowhere.jsonl' does not exist"),
        ("act runs/x --budget 1 --positions nowhere.jsonl", "'nowhere.jsonl' does not exist"),
        ("act runs/x --budget 1 --positions tests", "'tests' is a directory"),
        ("bench runs/x --positions README.md --max-positions 3", "give --positions or --max-positions"),
        ("act runs/x --budget -1", "'-1'; give a whole number from 0, or auto"),
        ("act runs/x --budget soon", "'soon'; give a whole number from 0, or auto"),
        ("act runs/x --budget auto --price -1", "--price"),
        ("act runs/x --deadline-ms 0", "--deadline-ms"),
        ("act runs/x", "give --budget N, --deadline-ms T, --price P or several of them"),
        ("play runs/x --side third", "'first', 'second', 'both'"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(command: str, expected: str, capsys: Captured) -> None:
    assert run(command.split()) == 2
    assert expected in _error_line(capsys)


@pytest.mark.parametrize(
    "command", ["", "games", "train", "bench", "act", "solve", "play", "match", "serve", "doctor"]
)
def test_every_command_has_help_with_an_example(command: str, capsys: Captured) -> None:
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"xit {command}".strip() in text.split("Options:")[1]
    assert "--debug" in text


def test_no_command_shows_the_help_and_is_bad_usage(capsys: Captured) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_games_are_listed_with_their_sizes(tmp_path: Path, capsys: Captured) -> None:
    figures = tmp_path / "games.json"
    assert run(["solve", "tic_tac_toe"]) == 0
    assert run(["games", "--json", str(figures)]) == 0
    rows = {row["game"]: row for row in json.loads(figures.read_text())}
    assert rows["tic_tac_toe"]["states"] == 5478
    assert rows["connect_four"]["actions"] == 7
    assert [rows[name]["solver"] for name in ("tic_tac_toe", "nim_3_4_5", "connect_four")] == [
        "rules",
        "rules",
        "bitbully",
    ]
    assert rows["nim_3_4_5"]["states"] is None
    assert "5,478" in capsys.readouterr().out


def test_solve_writes_the_figures_of_the_contract(tmp_path: Path, capsys: Captured) -> None:
    figures = tmp_path / "new" / "solve.json"
    assert run(["solve", "tic_tac_toe", "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    keys = {"game", "states", "states_by_ply", "terminal_states", "value", "seconds", "peak_mb", "table"}
    assert keys <= set(found)
    assert (found["states"], found["terminal_states"], found["value"]) == (5478, 958, 0)
    assert sum(found["states_by_ply"]) == 5478
    assert Path(found["table"]).is_dir()
    assert "5,478 positions" in capsys.readouterr().out


def test_sizes_can_be_set(capsys: Captured) -> None:
    assert run(["solve", "nim_3_4_5", "--set", "heaps=1,1"]) == 0
    assert "nim_1_1: 4 positions" in capsys.readouterr().out


def test_an_output_that_cannot_be_written_stops_before_the_work(tmp_path: Path, capsys: Captured) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run(["solve", "tic_tac_toe", "--json", str(blocked / "solve.json")]) == 1
    assert str(blocked) in _error_line(capsys)


@pytest.mark.parametrize("command", ["bench nosuch", "solve chess", "train chess"])
def test_a_refused_command_leaves_no_file(command: str, tmp_path: Path) -> None:
    assert run([*command.split(), "--json", str(tmp_path / "figures.json")]) == 2
    assert not list(tmp_path.iterdir())


def test_a_game_known_to_be_too_large_is_refused_at_once(capsys: Captured) -> None:
    assert run(["solve", "connect_four"]) == 1
    line = _error_line(capsys)
    assert "connect_four does not fit on the disk" in line
    assert "45,319.852 GB more are needed for its 4,531,985,219,092 states" in line


@pytest.mark.parametrize(
    ("size", "reason"), [("4 apples", "give a number with a unit"), ("300MB", "at least 500MB")]
)
def test_sizes_that_make_no_sense_are_refused(size: str, reason: str, capsys: Captured) -> None:
    assert run(["solve", "tic_tac_toe", "--max-memory", size]) == 2
    assert reason in _error_line(capsys)


def test_a_traceback_appears_only_with_debug(capsys: Captured) -> None:
    run(["solve", "chess"])
    assert "Traceback" not in capsys.readouterr().err
    assert run(["solve", "chess", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def _failing(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (RuntimeError("two\nlines"), 1, "unexpected RuntimeError: two lines; run again with --debug"),
        (OSError(28, "No space left on device", "x.npy"), 1, "x.npy: no space left on device"),
        (MemoryError("1 TiB"), 1, "out of memory"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nBuffers: many"),
            1,
            "out of memory; ask for less, or run on a larger machine (Out of memory allocating 9 bytes.)",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_failure_is_one_line(
    error: BaseException, code: int, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("exit.cli.exact.load_or_solve", _failing(error))
    assert run(["solve", "tic_tac_toe"]) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert expected in line


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Makes progress speak after so many seconds of silence, and again after so many."""

    def hurry(patience: float, interval: float) -> None:
        monkeypatch.setattr(console, "_PATIENCE_SECONDS", patience)
        monkeypatch.setattr(console, "_PLAIN_INTERVAL_SECONDS", interval)
        monkeypatch.setattr(console, "_LOOK_SECONDS", 0.01)

    return hurry


def test_silent_work_goes_on_saying_what_it_is(
    hurry: Callable[[float, float], None], capsys: Captured
) -> None:
    hurry(0.1, 0.2)
    with console.Progress("starting") as progress:
        progress.update("compiling")
        time.sleep(0.45)
    time.sleep(0.25)
    lines = capsys.readouterr().err.splitlines()
    assert lines in (["starting  compiling"], ["starting  compiling", "starting  compiling (0:00)"])
    with console.Progress("measuring"):
        time.sleep(0.45)
    assert {line.removesuffix(" (0:00)") for line in capsys.readouterr().err.splitlines()} == {"measuring"}


def test_what_stays_as_it_is_is_said_less_and_less_often(
    hurry: Callable[[float, float], None], capsys: Captured
) -> None:
    hurry(0.0, 0.05)
    with console.Progress("solving") as progress:
        time.sleep(1.0)
        said = capsys.readouterr().err.splitlines()
        # After 0, 0.05, 0.15, 0.35 and 0.75 seconds.
        assert 3 <= len(said) <= 5
        assert {line.split(" (")[0] for line in said} == {"solving"}
        progress.update("more")
        time.sleep(0.2)
        # What is new does not wait until it would be time to say again what was said.
        assert capsys.readouterr().err.startswith("solving  more\n")


def test_what_is_asked_in_a_wrong_way_does_not_wait_for_jax() -> None:
    program = (
        "import sys; from exit.cli.app import main\n"
        "try: main()\n"
        "finally: print(sorted({'jax', 'numpy'} & set(sys.modules)))"
    )
    for words in ("bench", "bench x --budgets y", "serve --port 99999999", "export --help"):
        done = subprocess.run(
            [sys.executable, "-c", program, *words.split()], capture_output=True, text=True, check=False
        )
        assert done.returncode == (0 if "--help" in words else 2)
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_picture_of_training_does_not_wait_for_what_fits_probes() -> None:
    program = "import sys, exit.plots; print(sorted({'sklearn', 'scipy.stats'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_made_of_an_agent_that_is_a_file_is_not_laid_into_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A run that is called so, now or later, is another agent.
    assert console.folder_of(Path("elsewhere/mine.npz")) == Path("runs/mine-agent")
    # Every run has a snapshot of that name.
    snapshot = Path("elsewhere/short/snapshots/00000016.npz")
    assert console.folder_of(snapshot) == Path("runs/short-00000016")
    run_dir = tmp_path / "runs" / "mine"
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_text("{}")
    assert console.folder_of(run_dir) == run_dir


@pytest.mark.parametrize(("game", "of"), [("bandit_2_5", " of 126"), ("tic_tac_toe", "")])
def test_solving_says_of_how_many_positions_where_that_is_known(
    game: str, of: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    said: list[str] = []

    def heard(self: console.Progress, text: str, share: float | None = None) -> None:
        said.append(text)

    monkeypatch.setattr(console.Progress, "update", heard)
    assert run(["solve", game]) == 0
    capsys.readouterr()
    finding = [text for text in said if text.startswith("finding positions, ply 2: ")]
    assert finding
    for text in finding:
        assert of in text
        assert (" of " in text) == bool(of)
