"""A Ray to work on: one of this machine's own, or one that is there already; and what actors ask of it."""

import contextlib
import logging
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from exit.errors import UsageError, UserError

_LONGEST_FOLDER = 30
"""Of the folder of a local Ray: sockets lie below it, and the system bounds their paths."""

_OBJECT_STORE = 256 << 20
"""Bytes of shared memory that a local Ray keeps batches and weights in; more goes to the disk."""

# No report of usage leaves the machine.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}

# Ray's only switch that makes every one of its servers listen on the loopback address alone. It is read when
# Ray is imported, and by the processes that Ray starts.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# Ray gives its processes a low priority; on a machine that does other things too they would hardly run.
_PRIORITY = {"RAY_worker_niceness": "0"}


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
        if self.address != "auto" and not re.fullmatch(r"(ray://)?[^:/\s]+:\d+", self.address):
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


@contextlib.contextmanager
def joined(fleet: FleetConfig) -> Iterator[tuple[ActorGroup, ...]]:
    """Ray, as long as the context lasts; gives the groups of actors, where none are named one for each core.

    A process that uses a Ray already goes on with it.

    Raises:
      UserError: Ray is not installed, does not start or cannot be reached.
    """
    local = fleet.address == "auto"
    for name, value in (_QUIET | (_LOOPBACK | _PRIORITY if local else {})).items():
        os.environ.setdefault(name, value)
    ray = _import_ray()
    if ray.is_initialized():
        yield fleet.groups or _one_for_each_core(ray)
        return
    _hush(ray)
    with contextlib.ExitStack() as stack:
        folder = _folder() if local else None
        if folder is not None:
            # After the shutdown, which still writes there.
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(ray.shutdown)
        if folder is not None:
            _start(ray, fleet, folder)
        else:
            _join(ray, fleet.address)
        yield fleet.groups or _one_for_each_core(ray)


def _import_ray() -> ModuleType:
    """Ray, which is an extra."""
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "a fleet needs Ray, which is not installed; `pip install 'xit[fleet]'` installs it"
        ) from error
    return ray


def _hush(ray: ModuleType) -> None:
    """Ray says on stdout, where results stand, that a process died; that is counted in the reports."""
    with contextlib.suppress(AttributeError):
        ray._private.worker.print_to_stdstream = lambda *data, **kinds: None


def _one_for_each_core(ray: ModuleType) -> tuple[ActorGroup, ...]:
    return (ActorGroup(max(1, int(ray.cluster_resources().get("CPU", 1)))),)


def _folder() -> str:
    """Where a local Ray keeps its sockets and logs until it is shut down."""
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="xit-ray-", dir=usual if len(usual) <= _LONGEST_FOLDER else "/tmp")


def _start(ray: ModuleType, fleet: FleetConfig, folder: str) -> None:
    """A Ray of this machine alone, with room for the actors."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    asked = sum(group.count * group.cpus for group in fleet.groups)
    named: dict[str, float] = {}
    for group in fleet.groups:
        for name, amount in group.resources:
            named[name] = named.get(name, 0.0) + group.count * amount
    try:
        ray.init(
            address="local",
            num_cpus=max(cores, math.ceil(asked)),
            resources=named or None,
            object_store_memory=_OBJECT_STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            _temp_dir=folder,
        )
    except Exception as error:
        raise UserError(
            f"Ray did not start ({_first_line(error)}); free some memory, or join one: --fleet HOST:PORT"
        ) from error
    if ray.util.get_node_ip_address() not in ("127.0.0.1", "::1"):
        raise UserError(
            "Ray was imported before the fleet could bind it to the loopback address; set the variable "
            f"{next(iter(_LOOPBACK))}=0, or start a Ray yourself and give its address"
        )


def _join(ray: ModuleType, address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        raise UserError(
            f"no Ray at {address} ({_first_line(error)}); `ray start --head` starts one, ray://HOST:PORT "
            "needs its client server, and both sides the same versions of Python and Ray"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
