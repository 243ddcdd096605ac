"""Which Ray a fleet works on, and what its actors ask of it."""

import re
from dataclasses import dataclass

from exit.errors import UsageError

_LAST_PORT = 0xFFFF


@dataclass(frozen=True)
class ActorGroup:
    """Actors that ask for the same.

    Attributes:
      count: of actors.
      cpus: processor cores of each.
      gpus: of each; shares of one are allowed.
      resources: other resources by the names that the cluster gives them.
    """

    count: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    resources: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a group of {self.count} actors; it must be at least 1")
        if min(self.cpus, self.gpus, *(amount for _, amount in self.resources), 0.0) < 0:
            raise ValueError("actors ask for less than nothing; resources must be 0 or more")


@dataclass(frozen=True)
class FleetConfig:
    """Which Ray, and how it is used.

    Attributes:
      address: `auto` starts a Ray on this machine, bound to the loopback address; `HOST:PORT` joins one,
        as does `ray://HOST:PORT` through its client server.
      groups: of actors; none is one actor for each core that the Ray has.
      ahead: batches that an actor is asked for at a time: two let it play on while the learner works.
      max_age: iterations of learning that weights may be behind when a batch arrives; older batches are
        dropped. None takes all.
      patience: seconds without a single batch after which the run is given up.
    """

    address: str = "auto"
    groups: tuple[ActorGroup, ...] = ()
    ahead: int = 2
    max_age: int | None = None
    patience: float = 900.0

    def __post_init__(self) -> None:
        place = re.fullmatch(r"(ray://)?[^:/\s]+:(\d{1,5})", self.address)
        if self.address != "auto" and (place is None or int(place[2]) > _LAST_PORT):
            raise UsageError(
                f"no Ray has the address {self.address!r}; give auto, HOST:PORT or ray://HOST:PORT"
            )
        if self.ahead < 1:
            raise ValueError(f"ahead is {self.ahead}; it must be at least 1")
        if self.max_age is not None and self.max_age < 0:
            raise ValueError(f"max_age is {self.max_age}; it must be 0 or more")


def parse_resources(text: str) -> dict[str, float]:
    """Amounts by name from `CPU=2,GPU=0.5`.

    Raises:
      UsageError: it is something else.
    """
    found = {}
    for part in text.split(","):
        name, equals, amount = (word.strip() for word in part.partition("="))
        if not (name and equals and re.fullmatch(r"\d+(\.\d+)?|\.\d+", amount)):
            raise UsageError(f"bad resources {text!r}; write amounts by name, as in CPU=1,GPU=0.5")
        found[name] = float(amount)
    return found


def group_of(count: int, resources: dict[str, float]) -> ActorGroup:
    """Actors with resources by Ray's names; CPU is 1 if left out."""
    others = tuple((name, amount) for name, amount in resources.items() if name not in ("CPU", "GPU"))
    return ActorGroup(count, resources.get("CPU", 1.0), resources.get("GPU", 0.0), others)
