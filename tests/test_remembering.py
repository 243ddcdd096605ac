"""Networks over histories: read in full, read event by event, and searched with what they remember."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.game import State
from exit.network import (
    GRUConfig,
    MLPConfig,
    NetworkConfig,
    TransformerConfig,
    make_network,
    newest_event,
    recurrence_of,
)
from exit.search import Gumbel, SearchConfig, search
from games.bandit_history import BanditHistory
from games.tic_tac_toe import TicTacToe
from tests.rig import QUICKLY
from tests.tiny import random_params, stack

GAME = BanditHistory(2, 6)
GRU = GRUConfig(memory=8, width=12, num_blocks=1)
TRANSFORMER = TransformerConfig(width=8, num_layers=2, num_heads=2)
CONFIGS = pytest.mark.parametrize("config", [GRU, TRANSFORMER], ids=["gru", "transformer"])
HISTORIES = [[], [(0, 1)], [(1, 0), (0, 1), (0, 0)], [(1, 1)] * 5, [(0, 0), (1, 1), (0, 1), (1, 0), (1, 1)]]


def _states(game: BanditHistory = GAME) -> State:
    return stack([game.after(history) for history in HISTORIES])


@CONFIGS
def test_event_by_event_is_the_same_as_in_full(config: NetworkConfig) -> None:
    network, params = make_network(config, GAME), random_params(GAME, config)
    recurrence = recurrence_of(network.predict)
    assert recurrence is not None
    observation = jax.vmap(GAME.observe)(_states())
    memory = recurrence.remember(params, jnp.zeros_like(observation))
    for event in range(GAME.horizon):
        # Events to come are none, and leave what is remembered as it is.
        memory = recurrence.step(params, memory, observation[:, event])
    for one, other in zip(
        recurrence.read(params, memory, observation), network.predict(params, observation), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    assert np.unique(network.predict(params, observation)[1]).size == len(HISTORIES)


@CONFIGS
def test_more_room_for_events_to_come_shows_only_in_their_number(config: NetworkConfig) -> None:
    longer = BanditHistory(2, 9)
    params = random_params(GAME, config)
    recurrence = recurrence_of(make_network(config, GAME).predict)
    observation = jax.vmap(GAME.observe)(_states())
    there = jax.vmap(longer.observe)(_states(longer))
    memories = [recurrence.remember(params, each) for each in (observation, there)]  # pyright: ignore
    activations = [
        make_network(config, game).activations(params, seen)
        for game, seen in ((GAME, observation), (longer, there))
    ]
    if isinstance(config, GRUConfig):
        np.testing.assert_array_equal(*memories)
    first = next(iter(activations[0]))
    np.testing.assert_allclose(activations[0][first], activations[1][first], rtol=0, atol=1e-6)
    assert not np.allclose(activations[0]["features"], activations[1]["features"])


def _searches(config: NetworkConfig, policy: Gumbel) -> tuple[Any, Any]:
    """One search with what is remembered, and one that reads every history in full."""
    network, params = make_network(config, GAME), random_params(GAME, config)
    found = []
    for predict in (network.predict, lambda params, seen: network.predict(params, seen)):
        run = jax.jit(
            functools.partial(
                search, game=GAME, predict=predict, config=SearchConfig(max_simulations=12, policy=policy)
            ),
            compiler_options=QUICKLY,
        )
        found.append(run(params, jax.random.key(3), _states(), jnp.array([12, 5, 12, 0, 12])))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("config", "policy"),
    [(GRU, Gumbel(side_by_side=True)), (TRANSFORMER, Gumbel())],
    ids=["gru side by side", "transformer"],
)
def test_search_with_memory_finds_what_search_without_finds(config: NetworkConfig, policy: Gumbel) -> None:
    remembering, reading = _searches(config, policy)
    np.testing.assert_array_equal(remembering.visit_counts, reading.visit_counts)
    np.testing.assert_array_equal(remembering.action, reading.action)
    np.testing.assert_allclose(remembering.value, reading.value, rtol=0, atol=1e-4)
    assert remembering.visit_counts.sum() > 12


def test_the_newest_event_is_the_last_that_happened() -> None:
    seen = GAME.observe(GAME.after([(1, 0), (0, 1)]))
    np.testing.assert_array_equal(newest_event(seen), seen[1])
    assert not newest_event(GAME.observe(GAME.init())).any()


def test_networks_over_histories_need_histories() -> None:
    with pytest.raises(ValueError, match=r"GRUConfig needs observations \[events, columns\]"):
        make_network(GRUConfig(), TicTacToe()).shapes()
    assert recurrence_of(make_network(MLPConfig(width=8), TicTacToe()).predict) is None


@pytest.mark.parametrize(
    ("kind", "sizes", "message"),
    [
        (GRUConfig, {"memory": 0}, "network.memory is 0; it must be at least 1"),
        (TransformerConfig, {"num_layers": 0}, "network.num_layers is 0"),
        (TransformerConfig, {"num_heads": 5}, "network.num_heads is 5; it must divide network.width"),
    ],
)
def test_senseless_sizes_are_refused(kind: type, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**sizes)
