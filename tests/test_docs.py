"""Every block of the documentation: Python runs in order, commands run or are held against the options."""

import io
import re
import sys
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from exit.catalog import load_config, with_overrides
from exit.checkpoint import save
from exit.cli import run
from exit.cli.app import xit
from exit.cli.options import Invocation
from exit.rundir import claim
from tests.docs_commands import IN_SMALL, NOT_RUN, TYPED
from tests.documented import ROOT, Block, Command, blocks_of, commands_of, name_of, pages
from tests.tiny import random_params

Captured = pytest.CaptureFixture[str]

# Without a language a block shows what was printed.
_SHOWN = ("", "text")
_WITH_COMMANDS = ("sh", "yaml")
_RUN = ("tic_tac_toe", "bandit_2_20")
_SMALL_NETWORK = ("network.width=8", "network.num_blocks=1")


def _all_commands() -> list[Command]:
    return [
        command
        for page in pages()
        for block in blocks_of(page)
        if block.language in _WITH_COMMANDS
        for command in commands_of(block)
    ]


def test_blocks_are_of_known_languages() -> None:
    blocks = [block for page in pages() for block in blocks_of(page)]
    assert {block.language for block in blocks} <= {*_SHOWN, *_WITH_COMMANDS, "python"}
    # As many fences as the blocks have: none was overlooked.
    for page in pages():
        fences = [line for line in page.read_text().splitlines() if line.lstrip().startswith("```")]
        assert len(fences) == 2 * len(blocks_of(page)), page


@pytest.mark.parametrize("command", {c.text: c for c in _all_commands()}.values(), ids=lambda c: c.text)
def test_commands_have_the_options_that_are_written(command: Command) -> None:
    name, *arguments = command.arguments
    xit.commands[name].make_context(name, arguments, obj=Invocation())


def test_targets_and_scripts_that_are_named_are_there() -> None:
    text = "\n".join(block.text for page in pages() for block in blocks_of(page) if block.language == "sh")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= targets
    scripts = re.findall(r"^python (\S+\.py)", text, re.MULTILINE)
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)


def test_what_is_said_of_commands_is_about_commands_that_are_there() -> None:
    texts = {command.text.split(" | ")[-1] for command in _all_commands()}
    assert set(IN_SMALL) | set(NOT_RUN) | set(TYPED) <= texts
    assert not set(IN_SMALL) & set(NOT_RUN)


class _Runs(NamedTuple):
    """A folder with runs, and the commands that pages have been through on them."""

    folder: Path
    done: set[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> _Runs:
    """Runs whose agents have learnt nothing yet."""
    folder = tmp_path_factory.mktemp("docs")
    for name in _RUN:
        config = with_overrides(load_config(name), _SMALL_NETWORK)
        run_dir = folder / "runs" / name
        with claim(run_dir, config, config_name=name, overrides=_SMALL_NETWORK):
            save(run_dir, 1, {"acting": random_params(config.game, config.network)}, keep=1)
    return _Runs(folder, set())


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_blocks_run_in_order(
    page: Path, runs: _Runs, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not any(block.language in ("python", "sh") for block in blocks_of(page)):
        return
    (tmp_path / "runs").mkdir()
    for name in _RUN:
        # Shared: nothing but figures, pictures and what an agent foresees is written into them.
        (tmp_path / "runs" / name).symlink_to(runs.folder / "runs" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XIT_CACHE_DIR", str(runs.folder / "cache"))
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.language == "python":
            _run_python(block, namespace)
        elif block.language == "sh":
            for command in commands_of(block):
                # What runs on one page runs on another: the runs are the same.
                if command.text not in runs.done:
                    _run_command(command, capsys, monkeypatch)
                    runs.done.add(command.text)


def _run_python(block: Block, namespace: dict[str, object]) -> None:
    """Runs a block, or writes the file that it is."""
    if block.title is not None:
        Path(block.title).write_text(block.text)
        return
    exec(compile(block.text, block.place, "exec"), namespace)


def _run_command(command: Command, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a command as it is said in `docs_commands`, with what is piped into it or typed."""
    piped, _, text = command.text.rpartition(" | ")
    if text in NOT_RUN:
        return
    typed = piped.partition(" ")[2].strip("'") if piped else TYPED.get(text, "")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{typed}\n".encode())))
    arguments = IN_SMALL[text].split()[1:] if text in IN_SMALL else list(command.arguments)
    code = run(arguments)
    said = capsys.readouterr()
    assert code == 0, f"{command.place}: {text}: {said.err}"
    assert '"error"' not in said.out, f"{command.place}: {text}: {said.out}"


def test_a_wrong_option_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        xit.commands["solve"].make_context("solve", ["nim_3_4_5", "--fast"], obj=Invocation())
