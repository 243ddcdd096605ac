"""`xit solve`: exact values of a whole game."""

from pathlib import Path

import click

from exit.cli import console
from exit.cli.options import debug_option, game_argument, json_option, set_option


@click.command(epilog="Example: xit solve connect_four_4x4 --json figures.json")
@game_argument
@set_option("rows=5")
@click.option("--force", is_flag=True, help="Solve again even if there is a table on disk.")
@json_option
@debug_option
def solve(game_name: str, assignments: tuple[str, ...], force: bool, json_path: Path | None) -> None:
    """Solve GAME exactly from its rules, and keep the table on disk for the other commands."""
    from exit.catalog import load_game, with_overrides
    from exit.cli.exact import load_table
    from exit.game import solver_library_of
    from exit.solve import TooLarge, summary

    game = with_overrides(load_game(game_name), assignments)
    console.prepare_json(json_path)
    try:
        table = load_table(game, force=force)
    except TooLarge as error:
        library = solver_library_of(game)
        if library is None:
            raise
        remedy = f"but {library} solves its positions one at a time for `xit bench` and `xit play`"
        raise TooLarge(f"{str(error).partition(';')[0]}, {remedy}") from error
    figures = summary(table)
    console.say(
        f"{figures['game']}: {figures['states']:,} positions, {figures['terminal_states']:,} of them finished"
    )
    console.say(f"value of the initial position, for the player to move: {figures['value']:.9g}")
    console.say(f"solved in {figures['seconds']:.1f} s with at most {figures['peak_mb']:,.0f} MB")
    console.say(f"table: {figures['table'] or 'not kept'}")
    console.write_json(json_path, figures)
