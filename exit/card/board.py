"""A position that a game writes as rows of X, O and empty cells, drawn as a board."""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_CELL = 32
_EDGE = 4
_LABEL = 16
_STONES = {"X": "first", "O": "second"}


class _Rows(NamedTuple):
    """A board as it was written.

    Attributes:
      cells: what stands in each cell of each row: X, O, or anything else where it is empty.
      columns: what the columns are called, from the left; none if they have no names.
      names: what the rows are called, from the top; none if they have no names.
      slant: whether each row begins half a cell further to the right than the one above.
      is_below: whether the names of the columns stand below.
    """

    cells: Sequence[Sequence[str]]
    columns: Sequence[str]
    names: Sequence[str]
    slant: bool
    is_below: bool


def board_of(text: str) -> str | None:
    """The board as the markup of one `<svg>`; None of a text that is no board.

    Second players' stones have a ring, so that colour is not all that tells them apart.
    """
    rows = _read(text)
    if rows is None:
        return None
    left, top = _EDGE + _LABEL * bool(rows.names), _EDGE + _LABEL * (bool(rows.columns) and not rows.is_below)
    shift = _CELL / 2 if rows.slant else 0.0
    right = left + len(rows.cells[0]) * _CELL + (len(rows.cells) - 1) * shift
    bottom = top + len(rows.cells) * _CELL
    shapes = []
    for number, row in enumerate(rows.cells):
        for column, what in enumerate(row):
            x, y = left + (column + 0.5) * _CELL + number * shift, top + (number + 0.5) * _CELL
            shapes.append(
                f'<rect class="cell" x="{x - 16:g}" y="{y - 16:g}" width="{_CELL}" height="{_CELL}"/>'
            )
            shapes.append(_inside(x, y, what))
        if rows.names:
            place = left - _LABEL / 2 - 2 + number * shift
            shapes.append(_word(place, top + (number + 0.5) * _CELL + 4, rows.names[number]))
    for column, word in enumerate(rows.columns):
        y = bottom + _LABEL - 4.0 if rows.is_below else top - 5.0
        shapes.append(_word(left + (column + 0.5) * _CELL, y, word))
    height = bottom + _EDGE + _LABEL * (rows.is_below and bool(rows.columns))
    return (
        f'<svg class="board" viewBox="0 0 {right + _EDGE:g} {height:g}" style="width:{right + _EDGE:g}px" '
        f'role="img" aria-label="{escape(text)}">{"".join(shapes)}</svg>'
    )


def _inside(x: float, y: float, what: str) -> str:
    """A stone, or the name of an empty cell."""
    kind = _STONES.get(what)
    if kind is None:
        return "" if what == "." else _word(x, y + 4, what)
    ring = f'<circle class="ring" cx="{x:g}" cy="{y:g}" r="7"/>' if what == "O" else ""
    return f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="13"/>{ring}'


def _word(x: float, y: float, word: str) -> str:
    return f'<text x="{x:g}" y="{y:g}">{escape(word)}</text>'


def _read(text: str) -> _Rows | None:
    """What is written; None if it is no board."""
    lines = [line for line in text.split("\n") if line.strip()]
    if lines and re.fullmatch(r"[XO] to move", lines[-1].strip()):
        lines.pop()
    words = [line.split() for line in lines]
    columns: list[str] = []
    names: list[str] = []
    is_below = False
    if words and words[0] == [chr(97 + index) for index in range(len(words[0]))]:
        columns, words, lines = words[0], words[1:], lines[1:]
        names, words = [row[0] for row in words], [row[1:] for row in words]
    elif len(words) > 1 and words[-1] == [str(index) for index in range(len(words[0]))]:
        columns, words, lines, is_below = words[-1], words[:-1], lines[:-1], True
    widths = {len(row) for row in words}
    if len(widths) != 1 or 0 in widths or (columns and len(columns) not in widths):
        return None
    if not all(re.fullmatch(r"[XO.]|\d{1,3}", cell) for row in words for cell in row):
        return None
    # Numbers alone are a game of numbers.
    if not any(cell in "XO." for row in words for cell in row):
        return None
    indents = [len(line) - len(line.lstrip()) for line in lines]
    slant = len(indents) > 1 and all(indent == place for place, indent in enumerate(indents))
    return _Rows(words, columns, names, slant, is_below)
