"""What MkDocs builds from other files than pages: notebooks as pages, and the commands from their help."""

import json
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from exit.cli.app import xit

_COMMANDS = "commands.md"
_INTRODUCTION = """\
# Commands

What `xit COMMAND --help` says. Every command ends with 0 on success, 1 on a failure and 2 on bad usage, and
says in one line what was wrong; `--debug` shows the traceback. Results go to stdout, progress and warnings to
stderr.

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
