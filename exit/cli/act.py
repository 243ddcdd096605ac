"""`xit act`: an answer a position, JSON lines in and out."""

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from exit.cli import console
from exit.cli.options import BudgetOrAuto, agent_argument, capacity_option, debug_option, manual
from exit.errors import UsageError

if TYPE_CHECKING:
    from exit.agent import Agent
    from exit.search import SearchResult

_BATCH_SIZES = (1, 16, 256)
# Of all search trees of a batch together; bounds its memory when the capacity is large.
_MAX_NODES = 1 << 21
_DASH = Path("-")


@click.command(
    epilog=manual(
        "echo '{\"moves\": [4]}' | xit act runs/tic_tac_toe --budget 64",
        "xit act connect_four --deadline-ms 50 --positions positions.jsonl --out answers.jsonl",
        reads="AGENT, and a position a line",
        writes="an answer a line, in the same order",
    )
)
@agent_argument
@click.option(
    "--budget",
    type=BudgetOrAuto(),
    metavar="N|auto",
    help="Simulations a position; 0 is the reflex, auto thinks as long as it seems worth it. "
    "Default: with --deadline-ms or --price, the capacity.",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    metavar="P",
    help="What a simulation costs, as a share of the distance between the game's value bounds: a position "
    "is thought about until one more seems worth no more, within the budget. "
    "Default: 0.01 with auto, else none.",
)
@click.option(
    "--deadline-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="T",
    help="Milliseconds a position may take; with a budget, whichever ends first. Default: no limit.",
)
@capacity_option
@click.option(
    "--positions",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    default="-",
    metavar="FILE",
    help="Positions, one a line. Default: stdin.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="-",
    metavar="FILE",
    help="Where the answers go. Default: stdout.",
)
@debug_option
def act(
    source: Path,
    budget: int | str | None,
    price: float | None,
    deadline_ms: float | None,
    max_simulations: int | None,
    positions: Path,
    out: Path,
) -> None:
    """Answer each position with a move, its value, and how sure AGENT is.

    AGENT is a run directory, a file that `xit export` wrote, or the name of an agent that comes with xit.

    A position is a line such as {"moves": [3, 3, 4]}: the actions from the initial state, or, in games with
    chance, action, outcome, action, outcome and so on. A position that cannot be answered gets
    {"error": ...} on its line; blank lines are passed over. Lines that come together are answered in
    batches, and "ms" is a batch's time divided by its positions; with a deadline, each is answered alone.
    """
    if budget is None and deadline_ms is None and price is None:
        raise UsageError(
            "give --budget N, --deadline-ms T, --price P or several of them, for example --budget 64 or "
            "--budget auto"
        )
    from exit.cli.loading import load_agent

    agent = load_agent(source, (budget,) if isinstance(budget, int) else (), max_simulations)
    from exit.cli.positions import read_batches

    size = None if positions == _DASH else positions.stat().st_size
    with _opened(positions) as lines_in, contextlib.ExitStack() as stack:
        sink, progress = sys.stdout, None
        if out != _DASH:
            out.parent.mkdir(parents=True, exist_ok=True)
            sink = stack.enter_context(out.open("w", encoding="utf-8"))
            progress = stack.enter_context(console.Progress("answering"))
        responder = _Responder(agent, budget, price, deadline_ms, progress)
        done = 0
        for lines in read_batches(lines_in.read1, responder.max_batch):
            for answer in responder.answers(lines):
                sink.write(json.dumps(answer) + "\n")
            sink.flush()
            done += len(lines)
            if progress is not None:
                progress.update(f"{done:,} positions", lines_in.tell() / size if size else None)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    if path == _DASH:
        yield cast(io.BufferedReader, sys.stdin.buffer)
    else:
        with path.open("rb") as file:
            yield file


class _Responder:
    """Answers batches of lines; compiles the agent's programs before it starts a clock."""

    def __init__(
        self,
        agent: "Agent",
        budget: int | str | None,
        price: float | None,
        deadline_ms: float | None,
        progress: console.Progress | None,
    ) -> None:
        self._agent = agent
        self._budget = budget
        self._price = price
        self._deadline_ms = deadline_ms
        self._progress = progress
        self._compiled: set[int] = set()
        most = _MAX_NODES // (1 + agent.search.max_simulations)
        fitting = [size for size in _BATCH_SIZES if size <= most]
        # A deadline holds for each position, so they are answered one at a time.
        self.max_batch = fitting[-1] if fitting and deadline_ms is None else 1

    def answers(self, lines: list[str]) -> list[dict[str, Any]]:
        """One answer a line, in order."""
        from exit.cli.positions import positions_of

        positions = positions_of(self._agent.game, lines)
        good = iter(()) if positions.states is None else self._decided(positions.states, positions.legal)
        return [next(good) if error is None else {"error": error} for error in positions.errors]

    def _decided(self, states: Any, legal: Any) -> Iterator[dict[str, Any]]:
        import jax
        import numpy as np

        num_states = len(legal)
        size = next(size for size in _BATCH_SIZES if size >= num_states)
        # Repeating the last state fills the batch, so that few sizes need compiling.
        rows = np.minimum(np.arange(size), num_states - 1)
        states = jax.tree.map(lambda leaf: leaf[rows], states)
        if size not in self._compiled:
            self._compile(states)
            self._compiled.add(size)
        started = time.perf_counter()
        result = self._act(states, self._budget)
        ms = 1000 * (time.perf_counter() - started) / num_states
        return (_answer(result, row, legal[row], ms) for row in range(num_states))

    def _compile(self, states: Any) -> None:
        budget = min(self._budget, 1) if isinstance(self._budget, int) else self._budget
        if self._progress is not None:
            self._progress.update("compiling")
            self._act(states, budget)
            return
        # Answers go to stdout, which may be the same terminal: the line is gone before the first of them.
        with console.Progress("compiling"):
            self._act(states, budget)

    def _act(self, states: Any, budget: int | str | None) -> "SearchResult":
        import jax

        limits = {"deadline_ms": self._deadline_ms, "price": self._price}
        return jax.device_get(self._agent.act(states, budget, **limits))


def _answer(result: "SearchResult", row: int, legal: Any, ms: float) -> dict[str, Any]:
    """One position's answer in the form of the command's output."""
    actions = [int(action) for action in legal.nonzero()[0]]
    lower, upper = float(result.lower[row]), float(result.upper[row])
    return {
        "action": int(result.action[row]),
        "value": console.rounded(result.value[row]),
        "action_weights": {
            str(action): console.rounded(result.action_weights[row, action]) for action in actions
        },
        "prior": {str(action): console.rounded(result.prior[row, action]) for action in actions},
        "simulations": int(result.num_simulations[row]),
        "proven": lower == upper,
        "ms": round(ms, 3),
        **_weighed(result, row),
    }


def _weighed(result: "SearchResult", row: int) -> dict[str, float]:
    """What was expected of the search and what it found, where anything was expected."""
    if result.expected_gain is None:
        return {}
    return {
        "expected_gain": console.rounded(result.expected_gain[row]),
        "gain": console.rounded(result.gain[row]),
    }
