"""The report of several runs as one self-contained page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from exit.card.page import rendered, write_page


class Section(NamedTuple):
    """What one command measured.

    Attributes:
      title: above it.
      body: as `section_of` makes it; None where there is nothing to show.
      problem: why not, in words.
    """

    title: str
    body: Markup | None
    problem: str | None = None


class RunPart(NamedTuple):
    """What there is to say of one run.

    Attributes:
      name: of its directory.
      sections: what was measured of it.
      facts: what it was made from, by name.
      commands: that make it and its figures again, in their order.
    """

    name: str
    sections: Sequence[Section]
    facts: Mapping[str, Any]
    commands: Sequence[str]


class Report(NamedTuple):
    """What the page shows.

    Attributes:
      settings: of runs that differ in their seed alone: `name`, number of `seeds`, `colour` and `dashes` of
        its curves.
      tables: title, names of columns, and rows of texts.
      legend: what the columns are.
      curves: of learning, as the markup of an `<svg>` each.
      diagnostics: of how it went, in the same way.
      runs: one by one.
      made: how and when the page was made.
    """

    settings: Sequence[Mapping[str, Any]]
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]]
    legend: str
    curves: Sequence[str]
    diagnostics: Sequence[str]
    runs: Sequence[RunPart]
    made: str


def section_of(
    command: str,
    figures: Mapping[str, Any],
    panels: Sequence[str],
    *,
    recommended: Mapping[str, Any] | None = None,
) -> Markup:
    """What a command measured, as part of a page.

    Args:
      command: `bench`, `frontier`, `coherence` or `foresee`.
      figures: as `xit COMMAND --json` writes them.
      panels: the command's panels, as the markup of an `<svg>` each.
      recommended: the budget of a frontier, as `exit.advice.advise` finds it.

    Raises:
      ValueError: the figures are not whole.
    """
    return rendered(
        f"report/{command}.html", figures=figures, panels=_as_markup(panels), recommended=recommended
    )


def write_report(report: Report, path: Path | str) -> Path:
    """Writes the report.

    Returns:
      The path written.

    Raises:
      OSError: it cannot be written; a report that was there is still whole.
    """
    drawn = report._replace(curves=_as_markup(report.curves), diagnostics=_as_markup(report.diagnostics))
    return write_page(rendered("report.html", report=drawn), Path(path))


def _as_markup(drawings: Sequence[str]) -> list[Markup]:
    return [Markup(drawing) for drawing in drawings]
