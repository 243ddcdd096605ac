"""The page's server: how soon it is ready, how fast it answers, streams, and serves fifty clients at once.

    python benchmarks/serving.py [--json FILE] [--quick]

Starts `xit serve connect_four` twice, first with an empty cache, then with the compiled programs on disk, and
asks it over HTTP. With Chromium installed, a browser says how soon the board can be used.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from exit.caches import cache_directory

_AGENT = "connect_four"
_STREAM_SECONDS = 5.0
_CLIENTS = 50
_LONGEST_START = 600.0
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_VISITS = 5


def _post(base: str, name: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{base}api/{name}",
        json.dumps({"agent": _AGENT, **body}).encode(),
        {"content-type": "application/json"},
    )
    return urllib.request.urlopen(request, timeout=_LONGEST_START)


def _started(cache: str, told: Path) -> tuple[subprocess.Popen[str], str, float]:
    """A server, its address, and the seconds until it could be asked.

    Args:
      cache: where compiled programs are kept.
      told: file for what it says while it starts.
    """
    begun = time.perf_counter()
    command = [sys.executable, "-m", "exit", "serve", _AGENT, "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    with told.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment | {"XIT_CACHE_DIR": cache},
        )
    assert process.stdout is not None
    found = re.match(r"(http://\S+)", process.stdout.readline())
    if found is None:
        raise SystemExit(f"`xit serve` ended before it served: {told.read_text()}")
    base = found[1]
    while True:
        try:
            with _post(base, "think", {"total": 1}) as answer:
                answer.read()
            return process, base, time.perf_counter() - begun
        except OSError:
            time.sleep(0.02)


def _lines(count: int) -> list[list[int]]:
    """Openings, all different; no column is filled by them."""
    rng = np.random.default_rng(0)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        found[tuple(int(column) for column in rng.integers(0, 7, 5))] = None
    return [list(line) for line in found]


def _milliseconds(base: str, name: str, bodies: list[dict[str, Any]]) -> dict[str, float]:
    took = []
    for body in bodies:
        begun = time.perf_counter()
        with _post(base, name, body) as answer:
            answer.read()
        took.append(1000 * (time.perf_counter() - begun))
    return {"median_ms": float(np.median(took)), "p95_ms": float(np.percentile(took, 95)), "calls": len(took)}


def _updates_per_second(base: str) -> float:
    times = []
    with _post(base, "think", {"moves": [3, 3], "seconds": _STREAM_SECONDS}) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                times.append(time.perf_counter())
    return (len(times) - 1) / (times[-1] - times[0])


def _fifty(base: str) -> dict[str, Any]:
    """Fifty clients that ask at the same moment, held against the same questions asked one by one."""
    lines = _lines(_CLIENTS)
    found: dict[int, tuple[float, Any]] = {}

    def ask(index: int) -> None:
        begun = time.perf_counter()
        with _post(base, "act", {"moves": lines[index], "budget": 16}) as answer:
            found[index] = 1000 * (time.perf_counter() - begun), json.load(answer)["action"]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = {index: action for index, (_, action) in found.items()}
    took = [milliseconds for milliseconds, _ in found.values()]
    for index in range(_CLIENTS):
        ask(index)
    return {
        "answered": len(together),
        "as_alone": sum(found[index][1] == action for index, action in together.items()),
        "median_ms": float(np.median(took)),
        "max_ms": max(took),
    }


def _interactive_ms(base: str) -> dict[str, float] | None:
    """Milliseconds from going to the page until a move can be clicked, nothing of it known to the browser.

    None where no browser is found.
    """
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    took = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(1 + _VISITS):
            context = browser.new_context()
            page = context.new_page()
            begun = time.perf_counter()
            page.goto(base, wait_until="commit")
            page.wait_for_selector("html[data-ready] .target")
            took.append(1000 * (time.perf_counter() - begun))
            context.close()
        browser.close()
    # The first visit also starts the browser's own processes.
    return {"first_ms": took[0], "median_ms": float(np.median(took[1:])), "max_ms": max(took[1:])}


def _page_bytes() -> int:
    return sum(len(file.read_bytes()) for file in (resources.files("exit.web") / "page").iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    arguments = parser.parse_args()
    calls = 20 if arguments.quick else 200
    with tempfile.TemporaryDirectory() as cache:
        figures = _measured(calls, cache, cold=not arguments.quick)
    print(json.dumps(figures, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _measured(calls: int, cache: str, *, cold: bool) -> dict[str, Any]:
    told, first_start, said = Path(cache) / "told", None, []
    if cold:
        process, _, first_start = _started(cache, told)
        process.terminate()
        process.wait()
        said = told.read_text().splitlines()
    process, base, ready = _started(cache if cold else str(cache_directory()), told)
    try:
        lines = _lines(calls)
        # Compiled now, not while the clock runs.
        _milliseconds(base, "coherence", [{}])
        _milliseconds(base, "act", [{"budget": 0}, {"budget": 1}])
        return {
            "hardware": platform.processor() or platform.machine(),
            "first_start_seconds": first_start,
            "first_start_says": said,
            "ready_seconds": ready,
            "interactive": _interactive_ms(base),
            "act_0": _milliseconds(base, "act", [{"moves": line, "budget": 0} for line in lines]),
            "act_64": _milliseconds(base, "act", [{"moves": line, "budget": 64} for line in lines]),
            "think_64": _milliseconds(base, "think", [{"moves": line, "total": 64} for line in lines]),
            "updates_per_second": _updates_per_second(base),
            "fifty_clients": _fifty(base),
            "page_bytes": _page_bytes(),
        }
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
