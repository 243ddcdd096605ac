"""Help as good as a manual's, and what a shell completes."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from exit.cli import run
from exit.cli.app import xit
from exit.cli.completion import VARIABLE
from exit.cli.options import Invocation
from tests.documented import ROOT

Captured = pytest.CaptureFixture[str]


def _examples(command: click.Command) -> list[list[str]]:
    """The words behind `xit` in each example, without what is around it in a shell."""
    assert command.epilog is not None
    lines = command.epilog.partition("Examples:\n")[2].splitlines()
    found = [re.search(r"\bxit (.*?)(?:\)\"| > \S+)?$", line) for line in lines]
    assert found
    assert all(found)
    return [shlex.split(match[1]) for match in found if match]


@pytest.mark.parametrize("name", sorted(xit.commands))
def test_help_says_what_is_read_and_written_and_every_example_can_be_typed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # What an example reads is to be there.
    (tmp_path / "positions.jsonl").touch()
    command = xit.commands[name]
    assert command.help
    assert command.epilog is not None
    assert command.epilog.startswith("Reads: ")
    assert "\n\nWrites: " in command.epilog
    for first, *words in _examples(command):
        assert first == name
        command.make_context(name, words, obj=Invocation())


@pytest.mark.parametrize("name", sorted(xit.commands))
def test_every_option_is_explained_with_its_default(name: str) -> None:
    for option in xit.commands[name].params:
        if not isinstance(option, click.Option):
            continue
        assert option.help, option.name
        assert option.help.endswith("."), option.name
        if not (option.is_flag or option.multiple or option.required):
            assert option.show_default or "Default: " in option.help, option.name


def _completed(*words: str) -> set[str]:
    shell = ShellComplete(xit, {}, "xit", VARIABLE)
    return {item.value for item in shell.get_completions(list(words[:-1]), words[-1])}


def test_names_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "empty"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "config.json").write_text(json.dumps({}))
    assert _completed("comp") == {"compile", "completion"}
    assert _completed("train", "tic") == {"tic_tac_toe"}
    assert "nim_3_4_5" in _completed("solve", "nim")
    assert "connect_four" in _completed("play", "conn")
    assert "--budget" in _completed("play", "--bud")
    assert {name for name in _completed("frontier", "runs/") if name} == {"runs/mine", "runs/"}
    assert _completed("completion", "") == {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(shell: str, capsys: Captured) -> None:
    assert run(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert f"{VARIABLE}={shell}_complete" in said


def test_bash_completes_options_without_waiting_for_jax() -> None:
    program = (
        "import sys; from exit.cli.app import main\ntry: main()\nfinally: assert 'jax' not in sys.modules"
    )
    asked = {VARIABLE: "bash_complete", "COMP_WORDS": "xit serve --po", "COMP_CWORD": "2"}
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=asked, capture_output=True, text=True, check=True
    )
    assert found.stdout == "plain,--port\n"
