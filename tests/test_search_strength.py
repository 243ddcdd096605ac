"""What search is worth, by exact values, with networks that know nothing."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.network import make_network
from exit.search import search
from exit.solve import exact_moves
from games.tic_tac_toe import TicTacToe
from tests.planted import BonusHeap, HeapState
from tests.rig import BATCH, CAPACITY, QUIET, rig_of
from tests.tiny import NET, after, random_params, random_states, stack, table_of


class _Choices(NamedTuple):
    """What was given away at each of a sample of positions, and which of them a perfect player wins."""

    regrets: np.ndarray
    won: np.ndarray


@functools.cache
def _choices(scale: float, budget: int) -> _Choices:
    """Choices without noise at 20 batches of positions, with a network that knows nothing."""
    rig = rig_of(TicTacToe(), QUIET)
    params = random_params(rig.game, scale=scale, seed=5)
    regrets, won = [], []
    for seed in range(20):
        states = random_states(rig.game, BATCH, 6, seed)
        moves = exact_moves(table_of(rig.game), states)
        action = np.asarray(rig.run(budget, states=states, params=params).action)
        regrets.append(moves.regrets[np.arange(BATCH), action])
        won.append((moves.values == 1) & moves.critical)
    return _Choices(np.concatenate(regrets), np.concatenate(won))


@pytest.mark.parametrize("scale", [0.0, 0.3], ids=["uniform network", "random network"])
def test_more_search_gives_less_away(scale: float) -> None:
    mean = {budget: _choices(scale, budget).regrets.mean() for budget in (0, 17, 64)}
    assert mean[0] > mean[17] > mean[64]
    assert mean[64] < 0.5 * mean[0]


@pytest.mark.parametrize("scale", [0.0, 0.3], ids=["uniform network", "random network"])
def test_more_search_finds_more_forced_wins(scale: float) -> None:
    choices = {budget: _choices(scale, budget) for budget in (0, 17, 64)}
    missed = {budget: np.mean(chosen.regrets[chosen.won] > 0) for budget, chosen in choices.items()}
    assert missed[0] > missed[17] > missed[64]
    assert missed[0] > 0.5
    assert missed[64] < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_search_completes_a_line_whatever_the_network_says(seed: int) -> None:
    rig = rig_of(TicTacToe(), QUIET)
    states = stack([after(rig.game, *line) for line in [(0, 3, 1, 4), (4, 0, 5, 1), (8, 0, 5, 1)]] * 4)
    found = rig.run(CAPACITY, states=states, params=random_params(rig.game, scale=0.1, seed=seed))
    assert found.action.tolist() == [2, 3, 2] * 4
    assert (found.qvalues[jnp.arange(BATCH), found.action] > 0.99).all()


def test_search_minds_who_moves_next() -> None:
    """In this game taking two keeps the turn, so that discounts have either sign."""
    game = BonusHeap()
    network = make_network(NET, game)
    run = jax.jit(
        functools.partial(
            search,
            game=game,
            predict=network.predict,
            config=QUIET,
        )
    )
    heaps = HeapState(jnp.arange(1, 7, dtype=jnp.int32))
    found = run(random_params(game, scale=0.0), jax.random.key(0), heaps, jnp.full(6, CAPACITY))
    moves = exact_moves(table_of(game), heaps)
    assert moves.optimal[np.arange(6), found.action].all()
    assert moves.critical.sum() >= 3
    np.testing.assert_array_equal(np.sign(found.value), np.sign(game.VALUES[1:]))
