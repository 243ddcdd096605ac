"""What the commands that measure a run leave in its directory, for the report and the page to show."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exit.errors import UserError

_MAX_BYTES = 16 << 20


def keep_figures(folder: Path, command: str, figures: Mapping[str, Any]) -> Path:
    """Writes what a command measured, in the place of what it measured before.

    Returns:
      The path written.

    Raises:
      OSError: it cannot be written; a file that was there is still whole.
    """
    path = folder / f"{command}.json"
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    draft.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def read_figures(folder: Path, command: str) -> dict[str, Any]:
    """What a command measured last.

    Raises:
      UserError: nothing yet, or its file is damaged or too large; says which command makes it.
    """
    path = folder / f"{command}.json"
    remedy = f"`xit {command} {folder}`"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"the {path.name} of this run is over {_MAX_BYTES:,} bytes; it is not shown")
        # What is no number has no place in JSON that a browser reads.
        figures = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except FileNotFoundError as error:
        raise UserError(f"there is no {path.name} yet; {remedy} makes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"the {path.name} of this run is damaged; {remedy} writes it again") from error
    if not isinstance(figures, dict):
        raise UserError(f"the {path.name} of this run is damaged; {remedy} writes it again")
    return figures
