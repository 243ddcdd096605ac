"""How all pages are made: every word escaped, figures as people read them, files whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from exit.card.board import board_of

_TEMPLATES = Path(__file__).parent.parent / "templates"


def rendered(template: str, /, **given: Any) -> Markup:
    """A template's page or part of one; what is given as text is escaped.

    Raises:
      ValueError: what was given has not what the template shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "number": _number,
        "interval": _interval,
        "count": "{:,}".format,
        "board": _board,
    }
    try:
        return Markup(environment.get_template(template).render(**given))
    except jinja2.UndefinedError as error:
        raise ValueError(f"{template} lacks a figure: {error}") from error


def write_page(page: str, path: Path) -> Path:
    """Writes a page.

    Raises:
      OSError: it cannot be written; a page that was there is still whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)
    return path


def _percent(rate: float | None) -> str:
    return "\u2013" if rate is None else f"{100 * rate:.2f}\u202f%"


def _number(figure: float | None) -> str:
    return "\u2013" if figure is None else f"{figure:.4g}"


def _interval(row: Mapping[str, Any], name: str) -> str:
    """The 95 % interval of a rate; exact ones have none."""
    found = row["ci95"][name]
    return "exact" if found is None else f"{_percent(found[0])} to {_percent(found[1])}"


def _board(text: str) -> Markup:
    """A position as a picture where it is a board, as it was written otherwise."""
    drawn = board_of(text)
    return Markup("<pre>{}</pre>").format(text) if drawn is None else Markup(drawn)
