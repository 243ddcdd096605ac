"""The built package: what is in it, and its commands installed far from any checkout."""

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_ROOMS = {"exit", "games", "configs"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and source distribution, built by the locked backend: nothing is fetched."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def test_the_wheel_holds_all_that_runs_and_nothing_else(built: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(built[0]).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == _ROOMS
    expected = {
        str(path.relative_to(_ROOT))
        for room in _ROOMS
        for path in (_ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.split("/")[0] in _ROOMS} == expected
    assert "configs/connect_four.npz" in expected
    assert "exit/web/page/index.html" in expected


def test_no_other_distribution_here_installs_these_names() -> None:
    owners = importlib.metadata.packages_distributions()
    # An editable install names no files, so that the project itself need not be among them.
    assert {owner for room in _ROOMS for owner in owners.get(room, ())} <= {"xit"}


def test_the_source_distribution_can_be_tested_and_built_again(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    for name in (
        "Makefile", "LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "requirements.lock",
        "requirements-cuda.lock", "tests/conftest.py", "benchmarks/frontier.py", "docs/serve.md",
        "docs/training.png", "configs/connect_four.npz", "exit/web/page/main.js",
    ):  # fmt: skip
        assert name in names
    assert not [
        name for name in names if name.split("/")[0] in ("runs", ".venv", ".git", ".compiled", "site")
    ]


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `xit` of an empty environment into which the wheel was installed.

    To save the download, the dependencies are those of the environment that runs the tests: one line puts its
    folder on the path, which does not read the `.pth` files in there, and so not that of the checkout.
    """
    environment = tmp_path_factory.mktemp("elsewhere") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(built[0])], check=True, capture_output=True)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    purelib = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin" / "xit"


def _environment() -> dict[str, str]:
    """Without what would lead to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.mark.slow
def test_what_is_installed_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    program = "import exit, games, configs; print(exit.__file__, games.__file__, configs.__file__)"
    python = [str(installed.parent / "python"), "-c", program]
    found = subprocess.run(
        python, cwd=tmp_path, env=_environment(), check=True, capture_output=True, text=True
    )
    assert all(Path(file).is_relative_to(installed.parent.parent) for file in found.stdout.split())


@pytest.mark.slow
def test_connect_four_is_played_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    # XIT_CACHE_DIR: exact values that a library is asked for are kept here, not in the user's home.
    found = subprocess.run(
        [str(installed), "play", "connect_four", "--budget", "4"],
        input="3\nhint\nquit\n",
        cwd=tmp_path,
        env=_environment() | {"XIT_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert "player 1 plays 3 (column 3)" in found.stdout
    assert re.search(r"player 2 plays \d", found.stdout)
    assert "the agent would play" in found.stdout


@pytest.fixture
def server(installed: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server of the agents that come with the wheel, and its process."""
    process = subprocess.Popen(
        [str(installed), "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=_environment() | {"XIT_CACHE_DIR": str(tmp_path / "cache")},
    )
    try:
        assert process.stdout is not None
        found = re.match(r"(http://\S+)", process.stdout.readline())
        assert found is not None, "`xit serve` ended before it served; its message is above"
        yield found[1], process
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_the_page_is_served_from_the_wheel(server: tuple[str, subprocess.Popen[str]]) -> None:
    address, process = server
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert b"<title>" in answer.read()
    body = json.dumps({"agent": "connect_four", "moves": [3, 3], "budget": 4}).encode()
    asked = urllib.request.Request(f"{address}api/act", body, {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=300) as answer:
        found = json.load(answer)
    assert found["action"] in range(7)
    assert sum(move["weight"] for move in found["moves"]) == pytest.approx(1, abs=1e-3)
    # Ctrl-C is how a server is meant to be stopped.
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0].splitlines()[-1] == "stopped"
    assert process.returncode == 0
