"""A cluster of several nodes, each a raylet of this machine: they come and go, and their memory is full."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from exit.fleet import ActorGroup, FleetConfig
from exit.fleet.batch import Batch, Weights
from exit.fleet.joining import joined
from exit.fleet.ledger import Ledger
from tests import fleet_players

pytestmark = pytest.mark.slow

_STORE = 100 << 20
"""Bytes of shared memory of a node."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster that is only a head, on which no actor fits."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
            # The second binds to the loopback address; it is read when Ray is imported.
            patch.setenv(name, "0")
        if "RAY_AUTH_MODE" not in os.environ:
            # Nodes and this process are to agree, whether a token is kept in the home or not.
            patch.setenv("RAY_AUTH_MODE", "disabled")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": _STORE, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield made
        finally:
            made.shutdown()


def test_actors_move_to_another_node_when_theirs_is_gone(cluster: Any) -> None:
    fleet = FleetConfig(address=cluster.address, groups=(ActorGroup(2),), patience=120.0)
    with joined(fleet) as groups:
        from exit.fleet.crew import Crew

        # Only now, so that the learner is on the head.
        first = cluster.add_node(num_cpus=2, object_store_memory=_STORE)
        ledger, taken = Ledger(), []
        crew = Crew(fleet_players.StandIn, groups, fleet=fleet, ledger=ledger, warn_fn=print)

        def take() -> Batch:
            batch = crew.next_batch(Weights(len(taken), {}))
            taken.append(batch.identity)
            return batch

        while crew.figures()["actors_alive"] < 2:
            take()
        cluster.remove_node(first, allow_graceful=False)
        cluster.add_node(num_cpus=2, object_store_memory=_STORE)
        while crew.figures()["actors_alive"] < 2 or ledger.actors_lost < 2:
            take()
        crew.close()
    assert {identity.actor for identity in taken} == {0, 1, 2, 3}
    assert len(set(taken)) == len(taken) == ledger.ingested
    assert ledger.games == 2 * len(taken)
    assert ledger.balances
    assert ledger.refused == 0


def test_batches_that_fill_the_object_store_arrive_all_the_same(cluster: Any) -> None:
    """Four batches of 40 MiB are out at a time, and one is larger than a node's whole store."""
    cluster.add_node(num_cpus=2, resources={"small": 2}, object_store_memory=_STORE)
    groups = (ActorGroup(2, cpus=0.0, resources=(("small", 1.0),)),)
    fleet = FleetConfig(address=cluster.address, groups=groups, patience=120.0)
    ledger, warnings = Ledger(), []
    with joined(fleet):
        from exit.fleet.crew import Crew

        crew = Crew(fleet_players.Weighty, groups, fleet=fleet, ledger=ledger, warn_fn=warnings.append)
        largest = 0
        for version in range(10):
            batch = crew.next_batch(Weights(version, {}))
            largest = max(largest, batch.leaves[0].nbytes)
            del batch
        crew.close()
    assert largest > _STORE
    assert ledger.balances
    assert (ledger.ingested, ledger.lost, ledger.refused) == (10, 0, 0)
    assert warnings == []
