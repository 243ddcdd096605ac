"""Self-play follows the rules and starts and ends where it should."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.game import Game, State, is_terminal
from exit.network import make_network
from exit.search import search
from exit.selfplay import (
    SelfPlayConfig,
    initial_games,
    initial_states,
    self_play,
)
from games.kelly import Kelly
from games.kelly_beta import KellyBeta
from games.pig import Pig
from games.tic_tac_toe import TicTacToe, TicTacToeState
from tests.planted import BonusHeap, Chain, Dice
from tests.rounds import CONFIG, SAMPLED, SEARCH, play_round
from tests.tiny import NET, random_params, row


def _plies(state: TicTacToeState) -> np.ndarray:
    return np.bitwise_count(np.asarray(state.mine)) + np.bitwise_count(np.asarray(state.theirs))


def _following(state: Any, last: State) -> Any:
    """The position after each of a trajectory."""
    return jax.tree.map(lambda all_, end: np.concatenate([all_[1:], end[None]]), state, last)


@pytest.mark.parametrize("max_random_plies", [0, 4, 9])
def test_starts_are_unfinished_and_as_far_on_as_they_may_be(max_random_plies: int) -> None:
    config = SelfPlayConfig(num_games=400, max_random_plies=max_random_plies)
    starts = initial_states(jax.random.key(0), game=TicTacToe(), config=config)
    assert not jax.vmap(functools.partial(is_terminal, TicTacToe()))(starts).any()
    # Nine plies always end a game of tic-tac-toe.
    assert set(_plies(starts).tolist()) == set(range(min(max_random_plies, 8) + 1))


def test_starts_of_a_game_of_chance_follow_its_odds() -> None:
    config = SelfPlayConfig(num_games=2000, max_random_plies=1)
    starts = initial_states(jax.random.key(0), game=Dice(), config=config)
    rolled = np.asarray(starts.face)[np.asarray(starts.rolls) == 2]
    assert 800 < len(rolled) < 1200
    counts = np.bincount(rolled, minlength=7)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - len(rolled) / 6) < 5 * np.sqrt(len(rolled) / 6 * 5 / 6)).all()


@pytest.mark.parametrize(
    ("game", "column", "most"),
    [(Kelly(), "wealth", 249), (KellyBeta(), "wealth", 99), (Pig(), "mine", 99)],
    ids=["kelly", "kelly_beta", "pig"],
)
def test_random_starts_are_unfinished_and_go_everywhere(game: Game, column: str, most: int) -> None:
    config = SelfPlayConfig(num_games=1000, random_starts=1.0)
    starts = initial_states(jax.random.key(0), game=game, config=config)
    assert not jax.vmap(functools.partial(is_terminal, game))(starts).any()
    keys = jax.vmap(game.encode)(starts)
    again = jax.vmap(game.encode)(jax.vmap(game.decode)(keys))
    np.testing.assert_array_equal(again, keys)
    # Many different ones, some of them close to the ends of the range.
    assert len(np.unique(keys, axis=0)) > 800
    amount = np.asarray(getattr(starts, column))
    assert amount.min() < 0.1 * most
    assert 0.9 * most < amount.max() <= most


def test_a_share_of_starts_is_random() -> None:
    config = SelfPlayConfig(num_games=1000, random_starts=0.3)
    starts = initial_states(jax.random.key(0), game=Kelly(), config=config)
    ordinary = (np.asarray(starts.wealth) == 25) & (np.asarray(starts.rounds) == 300)
    assert 0.6 < ordinary.mean() < 0.8


def test_random_starts_of_a_game_that_draws_none_are_refused() -> None:
    config = SelfPlayConfig(num_games=4, random_starts=0.5)
    with pytest.raises(
        ValueError, match=r"tic_tac_toe draws no random states; set self_play\.random_starts to 0"
    ):
        initial_states(jax.random.key(0), game=TicTacToe(), config=config)


@pytest.mark.parametrize("game", [TicTacToe(), BonusHeap()], ids=lambda game: game.name)
def test_every_move_is_one_the_rules_allow_and_bring_what_they_say(game: Game) -> None:
    _, last, played = play_round(game)
    after = _following(played.state, last)
    apply_all = jax.vmap(game.apply, in_axes=(None, 0, None))
    over_all = jax.vmap(functools.partial(is_terminal, game))
    actions = jnp.arange(game.num_actions)

    @jax.jit
    def explain(state: State, next_state: State, reward: Any, discount: Any) -> tuple[Any, Any, Any]:
        """Which actions bring the reward, discount and next state, and whether they end the game."""
        states, steps = apply_all(state, actions, jnp.int32(0))
        same = jnp.all(jnp.stack(jax.tree.leaves(jax.tree.map(jnp.equal, states, next_state))), axis=0)
        over = over_all(states)
        fits = (steps.reward == reward) & (steps.discount == discount) & (same | over)
        return fits, over, game.legal_actions(state)

    fits, over, legal = jax.vmap(jax.vmap(explain))(played.state, after, played.reward, played.discount)
    fits, over, legal = np.asarray(fits & legal), np.asarray(over), np.asarray(legal)
    ended = np.equal(played.discount, 0)
    assert legal.any(axis=-1).all()
    assert fits.any(axis=-1).all()
    np.testing.assert_array_equal((fits & over).any(axis=-1), ended)
    assert not (fits & ~over & ended[..., None]).any()
    assert ended.sum() >= CONFIG.num_games
    assert not jax.vmap(functools.partial(is_terminal, game))(last).any()


def test_a_finished_game_is_followed_by_a_start_of_the_allowed_length() -> None:
    _, last, played = play_round(TicTacToe())
    after = _plies(_following(played.state, last))
    ended = np.asarray(played.discount) == 0
    np.testing.assert_array_equal(after[~ended], _plies(played.state)[~ended] + 1)
    assert after[ended].max() <= CONFIG.max_random_plies
    assert np.unique(after[ended]).size > 1


def test_a_game_that_ends_twice_in_a_round_starts_at_different_positions() -> None:
    game = TicTacToe()
    _, last, played = play_round(game)
    keys = np.asarray(jax.vmap(jax.vmap(game.encode))(_following(played.state, last)))[..., 0]
    ended = np.asarray(played.discount) == 0
    starts = [keys[ended[:, lane], lane] for lane in range(CONFIG.num_games)]
    repeated = [lane for lane in starts if len(lane) > 1 and len(set(lane.tolist())) == 1]
    assert sum(len(lane) > 1 for lane in starts) > 4
    # Two starts may be the same by chance, most of all where no random ply was drawn.
    assert len(repeated) < len(starts) / 4


def test_a_round_begins_at_the_positions_it_was_given() -> None:
    starts, _, played = play_round(TicTacToe())
    for given_, first in zip(starts, row(played.state, 0), strict=True):
        np.testing.assert_array_equal(given_, first)


def test_what_is_recorded_is_what_search_says_and_its_choice_is_played() -> None:
    game = TicTacToe()
    _, last, played = play_round(game)
    after = _following(played.state, last)
    run = jax.jit(
        functools.partial(search, game=game, predict=make_network(NET, game).predict, config=SEARCH)
    )
    for step in range(3):
        state = row(played.state, step)
        found = run(random_params(game, scale=0.1), jax.random.key(9), state, jnp.full(CONFIG.num_games, 4))
        np.testing.assert_allclose(played.action_weights[step], found.action_weights, atol=1e-5)
        np.testing.assert_allclose(played.value[step], found.value, atol=1e-5)
        np.testing.assert_allclose(played.lower[step], found.lower)
        np.testing.assert_allclose(played.upper[step], found.upper)
        expected, _ = jax.vmap(game.apply)(state, found.action, jnp.zeros(CONFIG.num_games, jnp.int32))
        going_on = np.asarray(played.discount[step]) != 0
        np.testing.assert_array_equal(
            np.asarray(expected.theirs)[going_on], np.asarray(row(after, step).theirs)[going_on]
        )


def test_in_a_game_of_chance_outcomes_follow_its_odds_and_rewards_its_rules() -> None:
    config = SelfPlayConfig(num_games=64, num_steps=16, budget=4, max_random_plies=0)
    _, last, played = play_round(Dice(), config)
    after = _following(played.state, last)
    before, kept = played.state, np.asarray(played.discount) == 0
    assert kept.sum() > 64
    np.testing.assert_array_equal(played.reward, np.where(kept, before.face, 0))
    np.testing.assert_array_equal(np.asarray(after.rolls)[~kept], np.asarray(before.rolls)[~kept] - 1)
    # Every game starts afresh after its last face is kept.
    assert (np.asarray(after.rolls)[kept] == 3).all()
    faces = np.bincount(np.asarray(after.face)[~kept], minlength=7)
    share = faces.sum() / 6
    assert faces[0] == 0
    assert (np.abs(faces[1:] - share) < 5 * np.sqrt(share * 5 / 6)).all()


def test_sampled_moves_follow_the_improved_policy() -> None:
    _, _, played = play_round(Chain(), SAMPLED)
    weights = np.asarray(played.action_weights[0], float)
    # All games began in one position, so the search said the same in all.
    np.testing.assert_allclose(weights, np.broadcast_to(weights[0], weights.shape), atol=1e-5)
    walked = int(np.sum(np.equal(played.discount[0], np.float32(0.9))))
    likely = weights[0, 1]
    assert 0.05 < likely < 0.95
    assert abs(walked - 256 * likely) < 5 * np.sqrt(256 * likely * (1 - likely))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"num_games": 0}, "self_play.num_games"),
        ({"num_steps": 0}, "self_play.num_steps"),
        ({"budget": 0}, "self_play.budget"),
        ({"sample_fraction": 1.5}, "self_play.sample_fraction"),
        ({"random_starts": -0.1}, "self_play.random_starts"),
        ({"max_random_plies": -1}, "self_play.max_random_plies"),
        ({"mistake_starts": -0.5}, r"self_play.mistake_starts is -0.5; it must be in \[0, 1\]"),
        ({"random_moves": 1.5}, r"self_play.random_moves is 1.5; it must be in \[0, 1\]"),
    ],
)
def test_a_senseless_configuration_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        SelfPlayConfig(**changes)


def _same(states: Any, other: Any) -> np.ndarray:
    """Which of n states are equal to one."""
    pairs = zip(jax.tree.leaves(states), jax.tree.leaves(other), strict=True)
    return np.logical_and.reduce([np.asarray(a) == np.asarray(b) for a, b in pairs])


def test_games_start_again_where_mistakes_were_or_a_move_further() -> None:
    game = TicTacToe()
    config = replace(CONFIG, mistake_starts=1.0)
    games = initial_games(jax.random.key(0), game=game, config=config)
    assert games.regret is not None
    assert not games.regret.any()
    play = functools.partial(
        self_play,
        game=game,
        predict=make_network(NET, game).predict,
        search_config=SEARCH,
        config=config,
    )
    last, played = jax.jit(play)(random_params(game, scale=0.1), jax.random.key(1), games)
    regret = np.sum(np.asarray(played.prior) * np.asarray(played.regrets), axis=-1)
    assert last.regret is not None
    legal = np.asarray(jax.vmap(jax.vmap(game.legal_actions))(played.state))
    at, further = 0, 0
    for time, number in zip(*np.nonzero(np.asarray(played.discount)[:-1] == 0), strict=True):
        start = row(played.state, (time + 1, number))
        earlier = jax.tree.map(lambda leaf, end=time + 1: np.asarray(leaf)[:end], played.state)
        if (_same(earlier, start) & (regret[: time + 1] > 0)).any():
            at += 1
            continue
        # One stone more than a mistake has.
        mine, theirs = int(start.mine), int(start.theirs)
        before = (np.asarray(earlier.theirs) == mine) & ((np.asarray(earlier.mine) | theirs) == theirs)
        added = np.where(before, np.asarray(earlier.mine) ^ theirs, 0)
        one = (np.bitwise_count(added) == 1) & (regret[: time + 1] > 0)
        assert one.any()
        assert legal[: time + 1][one][0, int(added[one][0]).bit_length() - 1]
        further += 1
    assert at > 4
    assert further > 4
    # What is kept of each game: its worst moment, which fades.
    fading = 0.95 ** np.arange(config.num_steps)[::-1]
    for number in range(config.num_games):
        faded = fading * regret[:, number]
        worst = int(faded.argmax())
        assert float(last.regret[number]) == pytest.approx(faded[worst], abs=1e-5)
        if faded[worst] > 0:
            assert _same(row(last.mistake, number), row(played.state, (worst, number)))


def test_moves_are_tried_as_often_as_said() -> None:
    config = SelfPlayConfig(num_games=64, num_steps=14, budget=4, random_moves=0.5, sample_fraction=0.0)
    starts, last, played = play_round(TicTacToe(), config)
    num, tried = played.tried.size, int(played.tried.sum())
    assert abs(tried - num / 2) < 5 * np.sqrt(num / 4)
    following, best = _following(played.state, last), np.asarray(played.action_weights).argmax(axis=-1)
    placed = np.asarray(following.theirs) ^ np.asarray(played.state.mine)
    goes_on = np.asarray(played.discount) != 0
    alike = placed == 1 << best
    where = np.asarray(played.tried)
    assert alike[~where & goes_on].mean() > 0.9
    assert alike[where & goes_on].mean() < 0.6
    # The first positions are those that self-play was given.
    np.testing.assert_array_equal(row(played.state, 0).mine, starts.mine)
