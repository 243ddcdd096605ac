"""A policy as a table: the move in every state that can be reached, in one file of plain arrays."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt32

from exit.compile.files import write_bytes
from exit.errors import UsageError
from exit.solve.keys import pack, positions

_HEADER = "header"


class PolicyTable(NamedTuple):
    """What a file holds.

    Attributes:
      header: game, version, agent, certificate.
      keys: of all unfinished states, as `Game.encode` makes them, sorted, the last word counting most.
      action: what is played there.
    """

    header: Mapping[str, Any]
    keys: UInt32[np.ndarray, "n K"]
    action: Int[np.ndarray, " n"]


def save_policy_table(path: Path, table: PolicyTable) -> None:
    """Writes NumPy's `.npz` without pickled objects: `header` (JSON as bytes), `keys` and `actions`.

    Raises:
      UserError: it cannot be written.
    """
    order = np.argsort(pack(table.keys))
    small = np.min_scalar_type(int(table.action.max(initial=0)))
    arrays = {
        _HEADER: np.frombuffer(json.dumps(dict(table.header)).encode(), np.uint8),
        "keys": table.keys[order],
        "actions": table.action[order].astype(small),
    }
    write_bytes(path, lambda file: np.savez_compressed(file, **arrays))


def load_policy_table(path: Path) -> PolicyTable:
    """Reads such a file.

    Raises:
      UsageError: there is none, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
        header = json.loads(arrays[_HEADER].tobytes())
        return PolicyTable(header, arrays["keys"], arrays["actions"].astype(np.int64))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise UsageError(f"{path} holds no policy; `xit compile --to table` writes one") from error


def moves_at(table: PolicyTable, keys: UInt32[np.ndarray, "n K"]) -> Int[np.ndarray, " n"]:
    """The moves in the states of keys.

    Raises:
      KeyError: a state is not in the table.
    """
    known, asked = pack(table.keys), pack(np.asarray(keys, np.uint32))
    rows = positions(known, asked)
    if len(asked) and not (len(known) and (known[rows] == asked).all()):
        raise KeyError("a state is not in the table")
    return table.action[rows]
