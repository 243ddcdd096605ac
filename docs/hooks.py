"""What MkDocs builds from other files than pages: notebooks, the commands from their help, the settings."""

import dataclasses
import inspect
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from exit.cli.app import xit
from exit.runconfig import RunConfig

_COMMANDS = "commands.md"
_INTRODUCTION = """\
# Commands

What `xit COMMAND --help` says. Every command ends with 0 on success, 1 on a failure and 2 on bad usage, and
says in one line what was wrong; `--debug` shows the traceback. Results go to stdout, progress and warnings to
stderr.

"""

_SETTINGS = "settings.md"
_ABOUT_SETTINGS = """\
# Settings

What `--set NAME=VALUE` of `xit train` and `xit sweep` changes, and what a config in Python is made of. The
defaults are those of the library; configs choose others, and `config.json` in a run's directory has what the
run was trained with. Only the chosen kind of `network` and of `search.policy` has settings in a run.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made here; a notebook stays beside its page, to be taken along."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            name = file.src_uri.removesuffix(".ipynb")
            source = Path(config.docs_dir, file.src_uri)
            page = _notebook_page(json.loads(source.read_text(encoding="utf-8")), source.name)
            files.append(File.generated(config, f"{name}.md", content=page))
    files.append(File.generated(config, _COMMANDS, content=_commands_page()))
    files.append(File.generated(config, _SETTINGS, content=_settings_page()))
    return files


def _notebook_page(notebook: dict[str, Any], name: str) -> str:
    """The cells of a notebook one after another, with a link to itself under its title."""
    cells = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        cells.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, _, rest = cells[0].partition("\n")
    return "\n\n".join([title, f"[This page as a notebook]({name})", rest.strip(), *cells[1:]]) + "\n"


def _commands_page() -> str:
    """The help of every command, in the order of `xit --help`."""
    parts = [_INTRODUCTION + _help_of(click.Context(xit, info_name="xit"))]
    for name in xit.list_commands(click.Context(xit)):
        with click.Context(xit, info_name="xit") as parent:
            context = click.Context(xit.commands[name], info_name=name, parent=parent)
            parts.append(f"## xit {name}\n\n{_help_of(context)}")
    return "\n\n".join(parts) + "\n"


def _help_of(context: click.Context) -> str:
    context.terminal_width = 100
    return f"```text\n{context.get_help()}\n```"


def _settings_page() -> str:
    """Every setting by the name that `--set` knows it by, with its default and what its docstring says."""
    return "\n".join([_ABOUT_SETTINGS, *_settings_of(RunConfig, "")]) + "\n"


def _settings_of(kind: type, prefix: str) -> Iterator[str]:
    """The settings of a dataclass in a table, and behind it the tables of those that are dataclasses."""
    meanings = _meanings(kind)
    hints = typing.get_type_hints(kind)
    rows: list[str] = []
    parts: dict[str, tuple[Any, ...]] = {}
    for field in dataclasses.fields(kind):
        choices = typing.get_args(hints[field.name]) or (hints[field.name],)
        if all(dataclasses.is_dataclass(choice) for choice in choices):
            parts[field.name] = choices
        else:
            default = "" if field.default is dataclasses.MISSING else f"`{field.default}`"
            rows.append(f"| `{prefix}{field.name}` | {default} | {meanings[field.name]} |")
    yield from ["| setting | default | what it says |", "|---|---|---|", *rows, ""]
    for name, choices in parts.items():
        for choice in choices:
            chosen = f"`{prefix}{name}={choice.__name__}`" if len(choices) > 1 else f"`{prefix}{name}`"
            yield f"## {chosen}\n\n{_docstring(choice).splitlines()[0]}\n"
            yield from _settings_of(choice, f"{prefix}{name}.")


def _meanings(kind: type) -> dict[str, str]:
    """What a dataclass's docstring says of each of its attributes, on one line."""
    sections = griffe.Docstring(_docstring(kind)).parse("google")
    attributes = [section for section in sections if section.kind is griffe.DocstringSectionKind.attributes]
    return {
        attribute.name: " ".join(attribute.description.split()).replace("|", "\\|")
        for section in attributes
        for attribute in section.value
    }


def _docstring(kind: type) -> str:
    return inspect.getdoc(kind) or ""
