"""The code blocks of the documentation, and the commands in them."""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_BLOCK = re.compile(
    r"^```(?P<language>\w*)(?P<attributes>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A fenced block.

    Attributes:
      place: page and line, for messages.
      language: first word behind the fence; empty if there is none.
      title: the file that the block is, if it names one.
    """

    place: str
    language: str
    title: str | None
    text: str


def pages() -> list[Path]:
    """README and every page of the site that is written as one."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def notebooks() -> list[Path]:
    return sorted(DOCS.rglob("*.ipynb"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        title = _TITLE.search(match["attributes"])
        place = f"{name_of(page)}:{line}"
        found.append(Block(place, match["language"], title[1] if title else None, match["text"]))
    return found


class Command(NamedTuple):
    """A call of `xit`.

    Attributes:
      place: page and line of its block.
      text: the words as one would type them, without comments; what is piped into it stands before ` | `.
      arguments: behind the word `xit`.
    """

    place: str
    text: str
    arguments: tuple[str, ...]


def commands_of(block: Block) -> list[Command]:
    """The calls of `xit` in a block, in order; of a block of YAML, those of its entry points."""
    text = block.text
    if block.language == "yaml":
        text = "\n".join(re.findall(r"^\s*entrypoint: (.*)$", text, re.MULTILINE))
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "xit" in words:
            arguments = words[words.index("xit") + 1 :]
            piped = words[: words.index("xit")]
            before = f"{shlex.join(piped[:-1])} | " if piped[-1:] == ["|"] else ""
            found.append(Command(block.place, f"{before}{shlex.join(['xit', *arguments])}", tuple(arguments)))
    return found


def python_of(notebook: Path) -> list[str]:
    """The code cells of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
