"""Positions from inside search trees: proven rightly, the worst of them first, and part of what is learnt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.catalog import with_overrides
from exit.errors import UsageError
from exit.game import Game, State
from exit.iteration import init_run, iterate
from exit.network import GRUConfig, NetworkConfig, make_network
from exit.search import Inside, SearchConfig, SearchResult, search, search_with_inside
from exit.selfplay import SelfPlayConfig
from exit.solve import ExactMoves, exact_moves_of_keys
from exit.targets import make_targets
from games.bandit_history import BanditHistory
from games.tic_tac_toe import TicTacToe
from tests.planted import Dice
from tests.rounds import play_round
from tests.tiny import NET, assert_same_bits, random_params, random_states, row, table_of, tiny_config, told

GAME = TicTacToe()
NUM = 64
SEARCH = SearchConfig(max_simulations=24)


def _found(
    game: Game, budget: int, network: NetworkConfig = NET, config: SearchConfig = SEARCH
) -> tuple[State, SearchResult, Inside]:
    states = random_states(game, NUM, 4, seed=0)
    predict, params = make_network(network, game).predict, random_params(game, network)

    def run(states: State) -> tuple[SearchResult, Inside]:
        budgets = jnp.full(NUM, budget)
        key, rules = jax.random.key(1), {"game": game, "predict": predict, "config": config}
        return search_with_inside(params, key, states, budgets, **rules)

    return states, *jax.jit(run)(states)


def _exact(game: Game, states: State) -> ExactMoves:
    return exact_moves_of_keys(table_of(game), np.asarray(jax.vmap(game.encode)(states)))


def _regrets(found: SearchResult) -> np.ndarray:
    """What each prior gives away, as the search sees it."""
    return np.sum(np.asarray(found.prior) * np.asarray(found.regrets), axis=1)


def _proven(found: SearchResult) -> np.ndarray:
    return np.equal(found.lower, found.upper)


def _numbers(game: Game, states: State) -> list[bytes]:
    """What tells positions apart."""
    return [np.asarray(key).tobytes() for key in jax.vmap(game.encode)(states)]


def test_searches_find_what_they_find_without() -> None:
    states, result, _ = _found(GAME, 24)
    rules = {"game": GAME, "predict": make_network(NET, GAME).predict, "config": SEARCH}
    params, key, budgets = random_params(GAME), jax.random.key(1), jnp.full(NUM, 24)
    plain = jax.jit(lambda states: search(params, key, states, budgets, alike=True, **rules))(states)
    assert_same_bits(told(result), told(plain))


@pytest.mark.parametrize("game", [GAME, Dice()], ids=["tic_tac_toe", "dice"])
def test_what_is_proven_inside_is_so(game: Game) -> None:
    _, _, inside = _found(game, 24)
    proven, exact = _proven(inside.result), _exact(game, inside.state)
    assert proven.sum() > NUM // 4
    np.testing.assert_allclose(inside.result.value[proven], exact.values[proven], atol=1e-5)
    weights = np.asarray(inside.result.action_weights)
    assert not weights[proven][~exact.optimal[proven]].any()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


def test_positions_inside_were_reached_by_moves_and_are_none_searched_first() -> None:
    states, _, inside = _found(GAME, 24)
    starts, below = _numbers(GAME, states), _numbers(GAME, inside.state)
    after = {
        number
        for action in range(GAME.num_actions)
        for number in _numbers(
            GAME, jax.vmap(lambda s, a=action: GAME.apply(s, jnp.int32(a), jnp.int32(0))[0])(states)
        )
    }
    # Some lie a move below a state searched, others further; hardly any is where a search began.
    assert len(set(below) & after) > 0
    assert len(set(below) - set(starts)) > len(set(below)) // 2


def test_those_inside_give_most_away_first_and_more_than_the_states_searched() -> None:
    _, result, inside = _found(GAME, 24)
    regrets = _regrets(inside.result)[_proven(inside.result)]
    assert (np.diff(regrets) <= 0).all()
    assert regrets.mean() > _regrets(result).mean()


def test_where_nothing_is_proven_states_searched_stand_in() -> None:
    states, result, inside = _found(GAME, 0)
    assert_same_bits(inside.state, jax.tree.map(jnp.asarray, states))
    assert_same_bits(told(inside.result), told(result))


def test_states_of_a_network_over_histories_are_those_of_the_game() -> None:
    game, network = BanditHistory(2, 6), GRUConfig(memory=8, width=12, num_blocks=1)
    states, _, inside = _found(game, 8, network)
    assert jax.tree.structure(inside.state) == jax.tree.structure(states)
    proven = _proven(inside.result)
    assert proven.any()
    np.testing.assert_allclose(
        inside.result.value[proven], _exact(game, inside.state).values[proven], atol=1e-5
    )


def test_they_become_examples_behind_those_played() -> None:
    config = SelfPlayConfig(num_games=16, num_steps=6, budget=4, from_trees=True)
    _, _, played = play_round(GAME, config)
    assert played.inside is not None
    targets = make_targets(played, return_weight=1.0)
    alone = make_targets(played._replace(inside=None), return_weight=1.0)
    assert len(targets.value) == 2 * len(alone.value) == config.num_remembered
    assert_same_bits(jax.tree.map(lambda leaf: leaf[: len(alone.value)], targets), alone)
    last, inside = row(targets, -1), row(played.inside, (-1, -1))
    assert_same_bits(last.state, inside.state)
    assert_same_bits(last.action_weights, inside.result.action_weights)
    assert float(last.value) == float(inside.result.value)
    assert bool(last.solved) == (float(inside.result.lower) == float(inside.result.upper))


@pytest.mark.parametrize("overlap", [False, True], ids=["in turn", "at once"])
def test_a_run_remembers_and_learns_from_them(overlap: bool) -> None:
    config = with_overrides(tiny_config(overlap=overlap), ["self_play.from_trees=true"])
    state = init_run(config)
    state, _, _ = iterate(state, config=config)
    state, metrics, _ = iterate(state, config=config)
    assert int(state.replay.window) == 2 * config.self_play.num_remembered == 64
    assert np.isfinite(float(metrics.policy_loss))


@pytest.mark.parametrize("setting", ["search.prove=false", "search.policy.side_by_side=true"])
def test_searches_that_keep_no_proofs_are_refused(setting: str) -> None:
    with pytest.raises(UsageError, match=r"for self_play\.from_trees; set search\.prove=true"):
        with_overrides(tiny_config(), ["self_play.from_trees=true", setting])


def test_the_replay_must_have_room_for_both() -> None:
    with pytest.raises(
        UsageError, match=r"a multiple of the 32 examples .* twice with self_play\.from_trees"
    ):
        with_overrides(tiny_config(), ["self_play.from_trees=true", "replay.capacity=48"])
