"""Why a reflex errs where it does: in positions never met, where search was wrong, or where it did not learn.

python benchmarks/causes.py [RUN] [--positions N] [--json FILE] [--quick]

RUN is the directory of a run whose game has exact values; without one, 4x4 Othello is trained first, which
takes minutes. Critical positions, N drawn from all or all if there are fewer, are sorted by how many examples
of them, or of positions symmetric to them, the run draws from at its end: those of which there are none were
not met, or so long ago that they have been overwritten. Where the reflex errs and there are some, what is
learnt of the one searched last says whether search taught the mistake. Positions are told apart by 32 bits:
of those not held, one in some thousands may be counted for another.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, UInt32

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.catalog import load_config, with_overrides
from exit.checkpoint import restore_latest
from exit.cli.exact import load_exact
from exit.devices import use_all_cores
from exit.errors import UsageError, UserError
from exit.evaluate import critical_sample, decide, mistakes, rows_of
from exit.fingerprint import classes
from exit.iteration import RunState, init_run
from exit.loop import train
from exit.replay import Replay, rows_at, rows_in_window
from exit.runconfig import RunConfig
from exit.rundir import read_info
from exit.solve import Exact

_UPTO = (0, 3, 15, 63, 255)
"""Positions are counted together if as many examples of them are held, more than the bound before."""


def replay_of(run_dir: Path, config: RunConfig) -> Replay:
    """The replay as the newest checkpoint of a run has it.

    Raises:
      UsageError: there is no checkpoint.
      CheckpointError: none is whole.
    """
    template = jax.eval_shape(lambda: init_run(config))
    found = restore_latest(run_dir, {"run": template}, warn_fn=print, set_aside=False)
    if found is None:
        raise UsageError(f"{run_dir} has no checkpoint yet; train it first")
    _, trees = found
    state: RunState = trees["run"]
    return state.replay


def measure(agent: Agent, exact: Exact, replay: Replay, num_positions: int) -> list[dict[str, Any]]:
    """A row for each number of examples: positions, mistakes, and how many of these search taught."""
    states, moves = critical_sample(exact, num_positions)
    wrong = mistakes(decide(agent.act, states, 0), moves)
    asked = classes(states, game=agent.game)
    rows = np.asarray(rows_in_window(replay, jnp.arange(int(replay.window))))
    kept = classes(rows_of(replay.examples.state, rows), game=agent.game)
    position, counts = np.unique(kept, return_counts=True)
    place = np.searchsorted(position, asked).clip(max=len(position) - 1)
    held = np.where(position[place] == asked, counts[place], 0)
    taught = np.isin(asked, _taught_wrong(replay, rows, kept, asked[wrong & (held > 0)], exact))
    found = []
    for lowest, highest in zip((0, *(each + 1 for each in _UPTO)), (*_UPTO, None), strict=True):
        these = (held >= lowest) & (held <= (np.inf if highest is None else highest))
        found.append(
            {
                "examples": [lowest, highest],
                "positions": int(these.sum()),
                "mistakes": int((these & wrong).sum()),
                "taught": int((these & wrong & taught).sum()),
            }
        )
    return found


def _taught_wrong(
    replay: Replay,
    rows: np.ndarray,
    kept: UInt32[np.ndarray, " n"],
    wanted: UInt32[np.ndarray, " m"],
    exact: Exact,
) -> UInt32[np.ndarray, " k"]:
    """Of the wanted positions those whose policy target is for a mistake."""
    of_wanted = np.flatnonzero(np.isin(kept, wanted))
    rows, kept = rows[of_wanted], kept[of_wanted]
    if not len(rows):
        return kept
    order = np.lexsort((-np.asarray(replay.age)[rows], kept))
    last = order[np.append(kept[order][1:] != kept[order][:-1], True)]
    some = rows_at(replay, jnp.asarray(rows[last]))
    found = exact.moves_fn(np.asarray(jax.vmap(exact.game.encode)(some.state)))
    return kept[last][_errs(np.asarray(some.action_weights), found.optimal)]


def _errs(weights: np.ndarray, optimal: Bool[np.ndarray, "n A"]) -> Bool[np.ndarray, " n"]:
    return ~optimal[np.arange(len(weights)), weights.argmax(axis=1)]


def _trained(run_dir: Path, *, quick: bool) -> Path:
    name, settings = ("tic_tac_toe", ("num_iterations=4",)) if quick else ("othello_4", ())
    config = with_overrides(load_config(name), settings)
    train(config, run_dir, config_name=name, overrides=settings)
    return run_dir


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="directory of a run")
    parser.add_argument(
        "--positions",
        type=int,
        default=200_000,
        metavar="N",
        help="critical positions (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="without RUN: some iterations of tic-tac-toe")
    options = parser.parse_args()
    use_all_cores()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = options.run or _trained(Path(folder) / "run", quick=options.quick)
        try:
            # What is no run has no replay; this says so best.
            read_info(run_dir)
            agent = Agent.load(run_dir)
            replay = replay_of(run_dir, agent.config)
        except UserError as error:
            parser.error(str(error))
    rows = measure(agent, load_exact(agent.game), replay, options.positions)
    print(
        "Critical positions by how many examples of them the replay holds; the reflex's mistakes there, and"
    )
    print("those for which search, when it was last asked, preferred a mistake too.")
    print(f"{'examples held':<16}{'critical':>10}{'mistakes':>10}{'of them taught':>16}")
    for row in rows:
        lowest, highest = row["examples"]
        name = f"{lowest} and more" if highest is None else f"{lowest} to {highest}" if highest else "none"
        print(f"{name:<16}{row['positions']:>10}{row['mistakes']:>10}{row['taught']:>16}")
    if options.json:
        report = {"rows": rows, "hardware": hardware(), "provenance": provenance(agent)}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
