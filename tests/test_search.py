"""What search promises of budgets, batches and finished games, and what it refuses."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.game import Game
from exit.network import make_network
from exit.search import PUCT, Gumbel, SearchConfig, search, without_noise
from games.connect_four import ConnectFour
from games.tic_tac_toe import TicTacToe
from tests.planted import Dice
from tests.rig import BATCH, CAPACITY, DEFAULT, POLICIES, QUIET, predict_of, rig_of
from tests.tiny import NET, after, random_params, random_states, row, stack, told

BUDGETS = (0, 1, 2, 3, 17, 64)
GAMES = pytest.mark.parametrize("game", [TicTacToe(), ConnectFour(4, 4)], ids=lambda game: game.name)


@GAMES
def test_mixed_budgets_in_one_batch_are_what_each_budget_is_alone(game: Game) -> None:
    rig = rig_of(game)
    budgets = np.resize(BUDGETS, BATCH)
    mixed = rig.run(budgets)
    for index, budget in enumerate(budgets):
        alone = row(rig.run(int(budget)), index)
        for name, value in told(row(mixed, index)).items():
            np.testing.assert_array_equal(value, getattr(alone, name), err_msg=f"{name} at budget {budget}")


@GAMES
def test_one_program_serves_every_budget(game: Game) -> None:
    rig = rig_of(game)
    rig.run(1)
    traced = len(rig.traces)
    for budget in (*BUDGETS, np.resize(BUDGETS, BATCH)):
        rig.run(budget)
    assert traced > 0
    assert len(rig.traces) == traced
    assert rig.run_fn._cache_size() == 1


@GAMES
def test_budget_0_is_the_prior_bit_for_bit(game: Game) -> None:
    rig = rig_of(game)
    found = rig.run(0)
    logits, value = jax.jit(functools.partial(predict_of, game))(
        rig.params, jax.vmap(game.observe)(rig.states)
    )
    legal = np.asarray(jax.vmap(game.legal_actions)(rig.states))
    np.testing.assert_array_equal(found.action_weights, found.prior)
    np.testing.assert_array_equal(found.value, found.prior_value)
    np.testing.assert_array_equal(found.qvalues, np.broadcast_to(found.prior_value[:, None], legal.shape))
    expected = np.exp(np.where(legal, np.asarray(logits, np.float64), -np.inf))
    np.testing.assert_allclose(found.prior, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(found.prior_value, value, atol=1e-6)
    assert not found.visit_counts.any()
    assert not found.num_simulations.any()


def test_without_noise_budget_0_plays_the_most_likely_move() -> None:
    rig = rig_of(TicTacToe(), QUIET)
    found = rig.run(0)
    np.testing.assert_array_equal(found.action, np.argmax(found.prior, axis=1))


def test_without_noise_the_rest_of_the_batch_does_not_matter() -> None:
    rig = rig_of(TicTacToe(), QUIET)
    found = rig.run(np.resize(BUDGETS, BATCH))
    turned = jax.tree.map(lambda leaf: jnp.roll(leaf, 5, axis=0), rig.states)
    again = rig.run(np.roll(np.resize(BUDGETS, BATCH), 5), states=turned)
    # The network's products round differently in another row of the batch.
    for name, value in told(found).items():
        rolled = np.roll(value, 5, axis=0)
        np.testing.assert_allclose(rolled, getattr(again, name), rtol=1e-4, atol=1e-5, err_msg=name)


def test_with_noise_the_other_states_of_the_batch_do_not_matter() -> None:
    rig = rig_of(TicTacToe())
    found = rig.run(17)
    others = random_states(rig.game, BATCH, 5, seed=2)
    some = jax.tree.map(lambda mine, other: other.at[4].set(mine[4]), rig.states, others)
    again = rig.run(np.where(np.arange(BATCH) == 4, 17, 64), states=some)
    for name, value in told(row(found, 4)).items():
        np.testing.assert_array_equal(value, row(again, 4)._asdict()[name], err_msg=name)


def test_finished_games_in_a_batch_are_left_alone() -> None:
    rig = rig_of(TicTacToe())
    won = after(rig.game, 0, 3, 1, 4, 2)
    drawn = after(rig.game, 0, 1, 2, 4, 3, 5, 7, 6, 8)
    states = jax.tree.map(lambda s, w, d: s.at[2].set(w).at[5].set(d), rig.states, won, drawn)
    found, without = rig.run(17, states=states), rig.run(17)
    for index in (2, 5):
        one = row(found, index)
        assert int(one.action) == -1
        assert not np.any(one.action_weights)
        assert not np.any(one.visit_counts)
        assert not np.any(one.prior)
        assert (one.num_simulations, one.value, one.prior_value, one.lower, one.upper) == (0, 0, 0, 0, 0)
    kept = [index for index in range(BATCH) if index not in (2, 5)]
    for name, value in told(found).items():
        assert np.isfinite(value).all(), name
        np.testing.assert_array_equal(
            value[np.array(kept)], getattr(without, name)[np.array(kept)], err_msg=name
        )


@pytest.mark.parametrize("budget", [[0, -1], [65, 3]])
def test_a_budget_out_of_range_is_refused(budget: list[int]) -> None:
    game = TicTacToe()
    states = stack([game.init(), game.init()])
    with pytest.raises(ValueError, match=r"-1 is negative|65 is over.*64.*search\.max_simulations"):
        search(
            random_params(game),
            jax.random.key(0),
            states,
            jnp.array(budget),
            game=game,
            predict=make_network(NET, game).predict,
            config=DEFAULT,
        )


def test_a_traced_budget_out_of_range_is_clamped_and_reported() -> None:
    # Where the game begins, so little proves nothing.
    states = stack([TicTacToe().init()] * BATCH)
    found = rig_of(TicTacToe()).run(np.resize([-5, 1000], BATCH), states=states)
    np.testing.assert_array_equal(found.num_simulations, np.resize([0, CAPACITY], BATCH))


def test_mctx_refuses_a_game_of_chance_by_name() -> None:
    game = Dice()
    with pytest.raises(ValueError, match=r"games of chance such as dice.*search\.use_mctx=False"):
        search(
            None,
            jax.random.key(0),
            stack([game.init()]),
            jnp.array([1]),
            game=game,
            predict=functools.partial(predict_of, game),
            config=SearchConfig(prove=False, use_mctx=True),
        )


def test_a_negative_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match=r"search\.max_simulations is -1"):
        SearchConfig(max_simulations=-1)


def test_without_noise_nothing_else_changes() -> None:
    policy = Gumbel(max_num_considered_actions=5, value_scale=0.3, anytime=True, side_by_side=True)
    config = SearchConfig(max_simulations=9, policy=policy, prove=False)
    assert without_noise(config) == replace(config, policy=replace(policy, gumbel_scale=0.0))
    config = SearchConfig(policy=PUCT(pb_c_init=3.0, dirichlet_alpha=1.0))
    quiet = replace(config.policy, dirichlet_fraction=0.0, temperature=0.0)
    assert without_noise(config) == replace(config, policy=quiet)


@pytest.mark.parametrize("name", ["gumbel", "side by side"])
@pytest.mark.parametrize("prove", [False, True], ids=["plain", "proofs"])
def test_what_a_gpu_is_given_finds_the_same(name: str, prove: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other loops, chosen while tracing; short enough here that paths are longer than what comes before."""
    config = replace(DEFAULT, policy=POLICIES[name], prove=prove)
    rig = rig_of(TicTacToe(), config)
    budgets = np.resize([0, 1, 17, CAPACITY], BATCH)
    on_cores = rig.run(budgets)
    monkeypatch.setattr("exit.search.descent._HOPS_GPU", 2)
    monkeypatch.setattr("exit.search.levels._NUM_LEVELS_GPU", 3)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    on_gpu = rig_of.__wrapped__(TicTacToe(), config).run(budgets)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), on_gpu, on_cores)


@pytest.mark.parametrize("game", [TicTacToe(), Dice()], ids=lambda game: game.name)
def test_a_few_lanes_find_what_many_find(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees taken up one after another, the last of which the network sees one by one."""
    config = replace(DEFAULT, prove=False)
    budgets = np.resize([0, 1, 1, 2, 3, CAPACITY], BATCH)
    at_once = rig_of(game, config).run(budgets)
    monkeypatch.setattr("exit.search.grow._max_lanes", lambda alike: BATCH // 2)
    in_turns = rig_of.__wrapped__(game, config).run(budgets)
    np.testing.assert_array_equal(in_turns.num_simulations, budgets)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), in_turns, at_once)
