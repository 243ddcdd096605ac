"""Targets: what a position is said to be worth once its game has been played."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exit.search import SearchResult
from exit.selfplay import Trajectory
from exit.targets import make_targets
from games.tic_tac_toe import TicTacToe
from tests.planted import Chain
from tests.rounds import SAMPLED, play_round


def _trajectory(value: Any, reward: Any, discount: Any) -> Trajectory:
    """A trajectory with these figures, `[T]` or `[T, B]`, whose states tell their time and game."""
    value, reward, discount = (jnp.asarray(column, jnp.float32) for column in (value, reward, discount))
    if value.ndim == 1:
        value, reward, discount = value[:, None], reward[:, None], discount[:, None]
    number = jnp.arange(value.size, dtype=jnp.int32).reshape(value.shape)
    weights = jnp.stack([number, -number], axis=-1).astype(jnp.float32)
    unbounded = jnp.full(value.shape, jnp.inf)
    states = {"number": number}
    even = jnp.full(weights.shape, 0.5)
    return Trajectory(
        state=states,
        action_weights=weights,
        value=value,
        regrets=jnp.zeros_like(weights),
        prior=even,
        prior_value=value,
        lower=-unbounded,
        upper=unbounded,
        reward=reward,
        discount=discount,
        tried=jnp.zeros(value.shape, bool),
        num_simulations=jnp.zeros(value.shape, jnp.int32),
    )


def _returns(value: Any, reward: Any, discount: Any, return_weight: float) -> list[float]:
    """The lambda-return of one game from its definition, latest first, in plain Python."""
    targets: list[float] = []
    for time in reversed(range(len(value))):
        if discount[time] == 0:
            outcome = reward[time]
        elif time == len(value) - 1:
            outcome = value[time]
        else:
            outcome = reward[time] + discount[time] * targets[-1]
        targets.append((1 - return_weight) * value[time] + return_weight * outcome)
    return targets[::-1]


@pytest.mark.parametrize(
    ("return_weight", "expected"),
    [
        # A win of the player who moves last and first, then the first two moves of a game cut short.
        (0.0, [0.1, -0.2, 0.3, 0.4, -0.6]),
        (1.0, [1.0, -1.0, 1.0, 0.6, -0.6]),
        (0.5, [0.05 + 0.5 * 0.425, -0.1 - 0.5 * 0.65, 0.65, 0.5, -0.6]),
    ],
)
def test_targets_of_a_game_by_hand(return_weight: float, expected: list[float]) -> None:
    played = _trajectory([0.1, -0.2, 0.3, 0.4, -0.6], [0, 0, 1, 0, 0], [-1, -1, 0, -1, -1])
    np.testing.assert_allclose(make_targets(played, return_weight=return_weight).value, expected, atol=1e-6)


def test_targets_of_one_player_who_is_discounted() -> None:
    """Four steps of the chain walked to its end: the prize of 10, later the less it is worth."""
    played = _trajectory([5.0, 5.0, 5.0, 5.0], [0, 0, 0, 10], [0.9, 0.9, 0.9, 0])
    np.testing.assert_allclose(make_targets(played, return_weight=1.0).value, [7.29, 8.1, 9, 10], rtol=1e-6)


def test_targets_where_the_turn_is_kept() -> None:
    played = _trajectory([0.0, 0.0, 0.0], [0, 0, -1], [0.9, -0.9, 0])
    np.testing.assert_allclose(make_targets(played, return_weight=1.0).value, [0.81, 0.9, -1], rtol=1e-6)


def test_the_return_of_a_move_that_was_tried_is_no_target() -> None:
    """The second move was drawn evenly: what became of it says nothing of the first two positions."""
    played = _trajectory([0.1, -0.2, 0.3, 0.4], [0, 0, 0, 1], [-1, -1, -1, 0])
    played = played._replace(tried=jnp.array([[False], [True], [False], [False]]))
    np.testing.assert_allclose(make_targets(played, return_weight=1.0).value, [0.2, -0.2, -1, 1], atol=1e-6)
    known = played._replace(prior_value=jnp.zeros_like(played.value))
    found = make_targets(known, return_weight=1.0, without_luck=True).value
    np.testing.assert_allclose(found, [0.1 + 0.2, -0.2, 0.3 - 0.4, 0.4], atol=1e-6)


def test_targets_tell_what_search_saw_the_network_give_away() -> None:
    """In the second position the better move was not thought of: the policy gives nothing away by it."""
    found = play_round(TicTacToe())[2]
    result = SearchResult(
        action=jnp.array([0, 1]),
        action_weights=jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        value=jnp.zeros(2),
        qvalues=jnp.array([[0.5, -0.5, -1.0], [-1.0, 0.25, 0.5]]),
        visit_counts=jnp.ones((2, 3), int),
        num_simulations=jnp.ones(2, int),
        lower=jnp.array([0.5, -1.0]),
        upper=jnp.array([0.5, 1.0]),
        prior=jnp.array([[0.25, 0.75, 0.0], [0.5, 0.25, 0.25]]),
        prior_value=jnp.zeros(2),
    )
    np.testing.assert_allclose(result.regrets, [[0, 1, 0], [1.25, 0, 0]], atol=1e-6)
    targets = make_targets(found, return_weight=0.5)
    regret = np.sum(np.asarray(found.prior) * np.asarray(found.regrets), axis=-1)
    np.testing.assert_allclose(targets.regret, regret.reshape(-1), atol=1e-6)
    np.testing.assert_array_equal(targets.regrets, np.asarray(found.regrets).reshape(-1, 9))
    np.testing.assert_array_equal(targets.solved, np.equal(found.lower, found.upper).reshape(-1))
    assert regret.max() > 0.1


def test_what_is_proven_overrules_what_was_played() -> None:
    """The second position is a proven win that was then lost; the third is proven not to be lost."""
    played = _trajectory([0.1, 0.8, 0.2, 0.4], [0, 0, 0, 1], [-1, -1, -1, 0])
    bounds = jnp.array([[-1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
    played = played._replace(lower=bounds[:, :1], upper=bounds[:, 1:])
    np.testing.assert_array_equal(make_targets(played, return_weight=1.0).value, [-1, 1, 0, 1])


FIGURES = st.floats(-1, 1, width=32)


@given(
    games=st.lists(
        st.lists(
            st.tuples(FIGURES, FIGURES, st.sampled_from([-1.0, -0.9, 0.0, 0.9, 1.0])), min_size=5, max_size=5
        ),
        min_size=2,
        max_size=2,
    ),
    return_weight=st.floats(0, 1),
)
def test_targets_are_lambda_returns(games: Any, return_weight: float) -> None:
    value, reward, discount = np.array(games).transpose(2, 1, 0)
    found = make_targets(_trajectory(value, reward, discount), return_weight=return_weight).value
    for game in range(2):
        expected = _returns(value[:, game], reward[:, game], discount[:, game], return_weight)
        np.testing.assert_allclose(found[game::2], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("return_weight", "expected"),
    [
        # Search found 0.1 more than the network at the third position, and 0.2 less at the second.
        (0.0, [0.1, -0.2, 0.3, 0.4]),
        (1.0, [0.1 + 0.3, -0.2 - 0.1, 0.3, 0.4]),
        (0.5, [0.1 + 0.5 * 0.25, -0.2 - 0.5 * 0.1, 0.3, 0.4]),
    ],
)
def test_targets_without_luck_by_hand(return_weight: float, expected: list[float]) -> None:
    """The turn passes every time, the third move wins, and another game begins."""
    played = _trajectory([0.1, -0.2, 0.3, 0.4], [0, 0, 1, 0], [-1, -1, 0, -1])
    played = played._replace(prior_value=jnp.array([[0.1], [0.0], [0.2], [0.9]]))
    found = make_targets(played, return_weight=return_weight, without_luck=True).value
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("return_weight", [0.5, 1.0])
def test_luck_is_left_out_where_the_network_knows_everything(return_weight: float) -> None:
    """A game goes better and better for the player by chance, which the network's values follow."""
    values = [0.5, 0.8, 0.9, 1.0]
    played = _trajectory(values, [0, 0, 0, 1], [1, 1, 1, 0])
    found = make_targets(played, return_weight=return_weight, without_luck=True).value
    np.testing.assert_allclose(found, values, atol=1e-6)


