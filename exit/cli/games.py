"""`xit games`: what can be played."""

from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.options import debug_option, json_option


@click.command(epilog="Example: xit games --json games.json")
@json_option
@debug_option
def games(json_path: Path | None) -> None:
    """List the games, their sizes, and which exact solver serves each.

    Other sizes load by name too, such as connect_four_5x6 (rows x columns) or nim_2_2_7 (heaps).
    """
    console.prepare_json(json_path)
    from exit.catalog import game_names

    rows = [_figures(name) for name in game_names()]
    columns = ("game", "actions", "outcomes", "positions", "exact values")
    console.show_table("games", columns, [_cells(row) for row in rows])
    console.write_json(json_path, rows)


def _figures(name: str) -> dict[str, Any]:
    """What the listing says of one game."""
    from exit.catalog import load_game
    from exit.errors import UserError
    from exit.game import num_states_of
    from exit.solve import fits_in_memory, load_table, table_directory

    game = load_game(name)
    try:
        table = load_table(game, table_directory(game))
    except UserError:
        table = None
    return {
        "game": name,
        "actions": game.num_actions,
        "outcomes": game.num_outcomes,
        "observation_shape": list(game.observation_shape),
        "states": num_states_of(game) if table is None else table.num_states,
        "solver": "rules" if table is not None or fits_in_memory(game) else None,
        "table": None if table is None else str(table.directory),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    states = "-" if row["states"] is None else f"{row['states']:,}"
    if row["solver"] is None:
        solver = "-"
    else:
        solver = "from the rules" if row["table"] is None else "from the rules; on disk"
    return [row["game"], str(row["actions"]), str(row["outcomes"]), states, solver]
