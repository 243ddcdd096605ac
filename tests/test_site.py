"""The documentation as a site: built strictly without the network, and the notebooks in it."""

import json
import re
import socket
from pathlib import Path

import nbclient
import nbformat
import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from exit.cli.app import xit
from exit.learner import LearnerConfig
from tests.documented import DOCS, ROOT, name_of, notebooks, pages, python_of

# What a browser fetches by itself; links that a reader may follow are no part of it.
_FETCHED = re.compile(
    r'<(?:script|img|iframe|source)[^>]*\ssrc="?(https?:)?//|<link[^>]*\shref="?(https?:)?//'
)
_MAX_PICTURE_BYTES = 100_000


@pytest.mark.slow
def test_the_site_is_built_strictly_and_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"the build asks the network for {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(ROOT)
    # A warning, such as about a link that leads nowhere, ends a strict build.
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    built = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.html")}
    sources = [*(page for page in pages() if page.is_relative_to(DOCS)), *notebooks()]
    assert {str(page.relative_to(DOCS).with_suffix(".html")) for page in sources} <= built
    for name in built:
        assert not _FETCHED.search((tmp_path / name).read_text()), name
    api = (tmp_path / "api.html").read_text()
    assert 'id="exit.agent.Agent.think_more"' in api
    assert "the same as n + m at once" in api
    settings = (tmp_path / "settings.html").read_text()
    assert "<code>learner.weight_decay</code>" in settings
    assert f"<code>{LearnerConfig().weight_decay}</code>" in settings
    assert "<code>search.policy.dirichlet_alpha</code>" in settings
    commands = (tmp_path / "commands.html").read_text()
    assert all(f'id="xit-{name}"' in commands for name in xit.commands)


def test_pictures_are_small_and_used() -> None:
    text = "".join(page.read_text() for page in pages())
    for picture in DOCS.glob("*.png"):
        assert picture.stat().st_size < _MAX_PICTURE_BYTES, picture.name
        assert f"{picture.name})" in text, picture.name


@pytest.mark.parametrize("path", notebooks(), ids=name_of)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text())
    nbformat.validate(nbformat.from_dict(notebook))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) == len(python_of(path)) > 3
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize("path", notebooks(), ids=name_of)
def test_notebooks_run_from_top_to_bottom(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))
    # The kernel is another process in another folder, and is to find this checkout.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
