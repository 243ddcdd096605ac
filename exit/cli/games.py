"""`xit games`: what can be played."""

from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.options import debug_option, json_option, manual


@click.command(
    epilog=manual(
        "xit games --json games.json",
        reads="the rules of every game, and which tables `xit solve` has kept",
        writes="the list to stdout, and to --json",
    )
)
@json_option
@debug_option
def games(json_path: Path | None) -> None:
    """List the games, their sizes, and which exact solver serves each.

    Other sizes load by name too, such as connect_four_5x6 (rows x columns) or nim_2_2_7 (heaps). Games of
    other libraries, such as pgx:go_9x9, are listed by name alone, since loading them takes long.
    """
    console.prepare_json(json_path)
    from exit.catalog import game_names, shelf_names

    rows = [*map(_figures, game_names()), *map(_no_figures, shelf_names())]
    columns = ("game", "actions", "outcomes", "positions", "exact values")
    console.show_table("games", columns, [_cells(row) for row in rows])
    console.write_json(json_path, rows)


def _figures(name: str) -> dict[str, Any]:
    """What the listing says of one game."""
    from exit.catalog import load_game
    from exit.errors import UserError
    from exit.game import num_states_of, solver_library_of
    from exit.solve import fits_in_memory, library_version, load_table, table_directory

    game = load_game(name)
    try:
        table = load_table(game, table_directory(game))
    except UserError:
        table = None
    by_rules = table is not None or fits_in_memory(game)
    return {
        "game": name,
        "actions": game.num_actions,
        "outcomes": game.num_outcomes,
        "observation_shape": list(game.observation_shape),
        "states": num_states_of(game) if table is None else table.num_states,
        "solver": "rules" if by_rules else solver_library_of(game),
        "solver_version": None if by_rules else library_version(game),
        "table": None if table is None else str(table.directory),
    }


def _no_figures(name: str) -> dict[str, Any]:
    """What the listing says of a game that it does not load."""
    figures = (
        "actions",
        "outcomes",
        "observation_shape",
        "states",
        "solver",
        "solver_version",
        "table",
    )
    return {"game": name, **dict.fromkeys(figures)}


def _cells(row: dict[str, Any]) -> list[str]:
    actions, outcomes, states = (
        "-" if row[name] is None else _count(row[name]) for name in ("actions", "outcomes", "states")
    )
    return [row["game"], actions, outcomes, states, _solver(row)]


def _count(number: int) -> str:
    """A number of positions; what has many digits is an estimate."""
    return f"{number:,}" if number < 10**15 else f"{number:.1e}"


def _solver(row: dict[str, Any]) -> str:
    """What knows exact values of the game."""
    if row["solver"] is None:
        return "-"
    if row["solver"] == "rules":
        return "from the rules" if row["table"] is None else "from the rules; on disk"
    version = row["solver_version"]
    return row["solver"] + (f" {version}" if version else f"; pip install 'xit[{row['solver']}]'")
