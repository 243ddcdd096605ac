"""`xit compile`: every format from the command line, and every way to ask for it wrongly."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from exit.cli import run
from exit.rundir import RunInfo, settings_of
from tests.compiling import untrained
from tests.test_portable import CONFIG_FILE
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an agent that nobody trained; its config file lies beside it."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "tiny.py").write_text(CONFIG_FILE)
    agent = untrained(tiny_config().game, tiny_config().network)
    info = RunInfo(str(folder / "tiny.py"), (), settings_of(tiny_config()))
    return dataclasses.replace(agent, config=tiny_config(), info=info).save(folder / "agent.npz")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no path is written below the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("format_", "name", "size"),
    [
        ("table", "policy.table.npz", {"states": 4520}),
        ("stablehlo", "policy.stablehlo", None),
        ("onnx", "policy.onnx", None),
    ],
)
def test_formats_are_written_below_runs(source: Path, tmp_path: Path, capsys, format_, name, size) -> None:
    figures = tmp_path / "figures.json"
    assert run(["compile", str(source), "--to", format_, "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    assert found["paths"] == [str(Path("runs/agent-agent") / name)]
    assert (tmp_path / "runs/agent-agent" / name).stat().st_size > 1000
    certificate = found["certificate"]
    assert (certificate["states"], certificate["critical"], certificate["fidelity"]) == (4520, 3191, 1.0)
    assert size is None or found["size"] == size
    assert f"{certificate['mistakes']:,} mistakes" in capsys.readouterr().out


def test_a_tree_is_written_as_python_and_json(source: Path, tmp_path: Path) -> None:
    out, figures = tmp_path / "deep" / "policy.py", tmp_path / "figures.json"
    options = ["--max-nodes", "9", "--out", str(out), "--json", str(figures)]
    assert run(["compile", str(source), "--to", "tree", *options]) == 0
    found = json.loads(figures.read_text())
    assert found["size"]["nodes"] <= 9
    assert found["paths"] == [str(out), str(out.with_suffix(".json"))]
    assert "def act(" in out.read_text()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--to", "pdf"], 2, "'pdf' is not one of 'table', 'tree', 'stablehlo', 'onnx'"),
        (["--to", "table", "--max-nodes", "9"], 2, "--max-nodes is for trees"),
        (["--to", "onnx", "--frontier"], 2, "--frontier is for trees"),
        (["--to", "tree", "--frontier", "--max-nodes", "9"], 2, "leave --max-nodes out"),
        (["--to", "onnx", "--agent-budget", "4"], 2, "onnx holds the network alone"),
        (["--to", "table", "--agent-budget", "999"], 2, "budget 999 is over the capacity of 4"),
        (["--to", "tree", "--max-nodes", "0"], 2, "0 is not in the range"),
        (["--to", "table", "--out", "/proc/nothing/policy"], 1, "cannot write /proc/nothing/policy"),
        (["--to", "table", "--out", "/tmp"], 1, "it is a directory"),
    ],
)
def test_what_cannot_be_asked_for(source: Path, capsys, options, code: int, message: str) -> None:
    assert run(["compile", str(source), *options]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_directory_without_an_agent_is_refused(tmp_path: Path, capsys) -> None:
    assert run(["compile", str(tmp_path), "--to", "table"]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_missing_library_is_named_with_its_extra(source: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "exit.compile.onnx.model", raising=False)
    monkeypatch.delattr("exit.compile.onnx.model", raising=False)
    assert run(["compile", str(source), "--to", "onnx"]) == 1
    assert "pip install 'xit[onnx]'" in capsys.readouterr().err


def test_a_game_too_large_to_list_has_no_table(tmp_path: Path, capsys) -> None:
    out = tmp_path / "policy"
    for options in (["--to", "table"], ["--to", "tree", "--frontier"]):
        assert run(["compile", "connect_four", *options, "--out", str(out)]) == 1
        assert "the states of connect_four cannot all be listed" in capsys.readouterr().err
    assert run(["compile", "connect_four", "--to", "tree", "--out", str(out)]) == 2
    assert "give --agent-budget 1 or more" in capsys.readouterr().err
    assert not out.exists()
