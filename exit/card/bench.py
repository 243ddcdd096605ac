"""The bench card as one self-contained page."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exit.card.page import rendered, write_page


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
    image = None if picture is None else base64.b64encode(picture.read_bytes()).decode()
    return write_page(rendered("card.html", bench=bench, image=image), Path(path))
