"""`xit bench`: a run's agent against exact values, at several budgets."""

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.options import NonNegativeList, capacity_option, debug_option, json_option, run_argument
from exit.errors import UsageError

if TYPE_CHECKING:
    from exit.agent import Agent
    from exit.game import Game
    from exit.search import SearchResult
    from exit.solve import Exact

_PICTURE = "bench.png"
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


@click.command(epilog="Example: xit bench runs/tic_tac_toe --budgets 0,16,64 --json bench.json")
@run_argument
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
    help='Measure these positions only: JSON lines such as {"moves": [3, 3, 4]}.',
)
@click.option(
    "--max-positions", type=click.IntRange(min=1), metavar="N", help="Measure a random sample of at most N."
)
@capacity_option
@json_option
@debug_option
def bench(
    run_dir: Path,
    budgets: tuple[int, ...] | None,
    max_simulations: int | None,
    positions: Path | None,
    max_positions: int | None,
    json_path: Path | None,
) -> None:
    """Measure how far the agent of the run in DIR is from perfect play, exactly, at each budget."""
    if positions is not None and max_positions is not None:
        raise UsageError("give --positions or --max-positions, not both")
    from exit.cli.exact import load_exact
    from exit.cli.loading import load_agent
    from exit.plots import plot_bench

    agent = load_agent(run_dir, budgets or (), max_simulations)
    console.prepare_json(json_path)
    budgets = budgets or _default_budgets(agent.search.max_simulations)
    kind, keys = ("all", None) if positions is None else ("file", _keys(agent.game, positions))
    exact = load_exact(agent.game, max_bytes=_MAX_TABLE_BYTES)
    if keys is None and max_positions is not None:
        kind, keys = _sample(exact, max_positions)
    figures = {
        "game": agent.game.name,
        "run": str(run_dir),
        "solver": exact.solver,
        "hardware": _hardware(),
        **_measured(agent, exact, budgets, kind, keys),
    }
    figures |= {"exploitability": None, "certified": _certified(figures)}
    _show(figures)
    console.write_json(json_path, figures)
    title = f"{figures['game']}: play against exact values"
    console.show_picture(lambda: plot_bench(figures, run_dir / _PICTURE, title=title))


def _default_budgets(capacity: int) -> tuple[int, ...]:
    return tuple(sorted({min(budget, capacity) for budget in _BUDGETS}))


def _sample(exact: "Exact", max_positions: int) -> tuple[str, Any]:
    """A kind of positions and their keys: all that are unfinished, or a random sample of them."""
    import numpy as np

    from exit.solve import table_of, unfinished_keys

    keys = unfinished_keys(table_of(exact))
    if len(keys) <= max_positions:
        return "all", keys
    chosen = np.random.default_rng(0).choice(len(keys), max_positions, replace=False)
    return "sample", keys[np.sort(chosen)]


def _measured(
    agent: "Agent", exact: "Exact", budgets: tuple[int, ...], kind: str, keys: Any
) -> dict[str, Any]:
    """The figures of all budgets."""
    from exit.evaluate import benchmark

    with console.Progress("measuring") as progress:

        def act(states: Any, budget: int) -> "SearchResult":
            return agent.act(states, budget=budget)

        def report(budget: int, done: int, total: int) -> None:
            fraction = (budgets.index(budget) + done / total) / len(budgets)
            progress.update(f"budget {budget}: {done:,} of {total:,} positions", fraction)

        return benchmark(act, exact, budgets, keys=keys, kind=kind, progress_fn=report)


def _certified(figures: dict[str, Any]) -> bool | None:
    """Whether the reflex makes no mistake anywhere; None where that was not measured."""
    reflex = [row for row in figures["budgets"] if row["budget"] == 0]
    if figures["positions"]["kind"] != "all" or not reflex:
        return None
    return reflex[0]["mistakes"] == 0


def _hardware() -> str:
    """What the times were taken on."""
    import jax

    kinds = ", ".join(device.device_kind for device in jax.devices())
    return f"{kinds}; {os.cpu_count()} CPU cores, {platform.machine()}; jax {jax.__version__}"


def _keys(game: "Game", path: Path) -> Any:
    """Keys of the positions in a file; raises UserError at the first line that is none."""
    import jax
    import numpy as np

    from exit.cli.positions import positions_of
    from exit.errors import UserError

    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if not lines:
        raise UserError(f'{path} has no positions; write one on each line, such as {{"moves": []}}')
    found = positions_of(game, lines)
    for number, error in enumerate(found.errors, start=1):
        if error is not None:
            raise UserError(f"{path}, position {number}: {error}")
    return np.asarray(jax.vmap(game.encode)(found.states))


def _show(figures: dict[str, Any]) -> None:
    positions = figures["positions"]
    console.show_table(
        f"{figures['game']}: {positions['count']:,} positions ({positions['kind']}), "
        f"{positions['critical']:,} critical",
        _COLUMNS,
        [_cells(row) for row in figures["budgets"]],
    )
    if figures["amortization_gap"] is not None:
        console.say(
            f"amortization gap, the regret that search still removes: {figures['amortization_gap']:.5g}"
        )
    if figures["certified"] is not None:
        console.say(f"the reflex is perfect in every position: {'yes' if figures['certified'] else 'no'}")


def _cells(row: dict[str, Any]) -> list[str]:
    interval = row["ci95"]["mistake_rate"]
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
