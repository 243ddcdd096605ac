"""`--fleet` and its company: the same command on several machines."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.errors import UsageError

if TYPE_CHECKING:
    from exit.agent import Agent
    from exit.evaluate import Acts
    from exit.fleet import FleetConfig


@dataclass(frozen=True)
class FleetOptions:
    """What was said of the fleet.

    Attributes:
      address: None for this process alone.
      counts: of actors, a group each.
      resources: of an actor of each group.
      max_age: of weights, in iterations.
    """

    address: str | None
    counts: tuple[int, ...]
    resources: tuple[str, ...]
    max_age: int | None

    def check(self) -> None:
        """Raise UsageError where the options do not fit each other."""
        if self.address is None and (self.counts or self.resources or self.max_age is not None):
            raise UsageError("options of actors need --fleet; --fleet auto starts one")
        self.config()

    def config(self) -> "FleetConfig | None":
        """The fleet; None for this process alone."""
        if self.address is None:
            return None
        from exit.fleet import FleetConfig, group_of, parse_resources

        asked = [parse_resources(text) for text in self.resources] or [{"CPU": 1.0}] * len(self.counts)
        if not self.counts and asked:
            raise UsageError("--actor-resources needs --actors: say how many actors are to have them")
        if len(asked) != len(self.counts):
            raise UsageError(
                f"--actor-resources is given {len(self.resources)} times and --actors {len(self.counts)}; "
                "give both once for each group of actors"
            )
        groups = tuple(group_of(count, each) for count, each in zip(self.counts, asked, strict=True))
        return FleetConfig(address=self.address, groups=groups, max_age=self.max_age)

    def train_fn(self, stage_fn: Callable[[str], None]) -> Callable[..., None]:
        """`exit.loop.train`, or what does the same with actors, and says what it waits for."""
        fleet = self.config()
        if fleet is None:
            from exit.loop import train

            return train
        from exit.fleet.training import train_on_fleet

        return functools.partial(train_on_fleet, fleet=fleet, stage_fn=stage_fn)

    def acting(self, sources: Sequence[Path]) -> "Callable[[Agent], Acts] | None":
        """What makes actors act for the agents of these sources, until the command ends; None for none.

        Called before JAX has threads, which the processes that Ray starts would be forked beside.
        """
        fleet = self.config()
        if fleet is None:
            return None
        from exit.fleet.acting import acting_on_fleet
        from exit.stored import require_agent

        for source in sources:
            require_agent(source)
        with console.Progress("starting Ray" if self.address == "auto" else f"joining Ray at {self.address}"):
            return click.get_current_context().with_resource(acting_on_fleet(fleet, console.warn))


def fleet_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--fleet`, `--actors` and `--actor-resources`, handed on as `fleet`."""

    @click.option(
        "--fleet",
        "address",
        metavar="ADDRESS",
        help="Work on Ray actors: `auto` starts Ray on this machine, HOST:PORT or ray://HOST:PORT joins one. "
        "Default: this process works alone.",
    )
    @click.option(
        "--actors",
        "counts",
        type=click.IntRange(min=1),
        multiple=True,
        metavar="N",
        help="Actors of the --fleet. Default: one for each core. Repeated for actors of several kinds.",
    )
    @click.option(
        "--actor-resources",
        "resources",
        multiple=True,
        metavar="CPU=N,GPU=N,...",
        help="What Ray reserves for each actor. Default: CPU=1. Repeated as --actors is.",
    )
    @functools.wraps(command)
    def with_fleet(
        *arguments: Any,
        address: str | None,
        counts: tuple[int, ...],
        resources: tuple[str, ...],
        max_age: int | None = None,
        **others: Any,
    ) -> Any:
        return command(*arguments, fleet=FleetOptions(address, counts, resources, max_age), **others)

    return with_fleet


max_age_option = click.option(
    "--max-age",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --fleet: drop games played by weights more than N iterations old. Default: use all.",
)
"""For commands that have `fleet_options`, below this one."""
