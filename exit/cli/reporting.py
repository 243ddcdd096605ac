"""The page of `xit report`: curves of all runs, then what was measured of each."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from exit import __version__
from exit.advice import advise
from exit.card import Report, RunPart, Section, section_of, write_report
from exit.cli import console
from exit.errors import UserError
from exit.figures import read_figures
from exit.plots import (
    Panel,
    bench_panels,
    coherence_panels,
    curve_panels,
    diagnostic_panels,
    foresight_panels,
    frontier_panels,
    looks_of,
    svg_of,
)
from exit.report import Group
from exit.rundir import RunInfo, read_info

_DASHES = {"-": "none", "--": "8 4", ":": "2 3", "-.": "8 3 2 3"}
_MEASURED: tuple[tuple[str, str, Callable[[Mapping[str, Any]], list[Panel]]], ...] = (
    ("frontier", "What thinking buys", frontier_panels),
    ("bench", "Against exact values", bench_panels),
    ("coherence", "Coherence", coherence_panels),
    ("foresee", "Foresight", foresight_panels),
)


def write_page(
    groups: Sequence[Group],
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]],
    legend: str,
    path: Path,
) -> Path:
    """Writes the page; what is missing or damaged is said in its place.

    Args:
      tables: title, columns and rows, as the command shows them.
      legend: what the columns are.

    Returns:
      The path written.
    """
    settings = []
    for index, group in enumerate(groups):
        colour, stroke = looks_of(index)
        # The ink of drawings is that of the page.
        colour = "currentColor" if colour == "#000000" else colour
        settings.append(
            {"name": group.label, "seeds": len(group.run_dirs), "colour": colour, "dashes": _DASHES[stroke]}
        )
    runs = [run_dir for group in groups for run_dir in group.run_dirs]
    rows = [rows for group in groups for rows in group.rows]
    report = Report(
        settings=settings,
        tables=tables,
        legend=legend.replace("\n", " "),
        curves=_drawn(curve_panels(groups), "curve"),
        diagnostics=_drawn(diagnostic_panels(groups), "diagnostic"),
        runs=[
            _run_part(run_dir, int(reports[-1]["iteration"] or 0), f"run{number}")
            for number, (run_dir, reports) in enumerate(zip(runs, rows, strict=True))
        ],
        made=f"{console.command_line()}; xit {__version__}, {time.strftime('%Y-%m-%d %H:%M')}",
    )
    return write_report(report, path)


def _run_part(run_dir: Path, iteration: int, name: str) -> RunPart:
    info = read_info(run_dir)
    sections, commands = [], [_training_command(run_dir, info)]
    for command, title, panels_fn in _MEASURED:
        section, again = _section(run_dir, command, title, panels_fn, f"{name}{command}")
        sections.append(section)
        commands.extend(again)
    facts = {
        "configuration": info.config_name,
        "settings changed": ", ".join(info.overrides) or "none",
        "seed": info.settings.get("seed"),
        "iterations": iteration,
        "source at commit": info.commit,
    }
    return RunPart(str(run_dir), sections, facts, commands)


_LACKING = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What figures raise that lack something, or have it in another form."""


def _section(
    run_dir: Path, command: str, title: str, panels_fn: Callable[[Mapping[str, Any]], list[Panel]], name: str
) -> tuple[Section, list[str]]:
    """What a command measured of a run, and the command line that did, if that is known."""
    try:
        figures = read_figures(run_dir, command)
    except UserError as error:
        return Section(title, None, f"{_capital(str(error))}."), []
    try:
        body = _body(run_dir, command, figures, panels_fn, name)
        again = figures["provenance"]["command"]
    # Whatever a file from elsewhere lacks, the rest of the report stands.
    except (UserError, *_LACKING) as error:
        problem = (
            f"The {command}.json of this run is damaged or of another version ({type(error).__name__}); "
        )
        return Section(title, None, f"{problem}`xit {command} {run_dir}` writes it again."), []
    return Section(title, body), [again] if isinstance(again, str) else []


def _body(
    run_dir: Path,
    command: str,
    figures: Mapping[str, Any],
    panels_fn: Callable[[Mapping[str, Any]], list[Panel]],
    name: str,
) -> Any:
    panels = panels_fn(figures)
    if command != "frontier":
        return section_of(command, figures, _drawn(panels, name))
    if sum(agent["training"] is not None for agent in figures["agents"]) < 2:
        panels.pop()
    advice = advise(figures, run_dir)
    return section_of(command, figures, _drawn(panels, name), recommended=advice._asdict())


def _drawn(panels: Sequence[Panel], name: str) -> list[str]:
    return [svg_of(panel, f"{name}{number}") for number, panel in enumerate(panels)]


def _training_command(run_dir: Path, info: RunInfo) -> str:
    settings = [word for setting in info.overrides for word in ("--set", setting)]
    return shlex.join(["xit", "train", info.config_name, *settings, "--run-dir", str(run_dir)])


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
