"""Elo ratings and the games they come from."""

import jax
import numpy as np
import pytest

from exit.errors import UsageError
from exit.evaluate import elo_ratings, pairs_in_order, play_pair, random_positions, table_of
from exit.evaluate.tournament import ChooseFn
from exit.game import Game, State
from exit.ratings import require_opponent
from exit.solve import exact_of
from games.bandit import Bandit
from games.nim import Nim
from games.tic_tac_toe import TicTacToe


def _perfect(game: Game) -> ChooseFn:
    """Plays the first of the best moves."""
    exact = exact_of(game)

    def choose(states: State, own: np.ndarray) -> np.ndarray:
        keys = np.asarray(jax.vmap(game.encode)(states))
        return np.where(own, exact.moves_fn(keys).optimal.argmax(axis=-1), 0)

    return choose


def _first_legal(game: Game) -> ChooseFn:
    return lambda states, own: np.asarray(jax.vmap(game.legal_actions)(states)).argmax(axis=-1)


def test_ratings_are_those_that_results_were_expected_of() -> None:
    planted = np.array([-200.0, 0, 50, 150])
    share = 1 / (1 + 10 ** ((planted[None] - planted[:, None]) / 400))
    points = 1e6 * (share - np.diag(np.diag(share)))
    np.testing.assert_allclose(elo_ratings(points), planted, atol=0.01)
    # Only neighbours met: what is between the ends follows.
    met = np.abs(np.subtract.outer(np.arange(4), np.arange(4))) == 1
    np.testing.assert_allclose(elo_ratings(points * met), planted, atol=0.01)


def test_who_wins_everything_is_rated_all_the_same() -> None:
    low, high = elo_ratings(np.array([[0.0, 0.0], [30.0, 0.0]]))
    assert low == pytest.approx(-high)
    # 30.5 points of 31.
    assert high - low == pytest.approx(400 * np.log10(30.5 / 0.5), abs=0.01)
    again = elo_ratings(np.array([[0.0, 0.0], [3000.0, 0.0]]))
    assert high < again[1] < 1500


def test_players_who_never_met_are_not_compared() -> None:
    points = np.zeros((4, 4))
    points[0, 1] = points[2, 3] = 5
    with pytest.raises(ValueError, match="never met"):
        elo_ratings(points)
    points[1, 2] = 1
    elo_ratings(points)


def test_everybody_is_linked_to_everybody() -> None:
    for num in (2, 3, 9, 40):
        pairs = pairs_in_order(np.random.default_rng(num).normal(size=num))
        assert all(first != second for first, second in pairs)
        elo_ratings(table_of(pairs, np.full(len(pairs), 0.5), 2.0, num))


def test_games_end_as_the_rules_say() -> None:
    """In Nim an opening decides the game, so that perfect players share every pair of games."""
    game = Nim()
    openings = random_positions(game, 30, 4).keys
    perfect, simple = _perfect(game), _first_legal(game)
    np.testing.assert_array_equal(play_pair(perfect, perfect, game=game, openings=openings), 0.5)
    against = play_pair(perfect, simple, game=game, openings=openings)
    assert (against >= 0.5).all()
    assert against.mean() > 0.7
    np.testing.assert_array_equal(play_pair(simple, perfect, game=game, openings=openings), 1 - against)


def test_perfect_play_never_loses_from_the_start() -> None:
    game = TicTacToe()
    start = random_positions(game, 1, 0).keys
    perfect, simple = _perfect(game), _first_legal(game)
    assert play_pair(perfect, perfect, game=game, openings=start) == 0.5
    assert play_pair(perfect, simple, game=game, openings=start) > 0.5


def test_without_opponent_there_is_no_elo() -> None:
    with pytest.raises(UsageError, match=r"the turn never passes in bandit_2_5: .* leave --elo out"):
        require_opponent(Bandit(horizon=5))
    require_opponent(TicTacToe())
