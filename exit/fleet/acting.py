"""An agent that is measured by a fleet: each batch of states is dealt to the actors."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator

from exit.agent import Agent
from exit.evaluate import CHUNK, Acts, Shared
from exit.fleet.cluster import FleetConfig
from exit.fleet.joining import joined
from exit.fleet.player import host_copy

_PIECES = 4
"""For each actor, in a call: actors that are done early take one more."""


@contextlib.contextmanager
def acting_on_fleet(fleet: FleetConfig, warn_fn: Callable[[str], None]) -> Iterator[Callable[[Agent], Acts]]:
    """Actors that search for agents, as long as the context lasts; gives what makes them act for one.

    They answer what the agent itself would, up to how products of matrices round in narrower batches. One
    that dies is replaced, and its states are searched again; `warn_fn` is told.

    Raises:
      UserError: there is no Ray; while they act, what an actor raised.
    """
    with joined(fleet) as groups:
        # Only now, with Ray joined: what it binds to is decided before it is imported.
        import ray

        from exit.fleet.actors import carry_along
        from exit.fleet.searchers import Searchers

        searchers = Searchers(groups, fleet=fleet, warn_fn=warn_fn)

        def acts_of(agent: Agent) -> Acts:
            carry_along(type(agent.game).__module__)
            there = ray.put(dataclasses.replace(agent, params=host_copy(agent.params)))
            at_once = _PIECES * CHUNK * searchers.num_actors
            return Acts(
                Shared(functools.partial(searchers.act, there), at_once),
                Shared(functools.partial(searchers.curve, there), at_once),
            )

        try:
            yield acts_of
        finally:
            searchers.close()
