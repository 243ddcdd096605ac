"""What every use of actors shares: to start them, to end them, and to say in a line what became of them."""

import contextlib
import importlib.machinery
import re
import sys
from collections.abc import Callable
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError, RayTaskError

from exit.errors import UserError
from exit.fleet.cluster import ActorGroup

WarnFn = Callable[[str], None]

PULSE = 10.0
"""Seconds between looks at actors of which nothing is heard."""

DEATHS = 3
"""For each actor: deaths in a row, with nothing done by anyone between, after which a command is given up."""

_TRACEBACK = "Traceback (most recent call last)"


class ActorFailed(UserError):
    """What an actor was running raised an error, which would come again; or actors die as they start."""


def hire(kind: type, group: ActorGroup, *arguments: Any) -> Any:
    """An actor of a class, which Ray starts where there is room for one of the group."""
    options = {**resources_of(group), "max_restarts": 0, "max_task_retries": 0}
    return ray.remote(kind).options(**options, scheduling_strategy="SPREAD").remote(*arguments)


def resources_of(group: ActorGroup) -> dict[str, Any]:
    """What one of the group asks for, by Ray's names."""
    return {"num_cpus": group.cpus, "num_gpus": group.gpus, "resources": dict(group.resources) or None}


def end(handle: Any) -> None:
    """End an actor, if it still lives."""
    with contextlib.suppress(Exception):
        ray.kill(handle, no_restart=True)


def failure(error: RayTaskError, number: int, given: str) -> UserError:
    """What an actor's own error is to the user.

    Args:
      given: what a call hands to the actor, for where that does not arrive.
    """
    cause = error.cause if isinstance(error.cause, Exception) else error
    if isinstance(cause, UserError):
        return cause
    if isinstance(cause, RayError) and not isinstance(cause, RayTaskError):
        return ActorFailed(f"actor {number} could not be given {given} ({reason(cause)})")
    return ActorFailed(f"actor {number} failed: {type(cause).__name__}: {reason(cause)}")


def require_survivors(deaths: int, num_actors: int, error: Exception) -> None:
    """Raise ActorFailed where so many actors died in a row that others would too."""
    if deaths > DEATHS * num_actors:
        raise ActorFailed(
            f"{deaths} actors died one after another and did nothing between, the last because: "
            f"{reason(error)}"
        )


def reason(error: Exception) -> str:
    """An error in a line; Ray's own begin with what happened and end with much else."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    exits = [line for line in lines if line.startswith("The actor is dead")]
    # What a compiled program calls back fails with a traceback in the message; what it was stands at the end.
    raised = (
        [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        if _TRACEBACK in str(error)
        else []
    )
    chosen = (exits or raised[-1:] or lines or [type(error).__name__])[0]
    return chosen if len(chosen) <= 240 else f"{chosen[:240]}..."


def carry_along(module: str) -> None:
    """Send a game's code to the actors where they cannot import it: it is defined in a file of settings.

    Args:
      module: in which the game is defined.
    """
    if importlib.machinery.PathFinder.find_spec(module.partition(".")[0]) is None:
        cloudpickle.register_pickle_by_value(sys.modules[module])
