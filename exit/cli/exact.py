"""Exact values of a game, for the commands that need them."""

from exit.cli import console
from exit.game import Game
from exit.solve import Exact, Table, TooLarge, exact_of_table, fits_in_memory, load_or_solve


def load_exact(game: Game, *, max_bytes: int | None = None) -> Exact:
    """Exact values of the game, from what knows them.

    Args:
      max_bytes: as in `load_table`.

    Raises:
      UserError: nothing here knows them.
    """
    return exact_of_table(load_table(game, max_bytes=max_bytes))


def load_table(game: Game, *, force: bool = False, max_bytes: int | None = None) -> Table:
    """Every position of the game with its value, from disk or solved now.

    Args:
      force: solve even if there is a table on disk.
      max_bytes: what solving may fill; by default most of what the machine has left.

    Raises:
      TooLarge: they do not fit in memory.
      UserError: positions repeat.
    """
    with console.Progress(f"solving {game.name}") as progress:

        def report(phase: str, layer: int, states: int) -> None:
            progress.update(f"{phase}: layer {layer}, {states:,} positions")

        try:
            return load_or_solve(
                game, force=force, max_bytes=max_bytes, progress_fn=report, warn_fn=console.warn
            )
        except TooLarge as error:
            if max_bytes is None or not fits_in_memory(game):
                raise
            raise TooLarge(f"{error}: `xit solve {game.name}` may take all there is") from error
