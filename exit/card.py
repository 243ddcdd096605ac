"""The bench card as one self-contained page."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

_TEMPLATES = Path(__file__).parent / "templates"


def write_card(bench: Mapping[str, Any], path: Path | str, *, picture: Path | None = None) -> Path:
    """Writes the card of a bench.

    Args:
      bench: as `exit.bench.bench` returns it.
      picture: as `exit.plots.plot_bench` draws it; it becomes part of the page.

    Returns:
      The path written.

    Raises:
      OSError: it cannot be written; a card that was there is still whole.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "interval": _interval}
    image = None if picture is None else base64.b64encode(picture.read_bytes()).decode()
    page = environment.get_template("card.html").render(bench=bench, image=image)
    path = Path(path)
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
