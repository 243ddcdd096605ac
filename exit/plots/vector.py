"""A panel as SVG that stands within a page: words drawn as outlines, ink of the page's own colour."""

import io
import re
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

from exit.plots.style import BLACK, Panel, tidy

_SIZE = (5.2, 3.4)
# Told apart from every other colour, so that it can be found again in what is written.
_INK = "#010203"
_LOOK: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "xit",
    "font.size": 9.5,
    "lines.markersize": 4.5,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), _INK
    ),
}


def svg_of(panel: Panel, name: str) -> str:
    """A panel as the markup of one `<svg>`.

    It needs no font and nothing else from outside, scales with its place, and takes the colour of text there.

    Args:
      name: of letters and digits; keeps its identifiers apart from those of others on the page.
    """
    with matplotlib.rc_context(_LOOK):
        figure, axis = plt.subplots(figsize=_SIZE, layout="tight")
        try:
            panel.draw(axis)
            tidy(axis)
            written = io.StringIO()
            figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        finally:
            plt.close(figure)
    return _within(written.getvalue(), name, panel.says)


def _within(svg: str, name: str, says: str) -> str:
    """The root element alone, fit for its place."""
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    head, _, body = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for ink in (_INK, BLACK):
        body = body.replace(ink, "currentColor")
    label = says.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'<svg {box[0]} role="img" aria-label="{label}">{body.strip()}'
