"""`xit solve`: exact values of a whole game."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.options import Invocation, Size, debug_option, game_argument, json_option, manual, set_option

if TYPE_CHECKING:
    from exit.game import Game


@click.command(
    epilog=manual(
        "xit solve connect_four_4x4 --json figures.json",
        "xit solve connect_four_5x5 --max-memory 4GB",
        reads="the rules of GAME, and its table if there is one",
        writes="the table into the cache (XIT_CACHE_DIR, by default ~/.cache/xit), figures to --json",
    )
)
@game_argument
@set_option("rows=5")
@click.option("--force", is_flag=True, help="Solve again even if there is a table on disk.")
@click.option(
    "--max-memory",
    type=Size(),
    metavar="SIZE",
    help="Memory the process may take, for example 4GB; what does not fit goes through the disk. "
    "Default: most of what is free.",
)
@click.option(
    "--symmetries/--no-symmetries",
    "use_symmetries",
    default=True,
    help="Keep one of several positions that are images of each other. Answers are the same.",
)
@json_option
@debug_option
@click.pass_context
def solve(
    context: click.Context,
    game_name: str,
    assignments: tuple[str, ...],
    force: bool,
    max_memory: int | None,
    use_symmetries: bool,
    json_path: Path | None,
) -> None:
    """Solve GAME exactly from its rules, and keep the table on disk for the other commands.

    A solution that takes longer than some seconds keeps what it has found on disk, in `tables` of the cache
    directory (XIT_CACHE_DIR, or ~/.cache/xit): if it is stopped, the same command goes on.
    """
    from exit.catalog import load_game, with_overrides
    from exit.cli.exact import solve_at_any_size
    from exit.game import solver_library_of
    from exit.solve import TooLarge, summary

    context.ensure_object(Invocation).when_interrupted = lambda: (
        "interrupted; the same command goes on from what is on disk"
    )
    game = with_overrides(load_game(game_name), assignments)
    console.prepare_json(json_path)
    _hint_at_statistic(game)
    try:
        table = solve_at_any_size(game, force=force, use_symmetries=use_symmetries, max_memory=max_memory)
    except TooLarge as error:
        library = solver_library_of(game)
        if library is None:
            raise
        remedy = f"but {library} solves its positions one at a time for `xit bench` and `xit play`"
        raise TooLarge(f"{str(error).partition(';')[0]}, {remedy}") from error
    figures = summary(table)
    console.say(
        f"{figures['game']}: {console.counted(figures['states'], 'position')}, "
        f"{figures['terminal_states']:,} of them finished"
    )
    console.say(f"value of the initial position, for the player to move: {_value(figures)}")
    console.say(f"solved in {figures['seconds']:.1f} s with at most {figures['peak_mb']:,.0f} MB")
    console.say(f"table: {figures['table'] or 'not kept'}")
    console.write_json(json_path, figures)


def _value(figures: dict[str, Any]) -> str:
    """The value, and how far it may be from the true one where it was approached."""
    bound = f" (at most {figures['error_bound']:.2g} off)" if figures["error_bound"] else ""
    return f"{figures['value']:.9g}{bound}"


def _hint_at_statistic(game: "Game") -> None:
    """Histories are many, and what they are worth is known of far fewer statistics."""
    from exit.game import statistic_game_of

    statistic = getattr(statistic_game_of(game), "name", None)
    if statistic is not None:
        console.warn(
            f"what histories of {game.name} are worth depends on counts alone, and bench and probe go by "
            f"these: `xit solve {statistic}` is what they need"
        )
