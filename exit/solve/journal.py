"""What is written down of a solution under way, so that a later process can go on.

A directory of layers holds one file a column, named after its content, and `journal.json`, which names
those that count and is replaced in one step. A file that the journal does not name, or that does not hold
what its name says, was never written.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exit.solve.columns import Column, FileColumn, digest_of, write_whole
from exit.solve.space import Space

FORMAT = 1
"""Version of the files; raised when they change."""

COLUMNS = ("keys", "values", "optimal")

_NAME = "journal.json"
_LOCK = "lock"


@dataclass
class Layer:
    """The states that so many moves reach.

    Attributes:
      keys: packed, sorted.
      num_states: images included; 0 until it is known where they lead.
      num_finished: those in which no action is legal.
      values: to the player to move, as in `Values.data`.
      optimal: sets of optimal moves.
    """

    keys: Column
    num_states: int = 0
    num_finished: int = 0
    values: Column | None = None
    optimal: Column | None = None

    @property
    def columns(self) -> dict[str, Column]:
        """Those there are, by name."""
        named = {name: getattr(self, name) for name in COLUMNS}
        return {name: column for name, column in named.items() if column is not None}


@dataclass
class Journal:
    """A solution under way.

    Attributes:
      layers: by ply.
      complete: there are no more of them.
      levels: values that occur, by their numbers.
      numbered: values that are written next are numbers of levels.
      seconds: spent so far.
    """

    layers: list[Layer]
    complete: bool
    levels: list[float]
    numbered: bool
    seconds: float


def identity(space: Space) -> dict[str, Any]:
    """What must agree for stored values to be used."""
    game = space.game
    return {"game": game.name, "version": game.version, "rules": repr(game), "symmetries": space.num_images}


def has_journal(directory: Path) -> bool:
    """Whether there is something to go on from, damaged or not."""
    return (directory / _NAME).exists()


def write_journal(directory: Path, space: Space, journal: Journal) -> None:
    """Replaces the journal in one step."""
    body = {
        "format": FORMAT,
        **identity(space),
        "complete": journal.complete,
        "levels": journal.levels,
        "numbered": journal.numbered,
        "seconds": journal.seconds,
        "layers": [_described(layer) for layer in journal.layers],
    }
    text = json.dumps({"digest": _digest_of(body), "body": body}, indent=1)
    write_whole(directory / _NAME, text.encode())


def read_journal(directory: Path, space: Space) -> Journal | None:
    """What the journal says; None if it is damaged or speaks of other rules. Other files are removed."""
    try:
        stored = json.loads((directory / _NAME).read_bytes())
        body = stored["body"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    expected = {"format": FORMAT, **identity(space)}
    if stored["digest"] != _digest_of(body) or any(body[name] != value for name, value in expected.items()):
        return None
    layers = [_layer(directory, row) for row in body["layers"]]
    named = {entry["file"] for row in body["layers"] for entry in row["columns"].values()}
    for path in directory.iterdir():
        if path.name not in named | {_NAME, _LOCK}:
            path.unlink()
    return Journal(layers, body["complete"], body["levels"], body["numbered"], body["seconds"])


def _described(layer: Layer) -> dict[str, Any]:
    columns = {
        name: {"file": column.path.name, "dtype": column.dtype.str, "length": column.length}
        for name, column in layer.columns.items()
        if isinstance(column, FileColumn)
    }
    return {"num_states": layer.num_states, "num_finished": layer.num_finished, "columns": columns}


def _layer(directory: Path, row: dict[str, Any]) -> Layer:
    columns = {
        name: FileColumn.named(directory / entry["file"], np.dtype(entry["dtype"]), entry["length"])
        for name, entry in row["columns"].items()
    }
    return Layer(num_states=row["num_states"], num_finished=row["num_finished"], **columns)


def _digest_of(body: dict[str, Any]) -> str:
    return digest_of(json.dumps(body, sort_keys=True).encode())


def lock_of(directory: Path) -> Path:
    """The file that one process at a time holds."""
    return directory / _LOCK
