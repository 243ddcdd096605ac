"""`xit bench`: a run's agent against exact values, at several budgets."""

from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.options import NonNegativeList, debug_option, json_option, run_argument

_PICTURE = "bench.png"
_COLUMNS = (
    "budget",
    "mistakes",
    "95% interval",
    "of critical",
    "mean regret",
    "max regret",
    "value error",
    "simulations",
    "ms/move",
)


@click.command(epilog="Example: xit bench runs/tic_tac_toe --budgets 0,16,64 --json bench.json")
@run_argument
@click.option(
    "--budgets",
    type=NonNegativeList(),
    default="0,16,64",
    show_default=True,
    metavar="N,N,...",
    help="Simulations a move.",
)
@click.option(
    "--positions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Measure these positions only: JSON lines such as {"moves": [3, 3, 4]}.',
)
@click.option(
    "--max-positions", type=click.IntRange(min=1), metavar="N", help="Measure a random sample of at most N."
)
@json_option
@debug_option
def bench(
    run_dir: Path,
    budgets: tuple[int, ...],
    positions: Path | None,
    max_positions: int | None,
    json_path: Path | None,
) -> None:
    """Measure how far the agent of the run in DIR is from perfect play, exactly, at each budget."""
    console.prepare_json(json_path)
    from exit.agent import Agent
    from exit.evaluate import benchmark
    from exit.plots import plot_bench
    from exit.solve import load_or_solve

    agent = Agent.load(run_dir)
    states = None if positions is None else _states(agent.game, positions)
    with console.Progress(f"solving {agent.game.name}") as solving:

        def report_solving(phase: str, layer: int, states: int) -> None:
            solving.update(f"{phase}: layer {layer}, {states:,} positions")

        table = load_or_solve(agent.game, progress_fn=report_solving, warn_fn=console.warn)
    with console.Progress(f"measuring {run_dir}") as measuring:
        figures = benchmark(
            agent, table, budgets, states=states, max_positions=max_positions, progress_fn=measuring.update
        )
    _show(figures)
    picture = plot_bench(figures, run_dir / _PICTURE, title=f"{figures['game']}: play against exact values")
    console.say(f"picture: {picture}")
    console.write_json(json_path, figures)


def _states(game: Any, path: Path) -> Any:
    """The states that a file of positions describes; raises UserError at the first line that is none."""
    from exit.cli.positions import positions_of
    from exit.errors import UserError

    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if not lines:
        raise UserError(f'{path} has no positions; write one on each line, such as {{"moves": []}}')
    found = positions_of(game, lines)
    for number, error in enumerate(found.errors, start=1):
        if error is not None:
            raise UserError(f"{path}, position {number}: {error}")
    return found.states


def _show(figures: dict[str, Any]) -> None:
    positions = figures["positions"]
    console.show_table(
        f"{figures['game']}: {positions['count']:,} positions ({positions['kind']}), "
        f"{positions['critical']:,} critical",
        _COLUMNS,
        [_cells(row) for row in figures["budgets"]],
    )
    if figures.get("amortization_gap") is not None:
        console.say(f"amortization gap (regret that search still removes): {figures['amortization_gap']:.5g}")
    if figures.get("exploitability") is not None:
        console.say(f"exploitability: {figures['exploitability']:.5g}")
    if figures.get("certified") is not None:
        console.say(f"plays perfectly in every position: {'yes' if figures['certified'] else 'no'}")


def _cells(row: dict[str, Any]) -> list[str]:
    interval = (row.get("ci95") or {}).get("mistake_rate")
    return [
        str(row["budget"]),
        console.percent(row["mistake_rate"]),
        "-" if interval is None else f"{console.percent(interval[0])} to {console.percent(interval[1])}",
        console.percent(row["critical_mistake_rate"]),
        f"{row['mean_regret']:.5f}",
        f"{row['max_regret']:.4g}",
        f"{row['value_mae']:.4f}",
        f"{row['mean_simulations']:.1f}",
        f"{row['ms_per_move']:.3g}",
    ]
