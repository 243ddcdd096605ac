"""A Ray to work on: one of this machine's own, or one that is there already."""

import contextlib
import logging
import math
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from exit.errors import UserError
from exit.fleet.cluster import ActorGroup, FleetConfig
from exit.fleet.reaching import other_port, require_ray, require_reachable_as

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


_TOKEN = "RAY_AUTH_TOKEN"
_TOKENS_ASKED = "RAY_AUTH_MODE"


@contextlib.contextmanager
def joined(fleet: FleetConfig) -> Iterator[tuple[ActorGroup, ...]]:
    """Ray, as long as the context lasts; gives the groups of actors, where none are named one for each core.

    A process that uses a Ray already goes on with it.

    Raises:
      UserError: Ray is not installed, does not start or cannot be reached.
    """
    local = fleet.address == "auto"
    if not local:
        require_ray(fleet.address)
    for name, value in (_QUIET | _tokens(local) | (_LOOPBACK | _PRIORITY if local else {})).items():
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
        terminate = signal.getsignal(signal.SIGTERM)
        if folder is not None:
            _start(ray, fleet, folder)
        else:
            require_reachable_as(ray.util.get_node_ip_address(), fleet.address)
            with _ending_at_once():
                _join(ray, fleet.address)
        _restore(terminate)
        yield fleet.groups or _one_for_each_core(ray)


def _tokens(local: bool) -> dict[str, str]:
    """Who may join: a Ray of this machine's own has a token for itself, others that which is kept here.

    Ray asks for a token wherever one is kept, when it starts, but does not show it by itself when it joins.
    """
    if local:
        return {_TOKENS_ASKED: "token", _TOKEN: secrets.token_hex(32)}
    places = (os.environ.get("RAY_AUTH_TOKEN_PATH"), Path.home() / ".ray" / "auth_token")
    if _TOKEN in os.environ or any(place and Path(place).is_file() for place in places):
        return {_TOKENS_ASKED: "token"}
    return {}


@contextlib.contextmanager
def _ending_at_once() -> Iterator[None]:
    """Signals end the process as they find it: while Ray's own code waits, Python does not hear of them."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    heard = {number: handler for number, handler in before.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        heard = {}
    for number in heard:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def _restore(handler: Any) -> None:
    """Gives termination back to who handled it: Ray would print the stacks of its threads and abort."""
    if callable(handler) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


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
        if address.startswith("ray://"):
            # The level of logging would be handed on to the server, which does not start with it.
            logging.getLogger("ray").setLevel(logging.CRITICAL)
            ray.init(address=address, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        raise UserError(_why_not_joined(address, _first_line(error))) from error


def _why_not_joined(address: str, reason: str) -> str:
    if "oken" in reason or "authenticat" in reason.lower():
        return (
            f"the cluster at {address} and this machine differ in their tokens ({reason}); copy the "
            f"cluster's (`ray get-auth-token` there) into {_TOKEN} here, or set {_TOKENS_ASKED}=disabled "
            "where it has none"
        )
    return (
        f"no Ray at {address} ({reason}); {other_port(address)}`ray status` there tells whether it is well, "
        "and both sides need the same versions of Python and Ray, and the same token "
        f"(`ray get-auth-token`) or {_TOKENS_ASKED}=disabled"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
