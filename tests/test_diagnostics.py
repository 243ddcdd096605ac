"""Figures of what was played."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.diagnostics import play_figures
from exit.network import make_network
from exit.search import Inside
from exit.selfplay import Trajectory, initial_games, self_play
from exit.targets import make_targets
from games.tic_tac_toe import TicTacToe
from tests.rounds import CONFIG, SEARCH, play_round
from tests.tiny import NET, random_params


def test_figures_are_means_over_the_positions_played() -> None:
    game = TicTacToe()
    _, _, played = play_round(game)
    figures = play_figures(played, make_targets(played, return_weight=0.5))
    predict = make_network(NET, game).predict
    observed = jax.vmap(jax.vmap(game.observe))(played.state)
    logits, values = predict(random_params(game, scale=0.1), observed.reshape(-1, *game.observation_shape))
    legal = np.asarray(jax.vmap(jax.vmap(game.legal_actions))(played.state)).reshape(-1, 9)
    logits = np.where(legal, logits, -np.inf)
    prior = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
    weights = np.asarray(played.action_weights).reshape(-1, 9)
    lower, upper, value = (np.asarray(x).reshape(-1) for x in (played.lower, played.upper, played.value))
    logs = np.log(np.maximum(prior, 1e-30))
    assert figures.entropy == pytest.approx(-np.sum(prior * logs, axis=-1).mean(), abs=1e-5)
    assert figures.top_weight == pytest.approx(weights.max(axis=-1).mean(), abs=1e-5)
    overridden = weights.argmax(axis=-1) != prior.argmax(axis=-1)
    assert figures.overridden == pytest.approx(overridden.mean(), abs=1e-5)
    assert figures.value_surprise == pytest.approx(np.abs(value - values).mean(), abs=1e-5)
    assert figures.proven == pytest.approx((lower == upper).mean(), abs=1e-5)
    assert 0 < figures.proven < 1
    assert figures.simulations == pytest.approx(np.mean(played.num_simulations))
    assert 0 < figures.simulations <= CONFIG.budget


@pytest.mark.parametrize("return_weight", [0.0, 0.5, 1.0])
def test_the_slope_is_that_of_the_targets_over_the_networks_values(return_weight: float) -> None:
    _, _, played = play_round(TicTacToe())
    targets = make_targets(played, return_weight=return_weight)
    expected = np.polyfit(np.ravel(played.prior_value), np.ravel(targets.value), 1)[0]
    assert play_figures(played, targets).value_slope == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("stretched", "slope"), [(1.0, 1.0), (2.0, 0.5), (0.5, 2.0), (-1.0, -1.0)])
def test_values_that_go_too_far_have_a_slope_below_one(stretched: float, slope: float) -> None:
    """A network that says the targets, stretched and all a tenth too high."""
    _, _, played = play_round(TicTacToe())
    targets = make_targets(played, return_weight=1.0)
    said = stretched * targets.value.reshape(played.value.shape) + 0.1
    figures = play_figures(played._replace(prior_value=said), targets)
    assert figures.value_slope == pytest.approx(slope, abs=1e-4)


def test_values_that_do_not_differ_have_no_slope() -> None:
    _, _, played = play_round(TicTacToe())
    said = jnp.full(played.value.shape, 0.3)
    targets = make_targets(played, return_weight=1.0)
    assert np.isnan(play_figures(played._replace(prior_value=said), targets).value_slope)


def test_positions_from_inside_the_trees_do_not_count() -> None:
    game = TicTacToe()
    config = replace(CONFIG, from_trees=True)
    starts = initial_games(jax.random.key(0), game=game, config=config)
    play: Any = functools.partial(
        self_play, game=game, predict=make_network(NET, game).predict, search_config=SEARCH, config=config
    )
    played: Trajectory = jax.jit(play)(random_params(game, scale=0.1), jax.random.key(1), starts)[1]
    assert isinstance(played.inside, Inside)
    found = play_figures(played, make_targets(played, return_weight=1.0))
    alone = played._replace(inside=None)
    assert found == play_figures(alone, make_targets(alone, return_weight=1.0))
