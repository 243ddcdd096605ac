"""Independent pieces of work, spread over a fleet."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from exit.errors import UserError
from exit.fleet.actors import resources_of
from exit.fleet.cluster import ActorGroup

Item = TypeVar("Item")
Result = TypeVar("Result")

_RETRIES = 3
"""Times that a piece of work is begun again when its process dies."""

_PULSE = 2.0
"""Seconds between looks at work that has not ended."""


def each_on_fleet(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    groups: tuple[ActorGroup, ...],
    wait_fn: Callable[[], None] | None = None,
) -> Iterator[tuple[int, Result | UserError]]:
    """`function(item)` for every item, as many at a time as there are actors; within `joined`.

    The function is imported by name where it runs. It is called again if its process dies.

    Args:
      wait_fn: called every few seconds while nothing ends.

    Yields:
      An item's index and its result, or the error that it ended with, as they come.
    """
    waiting, running = list(enumerate(items)), {}
    free = [group for group in groups for _ in range(group.count)]
    while waiting or running:
        while waiting and free:
            (index, item), group = waiting.pop(0), free.pop(0)
            running[_start(function, item, group)] = index, group
        over, _ = ray.wait(list(running), num_returns=1, timeout=_PULSE)
        if not over:
            if wait_fn is not None:
                wait_fn()
            continue
        (done,) = over
        index, group = running.pop(done)
        free.append(group)
        yield index, _result(done)


def _start(function: Callable[..., Any], item: Any, group: ActorGroup) -> Any:
    options = {
        **resources_of(group),
        "max_retries": _RETRIES,
        # A process that has run one program keeps its memory, and the devices that it was given.
        "max_calls": 1,
    }
    return ray.remote(**options)(_work).remote(function, item, group)


def _work(function: Callable[..., Any], item: Any, group: ActorGroup) -> Any:
    """What runs in the process."""
    from exit.fleet.player import use_resources

    use_resources(group)
    return function(item)


def _result(reference: Any) -> Any:
    """What a piece of work returned, or the error that it ended with."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        cause = error.cause
        return cause if isinstance(cause, UserError) else UserError(f"{type(cause).__name__}: {cause}")
    except RayError as error:
        return UserError(f"its process died {_RETRIES + 1} times ({str(error).splitlines()[0]})")
