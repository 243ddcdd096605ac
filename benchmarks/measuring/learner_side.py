"""What the learner's side of a fleet takes in, from stand-ins that deliver recorded games."""

import functools
import statistics
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from exit.fleet import ActorGroup, FleetConfig
from exit.fleet.batch import Weights
from exit.fleet.joining import joined
from exit.fleet.ledger import Ledger
from exit.fleet.player import host_copy, make_player
from exit.fleet.training import disagreement_of, with_batch
from exit.iteration import RunConfig, RunState, update
from measuring.fleet import Recorded, record
from measuring.scale import Constants, markdown, sizes

_NO_WEIGHTS = Weights(0, {})


def hired(
    make_player: Any,
    num_actors: int,
    groups: tuple[ActorGroup, ...],
    *,
    ahead: int,
    weights: Weights = _NO_WEIGHTS,
) -> Any:
    """A crew, every actor of which has delivered something."""
    from exit.fleet.crew import Crew

    fleet = FleetConfig(groups=groups, ahead=ahead)
    crew = Crew(make_player, groups, fleet=fleet, ledger=Ledger(), warn_fn=print)
    delivered = set()
    while len(delivered) < num_actors:
        delivered.add(crew.next_batch(weights).identity.actor)
    return crew


def played(path: Path, config: RunConfig, state: RunState) -> float:
    """Seconds of an actor with a core of its own for a batch of games, which is recorded."""
    weights = Weights(0, host_copy(state.learner.averaged_params))
    with joined(FleetConfig(groups=(ActorGroup(1),))) as groups:
        crew = hired(functools.partial(make_player, config=config), 1, groups, ahead=1, weights=weights)
        batches = [crew.next_batch(weights) for _ in range(3)]
        crew.close()
    record(batches[-1], path)
    return statistics.median(batch.seconds for batch in batches)


def learned_from(
    crew: Any, state: RunState, config: RunConfig, *, num_batches: int, updates: bool
) -> dict[str, float]:
    """What the learner's side does in a second: all of an iteration but reports."""
    # The one given is used again, though updates consume it.
    state = jax.tree.map(jnp.copy, state)
    # The first few compile.
    for timed in (2, num_batches):
        ages, started, used = [], time.perf_counter(), time.process_time()
        for _ in range(timed):
            version, params = int(state.iteration), state.learner.averaged_params
            batch = crew.next_batch(Weights(version, host_copy(params)))
            disagreement_of(batch, params, config=config)
            ages.append(version - batch.version)
            state = state._replace(replay=with_batch(state.replay, batch.leaves, config=config))
            done = state._replace(iteration=state.iteration + 1)
            state = update(state, config=config)[0] if updates else done
        jax.block_until_ready(state)
        seconds, spent = time.perf_counter() - started, time.process_time() - used
    positions = num_batches * config.self_play.num_examples
    return {
        "positions_per_second": positions / seconds,
        "positions_per_cpu_second": positions / spent,
        "seconds_per_batch": seconds / num_batches,
        # At the start all weights are new.
        "weights_age": statistics.mean(ages[len(ages) // 2 :]),
    }


def ingest(path: Path, config: RunConfig, state: RunState, *, num_batches: int) -> dict[str, Any]:
    """What the learner's side takes from two stand-ins that never rest, with updates and without."""
    group = ActorGroup(2, cpus=0.01)
    figures: dict[str, Any] = {"batches": num_batches}
    with joined(FleetConfig(groups=(group,))) as groups:
        crew = hired(functools.partial(Recorded, path=path), 2, groups, ahead=2)
        for name, updates, repeats in (("alone", False, 10), ("with_updates", True, 1)):
            figures[name] = learned_from(
                crew, state, config, num_batches=repeats * num_batches, updates=updates
            )
        crew.close()
    for name, what in (("alone", "without updates"), ("with_updates", "with those of the configuration")):
        print(
            f"ingest {what}: {figures[name]['positions_per_second']:,.0f} positions/s, "
            f"{figures[name]['positions_per_cpu_second']:,.0f} to a CPU second of the learner's process",
            flush=True,
        )
    return figures


def scale(
    path: Path,
    config: RunConfig,
    state: RunState,
    figures: dict[str, Any],
    *,
    num_actors: tuple[int, ...],
    num_batches: int,
    gigabits: float,
) -> dict[str, Any]:
    """The model with its constants, and stand-ins that deliver as fast as an actor beside it."""
    alone, updated = (figures["ingest"][name]["seconds_per_batch"] for name in ("alone", "with_updates"))
    sent = path.stat().st_size + sum(
        leaf.nbytes for leaf in jax.tree.leaves(host_copy(state.learner.averaged_params))
    )
    constants = Constants(
        positions=config.self_play.num_examples,
        play=figures["play_seconds"],
        take=alone,
        update=max(updated - alone, 0.0),
        weights=statistics.median(figures["broadcast"]["seconds"]) / figures["broadcast"]["actors"],
        wire=8e-9 * sent / gigabits,
    )
    measured = {}
    for count in num_actors:
        with joined(FleetConfig(groups=(ActorGroup(count, cpus=0.01),))) as groups:
            make_player = functools.partial(Recorded, path=path, seconds=constants.play)
            crew = hired(make_player, count, groups, ahead=2)
            measured[count] = learned_from(
                crew, state, config, num_batches=num_batches + 2 * count, updates=True
            )
            crew.close()
        print(f"  {count} stand-ins: {measured[count]}", flush=True)
    rows = sizes(constants, measured, (10, 100, 1000))
    print(f"scale, a network of {gigabits:g} Gbit/s assumed:\n\n{markdown(constants, rows)}\n", flush=True)
    return {"constants": constants._asdict(), "gigabits": gigabits, "bytes": sent, "rows": rows}
