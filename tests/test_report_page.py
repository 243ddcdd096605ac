"""The page of `xit report`: whole in one file, true to the figures, and saying what is missing or damaged."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from exit.advice import advise
from exit.card import board_of
from exit.cli import run
from exit.errors import UserError
from exit.figures import keep_figures
from exit.plots import Panel, svg_of
from exit.rundir import claim
from tests.measured import BOARD, bench, coherence, foresee, frontier
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def run_dirs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one setting: one was measured by everything, the other by nothing."""
    folder = tmp_path_factory.mktemp("<b>runs")
    for name, seed, rates in (("a", 1, (0.5, 0.25)), ("b", 2, (0.75, 0.5))):
        config = replace(tiny_config(), seed=seed)
        with claim(folder / name, config, config_name="tiny", overrides=(f"seed={seed}", "x=<i>")):
            pass
        rows = [
            {"iteration": 10 * (k + 1), "seconds": 30.0 * (k + 1), "reflex_mistake_rate": rate}
            | {"amortized_depth": 3.0, "entropy": 1.0}
            for k, rate in enumerate(rates)
        ]
        (folder / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    measured = {"bench": bench(), "frontier": frontier(), "coherence": coherence(), "foresee": foresee()}
    for command, figures in measured.items():
        keep_figures(folder / "a", command, figures)
    return [folder / "a", folder / "b"]


def _page_of(run_dirs: list[Path], out: Path) -> str:
    assert run(["report", *map(str, run_dirs), "--out", str(out)]) == 0
    return out.with_suffix(".html").read_text()


@pytest.fixture(scope="module")
def page(run_dirs: list[Path]) -> str:
    return _page_of(run_dirs, run_dirs[0].parent / "report.png")


class _Parsed(HTMLParser):
    """What a browser would load, identifiers, elements left open, and words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.labels: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.loaded.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-label":
                self.labels.append(value or "")
        assert tag not in ("script", "link", "iframe", "img", "object")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    parsed = _Parsed(page)
    assert parsed.open == []
    assert parsed.loaded
    assert set(parsed.loaded) <= {f"#{name}" for name in parsed.ids}
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {f"#{name}" for name in parsed.ids}
    assert "@import" not in page
    assert not set(re.findall(r"https?://[^\s\"')<]+", page))
    assert "<b>" not in page
    assert "<i>" not in page
    assert "<text" not in re.sub(r'<svg class="board".*?</svg>', "", page, flags=re.DOTALL)


def test_what_was_measured_stands_on_it(page: str, run_dirs: list[Path]) -> None:
    parsed = _Parsed(page)
    words = " ".join(" ".join(parsed.words).split())
    for said in (
        "Recommended budget: 4.",
        "51 positions",
        "0.3125",
        "75.00 %",
        "5 for the better and 1 for the worse",
        "10 0.75 times the compute of a move",
        "by Elo from 96 games: 10 1.25 times",
        "-640",
        "xit bench a",
        "seed=2, x=<i>",
    ):
        assert said in words, said
    assert f"xit train tiny --set seed=1 --set 'x=<i>' --run-dir '{run_dirs[0]}'" in words
    for shown in (
        "amortized depth (simulations) over training time",
        "entropy of the reflex (nats) over training time",
        "Mean regret against budget",
        "Gain of 16 simulations",
        "Exact value against the value the agent gives",
        "What overriding the reflex did, by simulation",
        "Distances of value, backup and truth by depth",
        BOARD,
    ):
        assert shown in parsed.labels, shown


def test_what_was_not_measured_is_said_with_its_command(page: str, run_dirs: list[Path]) -> None:
    words = " ".join(_Parsed(page).words)
    for command in ("bench", "frontier", "coherence", "foresee"):
        assert f"There is no {command}.json yet; `xit {command} {run_dirs[1]}` makes it." in words


def test_two_seeds_give_a_band_and_one_gives_none(page: str, run_dirs: list[Path], tmp_path: Path) -> None:
    alone = _page_of(run_dirs[1:], tmp_path / "alone.html")
    assert (tmp_path / "alone.png").read_bytes().startswith(b"\x89PNG")
    heights = []
    for text in (page, alone):
        (drawn,) = re.findall(r"<svg[^>]*aria-label=\"mistakes of the reflex.*?</svg>", text, re.DOTALL)
        (band,) = re.findall(
            r'id="curve0-FillBetweenPolyCollection_1">.*?<path[^>]* d="([^"]*)"', drawn, re.DOTALL
        )
        points = np.array(re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", band), float)
        first = points[points[:, 0] == points[:, 0].min(), 1]
        heights.append(np.ptp(first))
    assert heights[0] > 20
    assert heights[1] == 0
    assert "2 seeds: mean, and a band" in page
    assert "seeds: mean, and a band" not in alone


def test_damaged_figures_are_said_and_the_rest_stands(run_dirs: list[Path], tmp_path: Path) -> None:
    contents = (b'{"budgets": [{}]}', b"{", b"[]", b'{"agents": 3, "by_ply": null}', b"\xff", b"[" * 100_000)
    damaged = [tmp_path / str(number) for number in range(len(contents))]
    names = ("bench", "frontier", "coherence", "foresee")
    for folder, content in zip(damaged, contents, strict=True):
        folder.mkdir()
        (folder / "metrics.jsonl").write_bytes((run_dirs[0] / "metrics.jsonl").read_bytes())
        described = json.loads((run_dirs[0] / "config.json").read_text())
        described["settings"]["seed"] = int(folder.name)
        (folder / "config.json").write_text(json.dumps(described))
        for command in names:
            (folder / f"{command}.json").write_bytes(content)
    (damaged[0] / "frontier.json").write_bytes((run_dirs[0] / "frontier.json").read_bytes())
    words = " ".join(" ".join(_Parsed(_page_of(damaged, tmp_path / "report.html")).words).split())
    said = re.findall(
        r"The (\w+)\.json of this run is damaged[^;]*; `xit (\w+) (\S+)` writes it again\.", words
    )
    expected = {(name, name, str(each)) for each in damaged for name in names}
    assert set(said) == expected - {("frontier", "frontier", str(damaged[0]))}
    assert "Recommended budget: 4." in words


def _seconds(axis: Axes) -> None:
    axis.set_xlabel("seconds")


def test_a_drawing_is_of_outlines_and_of_the_ink_around_it() -> None:
    drawn = svg_of(Panel('a "b" & <c>', _seconds), "here")
    assert drawn.startswith("<svg viewBox=")
    assert 'aria-label="a &quot;b&quot; &amp; &lt;c>"' in drawn
    assert "<text" not in drawn
    assert "currentColor" in drawn
    assert "#000000" not in drawn
    assert all(name.startswith("here-") for name in re.findall(r'id="([^"]*)"', drawn))
    assert drawn == svg_of(Panel('a "b" & <c>', _seconds), "here")


@pytest.mark.parametrize(
    ("text", "cells", "first", "second", "words"),
    [
        (BOARD, 9, 2, 2, ["1", "3", "5", "7", "8"]),
        (". . .\nX O X\n0 1 2", 6, 2, 1, ["0", "1", "2"]),
        ("  a b\n1 O .\n2 X X\nX to move", 4, 2, 1, ["1", "2", "a", "b"]),
    ],
)
def test_boards_are_drawn_cell_by_cell(
    text: str, cells: int, first: int, second: int, words: list[str]
) -> None:
    drawn = board_of(text)
    assert drawn is not None
    kinds = [drawn.count(f'class="{kind}"') for kind in ("cell", "first", "second", "ring")]
    assert kinds == [cells, first, second, second]
    assert sorted(re.findall(r"<text[^>]*>([^<]*)<", drawn)) == sorted(words)


def test_rows_of_hex_are_slanted() -> None:
    drawn = board_of("  a b\n1 X .\n 2 . O")
    assert drawn is not None
    (first,), (second,) = re.findall(r'"first" cx="(\d+)"', drawn), re.findall(r'"second" cx="(\d+)"', drawn)
    assert int(second) - int(first) == 32 + 16


@pytest.mark.parametrize("text", ["", "heap 0: oo (2)", "2 4\n8 2", "X O\nX", "$19 of at most $100"])
def test_what_is_no_board_is_not_drawn(text: str) -> None:
    assert board_of(text) is None


def test_a_budget_is_advised_for_the_runs_newest_agent_within_limits() -> None:
    found = frontier("runs/a")
    other = json.loads(json.dumps(found["agents"][0])) | {"run": "runs/b", "iteration": 99}
    found["agents"] += [other, other | {"run": "runs/a", "iteration": 10, "budgets": []}]
    assert advise(found, Path("elsewhere/a")).budget == 4
    assert "95% of the regret" in advise(found, Path("a")).why
    assert advise(found, Path("a"), max_regret=0.9).budget == 1
    assert advise(found, Path("a"), deadline_ms=3.5).budget == 1
    assert advise(found, Path("a"), deadline_ms=30.0).budget == 16
    with pytest.raises(UserError, match="no budget from 0 to 16 keeps to the limits"):
        advise(found, Path("a"), max_regret=0.1)
    del other["budgets"][0]["latency_ms"]
    with pytest.raises(UserError, match="single calls were not timed"):
        advise(found, Path("b"), deadline_ms=1.0)
    for row in other["budgets"]:
        row["mean_regret"] = 0.0
    assert advise(found, Path("b")).budget == 0