def test_an_example_keeps_its_state_and_its_policy() -> None:
    played = _trajectory(np.zeros((4, 3)), np.zeros((4, 3)), -np.ones((4, 3)))
    targets = make_targets(played, return_weight=0.5)
    np.testing.assert_array_equal(targets.state["number"], np.arange(12))
    np.testing.assert_array_equal(targets.action_weights[:, 0], np.arange(12))


def test_targets_of_a_real_game_of_one_player_are_its_discounted_prize() -> None:
    """With outcomes alone, a walk that reaches the end of the chain is valued as in closed form."""
    _, _, played = play_round(Chain(), SAMPLED)
    played = played._replace(lower=played.lower - jnp.inf, upper=played.upper + jnp.inf)
    value = np.asarray(make_targets(played, return_weight=1.0).value).reshape(12, 256)
    left, reward = np.asarray(played.state.left), np.asarray(played.reward)
    checked = 0
    for game in range(8):
        for time in range(12):
            ends = [t for t in range(time, 12) if np.asarray(played.discount)[t, game] == 0]
            if ends:
                steps = ends[0] - time
                assert value[time, game] == pytest.approx(reward[ends[0], game] * 0.9**steps, rel=1e-5)
                assert left[ends[0], game] == left[time, game] - steps
                checked += 1
    assert checked > 40
