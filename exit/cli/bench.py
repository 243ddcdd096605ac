"""`xit bench`: a run's agent against exact values, at several budgets."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.fleet import FleetOptions, fleet_options
from exit.cli.options import (
    NonNegativeList,
    agent_argument,
    capacity_option,
    debug_option,
    json_option,
    manual,
)
from exit.errors import UsageError

if TYPE_CHECKING:
    from exit.game import Game

_BUDGETS = (0, 16, 64)
# Enough for what is solved within a minute; `xit solve` makes larger tables.
_MAX_TABLE_BYTES = 256 << 20
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


@click.command(
    epilog=manual(
        "xit bench runs/tic_tac_toe --budgets 0,16,64",
        "xit bench connect_four --max-positions 500",
        reads="AGENT, exact values from the cache of tables or positions, and --positions",
        writes="bench.json, bench.html and bench.png in the run directory "
        "(below runs/ for an agent that is a file); with --positions hard.jsonl, bench-hard.json and so on",
    )
)
@agent_argument
@click.option(
    "--budgets",
    type=NonNegativeList(),
    metavar="N,N,...",
    help="Simulations a move. Default: 0, 16 and 64, as far as the capacity goes.",
)
@click.option(
    "--positions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help='Measure these positions only: JSON lines such as {"moves": [3, 3, 4]}. '
    "Default: what --max-positions says.",
)
@click.option(
    "--max-positions",
    type=click.IntRange(min=1),
    metavar="N",
    help="Measure a random sample of at most N. Default: all, or 2000 where no table knows them all.",
)
@click.option(
    "--max-reached",
    type=click.IntRange(min=0),
    metavar="N",
    help="Follow the agent to at most N positions a seat for exploitability and certificate; 0 leaves them "
    "out. Default: 100000, or 0 with --positions.",
)
@capacity_option
@fleet_options
@json_option
@debug_option
def bench(
    source: Path,
    budgets: tuple[int, ...] | None,
    max_simulations: int | None,
    positions: Path | None,
    max_positions: int | None,
    max_reached: int | None,
    fleet: FleetOptions,
    json_path: Path | None,
) -> None:
    """Measure how far AGENT is from perfect play, exactly, at each budget.

    AGENT is a run directory, a file that `xit export` wrote, or the name of an agent that comes with xit.
    """
    if positions is not None and max_positions is not None:
        raise UsageError("give --positions or --max-positions, not both")
    fleet.check()
    from exit.bench import MAX_REACHED
    from exit.bench import bench as measure
    from exit.card import write_card
    from exit.cli.exact import load_exact
    from exit.cli.loading import load_agent
    from exit.evaluate import Positions, positions_of
    from exit.plots import plot_bench

    acts_of = fleet.acting([source])
    agent = load_agent(source, budgets or (), max_simulations)
    console.prepare_json(json_path)
    budgets = budgets or _default_budgets(agent.search.max_simulations)
    given = None if positions is None else Positions("file", _keys(agent.game, positions))
    exact = load_exact(agent.game, max_bytes=_MAX_TABLE_BYTES)
    if max_reached is None:
        max_reached = MAX_REACHED if positions is None and exact.table is not None else 0
    with console.Progress("measuring") as progress:

        def report(what: str, done: int, total: int) -> None:
            if total:
                progress.update(f"{what}: {done:,} of {total:,} positions", done / total)
            else:
                progress.update(f"{what}, followed through every reply: {done:,} positions")

        figures = measure(
            agent,
            exact,
            budgets,
            positions=given or positions_of(exact, max_positions),
            max_reached=max_reached,
            acts=acts_of and acts_of(agent),
            progress_fn=report,
        )
    figures["provenance"]["command"] = console.command_line()
    _show(figures, max_reached)
    title = f"{figures['game']}: play against exact values"
    folder = console.folder_of(agent.source)
    # The report and the page go by what the agent does in all positions, not in a choice of them.
    name = "bench" if positions is None else f"bench-{positions.stem}"
    console.keep_figures(folder, name, figures, json_path)
    picture = console.show_picture(lambda: plot_bench(figures, folder / f"{name}.png", title=title))
    console.show_picture(lambda: write_card(figures, folder / f"{name}.html", picture=picture), name="card")


def _default_budgets(capacity: int) -> tuple[int, ...]:
    return tuple(sorted({min(budget, capacity) for budget in _BUDGETS}))


def _keys(game: "Game", path: Path) -> Any:
    """Keys of the positions in a file; raises UserError at the first line that is none."""
    import jax
    import numpy as np

    from exit.cli.positions import positions_of
    from exit.errors import UserError

    # Windows editors begin a file with a mark.
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = {number: line for number, line in enumerate(text.splitlines(), start=1) if line.strip()}
    if not lines:
        raise UserError(f'{path} has no positions; write one on each line, such as {{"moves": []}}')
    found = positions_of(game, list(lines.values()))
    for number, error in zip(lines, found.errors, strict=True):
        if error is not None:
            raise UserError(f"{path}, line {number}: {error}")
    keys = np.asarray(jax.vmap(game.encode)(found.states))
    # Twice the same is no more evidence.
    _, first = np.unique(keys, axis=0, return_index=True)
    if repeated := len(keys) - len(first):
        console.warn(f"{path} repeats {console.counted(repeated, 'position')}; each counts once")
    return keys[np.sort(first)]


def _show(figures: dict[str, Any], max_reached: int) -> None:
    positions = figures["positions"]
    console.show_table(
        f"{figures['game']}: {console.counted(positions['count'], 'position')} ({positions['kind']}), "
        f"{positions['critical']:,} critical",
        _COLUMNS,
        [_cells(row) for row in figures["budgets"]],
    )
    if figures["amortization_gap"] is not None:
        console.say(
            f"amortization gap, the regret that search still removes: {figures['amortization_gap']:.5g}"
        )
    if figures["returns"] is not None:
        _show_returns(figures)
    for row in figures["budgets"]:
        if row.get("certificate"):
            _show_adversary(row)
        elif max_reached:
            console.say(
                f"budget {row['budget']}: exploitability is not measured, since the agent can come to more "
                f"than {max_reached:,} positions from a seat (--max-reached)"
            )
    if (overrides := figures["overrides"]) is not None:
        console.say(
            f"in {console.counted(overrides['budget'], 'simulation')} search changed "
            f"{overrides['changed']:,} of the reflex's moves, "
            f"{overrides['helped']:,} for the better, {overrides['hurt']:,} for the worse"
        )
    wrong = figures["wrong_at_every_budget"]["count"]
    console.say(f"wrong at every budget: {console.counted(wrong, 'position')}")


def _show_returns(figures: dict[str, Any]) -> None:
    """Expected returns of the agent, of perfect play and of rules of thumb."""
    returns = figures["returns"]
    first = next(iter(returns["baselines"]))
    rows = [
        *((f"budget {row['budget']}", row) for row in figures["budgets"]),
        ("perfect play", {"expected_return": returns["optimal"], "gap_closed": 1.0}),
        *returns["baselines"].items(),
    ]
    intervals = [row.get("ci95", {}).get("gap_closed") for _, row in rows]
    sampled = any(interval is not None for interval in intervals)
    console.show_table(
        f"expected return from the start, {'exact where there is no interval' if sampled else 'exactly'}",
        ("policy", "return", f"of the gap from {first}", *["95% interval"] * sampled),
        [
            [
                name,
                f"{row['expected_return']:.6f}",
                console.percent(row["gap_closed"]),
                *[_percents(interval)] * sampled,
            ]
            for (name, row), interval in zip(rows, intervals, strict=True)
        ],
    )


def _show_adversary(row: dict[str, Any]) -> None:
    """What an opponent can make of the agent at one budget."""
    verdict = "certified from every seat" if row["certified"] else "not certified"
    console.say(f"budget {row['budget']}: exploitability {row['exploitability']:.5g}, {verdict}")
    for seat in row["certificate"]:
        if seat["line"] is not None:
            console.say(
                f"  {seat['seat']} seat: after {seat['line']} it plays {seat['action']} and gives away "
                f"{seat['regret']:.4g}; best is {' or '.join(map(str, seat['best_actions']))}"
            )


def _cells(row: dict[str, Any]) -> list[str]:
    interval = row["ci95"]["mistake_rate"]
    return [
        str(row["budget"]),
        rate_text(row["mistake_rate"]),
        _percents(interval),
        rate_text(row["critical_mistake_rate"]),
        f"{row['mean_regret']:.5f}",
        f"{row['max_regret']:.4g}",
        f"{row['value_mae']:.4f}",
        f"{row['mean_simulations']:.1f}",
        f"{row['ms_per_move']:.3g}",
    ]


def rate_text(rate: float | None) -> str:
    """A rate in percent; of the rarest mistakes in millions of positions with as many digits as they need."""
    if not rate or rate >= 1e-4:
        return console.percent(rate)
    return f"{100 * rate:.2g}%" if rate >= 1e-6 else "<0.0001%"


def _percents(interval: list[float] | None) -> str:
    """An interval of rates."""
    return "-" if interval is None else f"{rate_text(interval[0])} to {rate_text(interval[1])}"
