"""How true what self-play teaches is: an agent's targets, and its reflex, beside exact values.

python benchmarks/targets.py [AGENT] [--arms A=B,C=D ...] [--positions N] [--return-weights W,...]
    [--json FILE] [--quick]

An agent is a run, a `.npz` file or a name; by default `connect_four`, which comes with the product. It plays
as in training, by the settings that it was trained with; every arm changes some of them. Of the positions of
some iterations as many as asked for are drawn. Measured are the mean distance of values from exact ones and
the mean of its square, of the network and of its targets at each `return_weight`; and, in positions where
some move is a mistake, the weight that lies on mistakes in the reflex policy and in the one that it is to
learn. Arms meet positions of their own, so each is held against its own reflex; draws of some thousand
positions differ by a tenth and more. Truer targets are no gain where positions vary less: that only training
shows.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from exit.agent import Agent
from exit.bench import hardware, provenance
from exit.catalog import with_overrides
from exit.cli.exact import load_exact
from exit.devices import use_all_cores
from exit.evaluate import rows_of
from exit.iteration import play
from exit.runconfig import RunConfig
from exit.selfplay import Trajectory, initial_games
from exit.solve import ExactMoves, MovesFn
from exit.targets import make_targets

_BEFORE, _MEASURED = 6, 6
"""Iterations of self-play: before those that are measured, and of these, so that games are at all stages."""


def played_by(agent: Agent, config: RunConfig) -> list[Trajectory]:
    """Iterations of self-play by these settings."""
    key_games, key_play = jax.random.split(jax.random.key(config.seed))
    games = initial_games(key_games, game=config.game, config=config.self_play)
    playing = jax.jit(play, static_argnames="config")
    found = []
    for iteration in range(_BEFORE + _MEASURED):
        key = jax.random.fold_in(key_play, iteration)
        games, played = playing(games, agent.params, key, config=config)
        found.append(played)
    return found[_BEFORE:]


def measure(
    played: list[Trajectory],
    moves_fn: MovesFn,
    config: RunConfig,
    num_positions: int,
    return_weights: list[float],
) -> dict[str, Any]:
    """Figures of some of the positions played."""
    flat = jax.tree.map(
        lambda *leaves: np.concatenate([leaf.reshape(-1, *leaf.shape[2:]) for leaf in leaves]), *played
    )
    rows = np.random.default_rng(config.seed).permutation(flat.value.size)[:num_positions]
    some = rows_of(flat, rows)
    exact = moves_fn(np.asarray(jax.vmap(config.game.encode)(jax.tree.map(jnp.asarray, some.state))))
    found = {
        "positions": len(rows),
        "critical": int(exact.critical.sum()),
        "reflex": _off(some.prior_value, exact) | _given_to_mistakes(some.prior, exact),
        "policy": _given_to_mistakes(some.action_weights, exact),
    }
    for weight in return_weights:
        settings = {"return_weight": weight, "without_luck": config.without_luck}
        # Where there are positions from inside the trees, they follow those that were played.
        values = [make_targets(each, **settings).value[: each.value.size] for each in played]
        found[f"value at {weight:g}"] = _off(np.concatenate(values)[rows], exact)
    return found


def _off(values: np.ndarray, exact: ExactMoves) -> dict[str, float]:
    distance = np.abs(values - exact.values)
    return {"value_mae": float(distance.mean()), "value_mse": float((distance**2).mean())}


def _given_to_mistakes(weights: np.ndarray, exact: ExactMoves) -> dict[str, float]:
    critical = exact.critical
    on_mistakes = (weights * ~exact.optimal).sum(axis=1)[critical]
    played = exact.optimal[np.arange(len(weights)), weights.argmax(axis=1)][critical]
    return {"on_mistakes": float(on_mistakes.mean()), "favourite_mistakes": float((~played).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("agent", nargs="?", default="connect_four", metavar="AGENT")
    parser.add_argument("--arms", nargs="*", default=[""], metavar="A=B,C=D")
    parser.add_argument("--positions", type=int, default=2000, metavar="N")
    parser.add_argument("--return-weights", default="0,0.5,0.9,1", metavar="W,...")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="50 positions of few games")
    options = parser.parse_args()
    use_all_cores()
    agent = Agent.load(options.agent)
    exact = load_exact(agent.game)
    quickly = ["self_play.num_games=32"] if options.quick else []
    weights = [float(word) for word in options.return_weights.split(",")]
    print(f"{len(jax.devices())} x {jax.devices()[0].device_kind}, jax {jax.__version__}")
    rows = []
    for arm in options.arms:
        config = with_overrides(agent.config, [*filter(None, arm.split(",")), *quickly])
        played = played_by(agent, config)
        num_positions = 50 if options.quick else options.positions
        found = measure(played, exact.moves_fn, config, num_positions, weights)
        rows.append({"arm": arm, **found})
        print(f"{arm or 'as it was trained'}: {found['positions']} positions, {found['critical']} critical")
        for name, figures in found.items():
            if isinstance(figures, dict):
                columns = "  ".join(f"{key} {figure:.4f}" for key, figure in figures.items())
                print(f"  {name:<14}{columns}", flush=True)
        if options.json:
            report = {"rows": rows, "hardware": hardware(), "provenance": provenance(agent)}
            options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
