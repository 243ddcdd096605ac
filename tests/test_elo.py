"""Elo ratings and the games they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.errors import UsageError
from exit.evaluate import elo_ratings, pairs_in_order, play_pair, random_positions, table_of
from exit.evaluate.tournament import ChooseFn
from exit.game import Game, State, Step
from exit.ratings import require_opponent
from exit.solve import exact_of
from games.bandit import Bandit
from games.nim import Nim
from games.pig import Pig
from games.tic_tac_toe import TicTacToe
from tests.planted import BonusHeap


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


def test_everybody_meets_those_near_in_strength() -> None:
    met = pairs_in_order(np.array([3.0, 1, 2, 0, 9, 8, 7, 6, 5, 4]))
    place = {player: place for place, player in enumerate([3, 1, 2, 0, 9, 8, 7, 6, 5, 4])}
    apart = [place[second] - place[first] for first, second in met]
    assert sorted(apart) == [1] * 9 + [2] * 8 + [4] * 6 + [8] * 2
    assert len(set(met)) == len(met)
    for num in (2, 3, 40):
        pairs = pairs_in_order(np.random.default_rng(num).normal(size=num))
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


@dataclass(frozen=True)
class _Toll(BonusHeap):
    """A heap of which every move costs, two objects more than one, and the last one pays."""

    name = "toll"

    def apply(self, state: Any, action: Any, outcome: Any) -> tuple[Any, Step]:
        after, step = super().apply(state, action, outcome)
        price = jnp.where(action == 1, -0.75, -0.25)
        return after, step._replace(reward=price + jnp.where(after.left == 0, 1.0, 0.0))


def _two(left: int) -> int:
    """Takes two objects where it can."""
    return int(left > 1)


def _threes(left: int) -> int:
    """Takes two objects of a multiple of three."""
    return int(left % 3 == 0)


def _outcome(heap: int, players: Sequence[Callable[[int], int]]) -> float:
    """What a game from so many objects brings whoever moves first, in plain Python."""
    left, turn, weight, total = heap, 0, 1.0, 0.0
    while left:
        action = players[turn](left)
        left -= action + 1
        reward = (-0.75 if action else -0.25) + (0 if left else 1)
        total += (1, -1)[turn] * weight * reward
        weight *= 0.9
        turn = turn if action else 1 - turn
    return total


def test_rewards_on_the_way_count_for_whom_they_were_paid_to() -> None:
    """Also where the turn is kept and what comes later counts less."""
    game = _Toll(heap=12)
    openings = np.arange(1, 13, dtype=np.uint32)[:, None]

    def player(choose: Callable[[int], int]) -> ChooseFn:
        table = np.array([0, *(choose(left) for left in range(1, 13))])
        return lambda states, own: table[np.asarray(states.left)]

    found = play_pair(player(_two), player(_threes), game=game, openings=openings)
    for heap, points in zip(range(1, 13), found, strict=True):
        first, second = np.sign(_outcome(heap, [_two, _threes])), -np.sign(_outcome(heap, [_threes, _two]))
        assert points == 0.5 + 0.25 * (first + second), heap
    assert len(set(found)) > 1


def test_chance_does_as_it_does() -> None:
    """In Pig who holds at 12 beats who holds at once; the dice fall otherwise in every game."""
    game = Pig(goal=30)
    start = np.repeat(np.asarray(game.encode(game.init()))[None], 200, axis=0)

    def holds_at(least: int) -> ChooseFn:
        return lambda states, own: np.where(np.asarray(states.turn) >= least, 0, 1)

    found = play_pair(holds_at(12), holds_at(1), game=game, openings=start)
    assert 0.6 < found.mean() < 1
    assert {0.5, 1.0} <= set(found) <= {0.0, 0.5, 1.0}
    np.testing.assert_array_equal(found, play_pair(holds_at(12), holds_at(1), game=game, openings=start))
    assert (found != play_pair(holds_at(12), holds_at(1), game=game, openings=start, seed=1)).any()


def test_without_opponent_there_is_no_elo() -> None:
    with pytest.raises(UsageError, match="there is no opponent in bandit_2_5 to be rated against; leave Elo"):
        require_opponent(Bandit(horizon=5))
    # A game that may end at once has one all the same.
    for game in (TicTacToe(), Pig(goal=2), Nim()):
        require_opponent(game)
