"""A fleet of any size as a simulation of events, by what one actor and one learner were measured to take."""

import heapq
import statistics
from collections import deque
from typing import Any, NamedTuple

import numpy as np

_AHEAD = 2
"""Calls that an actor has at a time, as in `FleetConfig`."""


_COLUMNS = (
    "actors",
    "updates",
    "positions/s",
    "with stand-ins",
    "limited by",
    "learner busy",
    "actors busy",
    "age of weights",
    "with stand-ins",
)


class Constants(NamedTuple):
    """What was measured, and the network that is assumed.

    Attributes:
      positions: of a batch.
      play: seconds that an actor's core takes for one.
      take: seconds of the learner's process to take one in.
      update: seconds of the updates that follow it.
      weights: seconds until an actor has new weights, where many ask at once.
      wire: seconds that the network takes for a batch and its weights.
    """

    positions: int
    play: float
    take: float
    update: float
    weights: float
    wire: float


def limits(constants: Constants, num_actors: int) -> dict[str, float]:
    """Positions/s that each part would allow if the others cost nothing."""
    learner = constants.take + constants.update
    return {
        "actors": num_actors * constants.positions / (constants.play + constants.weights),
        "updates" if constants.update > constants.take else "taking in": constants.positions / learner,
        "network": constants.positions / constants.wire,
    }


def simulate(constants: Constants, num_actors: int, *, batches: int = 0, seed: int = 0) -> dict[str, float]:
    """A fleet's steady state: calls go out, actors play in turn, and the learner takes what came first.

    Args:
      batches: to learn from; enough for every actor to be asked several times if 0.
    """
    rng = np.random.default_rng(seed)
    batches = batches or max(400, 8 * num_actors)
    waiting: list[deque[int]] = [deque([0] * _AHEAD) for _ in range(num_actors)]
    playing: list[tuple[float, int, int]] = []
    arrived: deque[tuple[int, int]] = deque()
    ages, clock, wire_free, busy, start = [], 0.0, 0.0, 0.0, 0.0

    def begin(actor: int, now: float) -> None:
        if waiting[actor]:
            seconds = constants.weights + constants.play * rng.uniform(0.9, 1.1)
            heapq.heappush(playing, (now + seconds, actor, waiting[actor].popleft()))

    for actor in range(num_actors):
        begin(actor, rng.uniform(0, constants.play))
    idle: set[int] = set()
    for version in range(batches):
        if version == batches // 2:
            start, busy, ages = clock, 0.0, []
        while playing and (playing[0][0] <= clock or not arrived):
            done, actor, played = heapq.heappop(playing)
            # One link into the learner's machine, which batches pass one after another.
            wire_free = max(wire_free, done) + constants.wire
            clock = clock if arrived else max(clock, wire_free)
            arrived.append((actor, played))
            idle.discard(actor) if waiting[actor] else idle.add(actor)
            begin(actor, done)
        actor, played = arrived.popleft()
        ages.append(version - played)
        clock += constants.take + constants.update
        busy += constants.take + constants.update
        waiting[actor].append(version + 1)
        if actor in idle:
            idle.discard(actor)
            begin(actor, clock)
    rate = (batches - batches // 2) / (clock - start)
    return {
        "positions_per_second": rate * constants.positions,
        "learner_busy": busy / (clock - start),
        "actors_busy": rate * constants.play / num_actors,
        "weights_age": statistics.mean(ages),
    }


def sizes(
    constants: Constants, measured: dict[int, dict[str, float]], num_actors: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Fleets of these sizes: simulated, what limits them, and what stand-ins made of it where they fit.

    A second row of each has updates that cost nothing: the limit for ever faster devices of the learner.
    """
    rows = []
    for count in num_actors:
        for name, each in (("as measured", constants), ("free", constants._replace(update=0.0))):
            allowed = limits(each, count)
            rows.append(
                {
                    "actors": count,
                    "updates": name,
                    **simulate(each, count),
                    "limited_by": min(allowed, key=lambda part: allowed[part]),
                    "limits": allowed,
                    "measured": measured.get(count) if name == "as measured" else None,
                }
            )
    return rows


def markdown(constants: Constants, rows: list[dict[str, Any]]) -> str:
    """The constants and the sizes as tables of `docs/scale.md`."""
    lines = [
        "| constant | value |",
        "|---|---|",
        f"| positions of a batch | {constants.positions:,} |",
        f"| seconds that a core plays at it | {constants.play:.3g} |",
        f"| seconds of the learner to take it in | {constants.take:.3g} |",
        f"| seconds of the updates that follow | {constants.update:.3g} |",
        f"| seconds until an actor has new weights | {constants.weights:.3g} |",
        f"| seconds on the wire, assumed | {constants.wire:.3g} |",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    for row in rows:
        measured = row["measured"]
        rate = "-" if measured is None else f"{measured['positions_per_second']:,.0f}"
        age = "-" if measured is None else f"{measured['weights_age']:.1f}"
        lines.append(
            f"| {row['actors']:,} | {row['updates']} | {row['positions_per_second']:,.0f} | {rate} "
            f"| {row['limited_by']} | {100 * row['learner_busy']:.0f} % | {100 * row['actors_busy']:.0f} % "
            f"| {row['weights_age']:.1f} | {age} |"
        )
    return "\n".join(lines)
