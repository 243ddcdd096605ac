"""What a simulation is worth, and thinking for as long as it is worth its price."""

from inspect import unwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.acting import AUTO_PRICE
from exit.agent import Agent
from exit.cli.act import act
from exit.errors import UsageError
from exit.evaluate import decide, regrets, yardstick
from exit.recommend import PRICES
from exit.rundir import RunInfo
from exit.search import SearchConfig, doubt, information, search, worth_of_thinking
from exit.solve import exact_of, unfinished_keys
from games.tic_tac_toe import TicTacToe
from tests.tiny import random_params, random_states, table_of, tiny_config

GAME = TicTacToe()


@pytest.fixture(scope="module")
def agent() -> Agent:
    config = tiny_config(search=SearchConfig(max_simulations=64))
    params = random_params(GAME, config.network)
    return Agent(config, config.search, params, 0, RunInfo("tiny", (), {}), Path())


def test_information_is_what_the_paper_says() -> None:
    qvalues = jnp.array([0.5, 0.0, -1.0, 0.9])
    visits = jnp.array([4, 2, 0, 7])
    legal = jnp.array([True, True, True, False])
    found = information(qvalues, visits, jnp.int32(0), legal, (-1.0, 1.0))
    # On [0, 1] the values are 0.75, 0.5 and 0: the move played may fall below 0.5, the others pass 0.75.
    expected = [
        0.5 / 5 * 2 * np.exp(-1.37 * 0.25**2 * 4),
        0.25 / 3 * 2 * np.exp(-1.37 * 0.25**2 * 2),
        0.25 * 2,
        0.0,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_there_is_nothing_to_find_out_about_an_only_move() -> None:
    only = information(
        jnp.array([0.2, 0.0]), jnp.array([0, 0]), jnp.int32(0), jnp.array([True, False]), (-1.0, 1.0)
    )
    np.testing.assert_array_equal(only, 0.0)


def test_the_move_played_is_doubted_by_the_weight_of_all_others() -> None:
    weights = jnp.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.2, 0.7, 0.0], [1.0 + 1e-7, 0.0, 0.0, 0.0]])
    found = doubt(weights, jnp.array([0, 0, 0]))
    np.testing.assert_allclose(
        found, [[0.3, 0.2, 0.1, 0], [0.9, 0.2, 0.7, 0], [0, 0, 0, 0]], rtol=1e-6, atol=1e-7
    )


def test_thinking_is_worth_what_the_bound_says_as_far_as_the_policy_is_in_doubt(agent: Agent) -> None:
    found = agent.act(random_states(GAME, 64, 4, seed=3), np.resize([1, 5], 64))
    worth = np.asarray(worth_of_thinking(found, GAME.value_bounds))
    for index in range(64):
        one = jax.tree.map(lambda leaf, index=index: leaf[index], found)
        bound = information(one.qvalues, one.visit_counts, one.action, one.prior > 0, GAME.value_bounds)
        believed = [weight**0.5 for weight in one.action_weights]
        believed[int(one.action)] = max(1.0 - float(one.action_weights[one.action]), 0.0) ** 0.5
        expected = 0.0 if one.lower == one.upper else max(np.asarray(bound) * believed)
        np.testing.assert_allclose(worth[index], expected, rtol=1e-4, atol=1e-6)
    assert (worth > 0).sum() > 32


def test_a_dear_simulation_is_not_made_and_a_free_one_is_where_it_can_matter(agent: Agent) -> None:
    states = random_states(GAME, 32, 6, seed=0)
    reflex, dear = agent.act(states, 0), agent.act(states, "auto", price=3.0)
    np.testing.assert_array_equal(dear.num_simulations, 0)
    np.testing.assert_array_equal(dear.action, reflex.action)
    free = agent.act(states, "auto", price=0.0)
    ended = np.asarray(worth_of_thinking(free, GAME.value_bounds)) <= 0
    np.testing.assert_array_equal(free.num_simulations[~ended], 64)


def test_thinking_ends_at_the_first_simulation_after_which_the_next_is_not_worth_its_price(
    agent: Agent,
) -> None:
    states, price = random_states(GAME, 32, 6, seed=1), 0.08
    auto = agent.act(states, "auto", price=price)
    looks = np.arange(65, dtype=np.int32)
    on_the_way = agent.curve(states, looks)
    worth = np.asarray(worth_of_thinking(on_the_way, GAME.value_bounds))
    ends = (worth <= price) | (np.asarray(on_the_way.num_simulations) < looks[:, None])
    ends[-1] = True
    first = ends.argmax(axis=0)
    spent = np.asarray(on_the_way.num_simulations)[first, np.arange(32)]
    np.testing.assert_array_equal(auto.num_simulations, spent)
    assert 0 < np.mean(spent) < 64
    assert len(set(spent.tolist())) > 3
    at_end = np.asarray(on_the_way.action)[first, np.arange(32)]
    np.testing.assert_array_equal(auto.action, at_end)


def test_a_budget_in_numbers_still_bounds_what_is_spent(agent: Agent) -> None:
    states = random_states(GAME, 8, 6, seed=2)
    most = np.arange(8, dtype=np.int32)
    free = agent.act(states, "auto", price=1e-9)
    bounded = agent.act(states, most, price=1e-9)
    np.testing.assert_array_equal(bounded.num_simulations, np.minimum(free.num_simulations, most))


def test_one_state_answers_without_a_batch_axis_and_a_deadline_may_come_first(agent: Agent) -> None:
    state = GAME.init()
    batch = jax.tree.map(lambda leaf: leaf[None], state)
    one, several = agent.act(state, "auto"), agent.act(batch, "auto")
    assert one.action.shape == ()
    np.testing.assert_array_equal(one.num_simulations, several.num_simulations[0])
    np.testing.assert_array_equal(agent.act(state, "auto", deadline_ms=0).num_simulations, 0)
    # Compiling is not charged: not what grows the tree, and not what looks whether that is worth it.
    jax.clear_caches()
    assert agent.act(state, "auto", deadline_ms=200, price=1e-9).num_simulations > 0
    # Where time is plenty, the price ends it: at the first look at which it is not worth it.
    patient = agent.act(state, "auto", deadline_ms=60_000, price=0.3)
    assert 0 < int(patient.num_simulations) < 64
    assert float(worth_of_thinking(patient, GAME.value_bounds)) <= 0.3


def test_the_price_buys_regret(agent: Agent) -> None:
    """Where thinking is cheap more of it is done, and less is given away: with random moves neither holds."""
    exact = exact_of(GAME)
    measured = yardstick(exact, unfinished_keys(table_of(GAME))[::4])
    found = {}
    for price in (3.0, 0.2, 0.02):
        decisions = decide(
            lambda states, most, price=price: agent.act(states, most, price=price), measured.states, 64
        )
        found[price] = (decisions.num_simulations.mean(), regrets(decisions, measured.moves).mean())
    spent, regret = zip(*found.values(), strict=True)
    assert spent[0] == 0 < spent[1] < spent[2]
    assert regret[0] > 1.5 * regret[1] > 1.5 * regret[2]


@pytest.mark.parametrize(
    ("budget", "options", "message"),
    [
        ("fast", {}, "budget is 'fast'; give a number of simulations or \"auto\""),
        ("auto", {"price": -1.0}, "price is -1.0; it must be 0 or more"),
        ("auto", {"price": float("nan")}, "price is nan; it must be 0 or more"),
        ("auto", {"price": "dear"}, "price is 'dear'; it must be one number for all states"),
        ("auto", {"price": np.array([0.1, 0.2])}, r"price is array\(.*; it must be one number"),
        ("auto", {"deadline_ms": "soon"}, "deadline_ms is 'soon'; it must be one number"),
    ],
)
def test_a_wrong_price_or_word_is_refused(agent: Agent, budget: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        # As outside the tests, where nothing checks types at run time.
        unwrap(Agent.act)(agent, GAME.init(), budget, **options)


def test_the_price_that_help_names_is_the_one_that_holds() -> None:
    (option,) = (each for each in act.params if each.name == "price")
    assert f"Default: {AUTO_PRICE} with auto" in str(option.to_info_dict()["help"])
    assert AUTO_PRICE in PRICES


def test_mctx_knows_no_price() -> None:
    config = SearchConfig(max_simulations=4, prove=False, use_mctx=True)
    states = random_states(GAME, 2, 4, seed=3)
    params, predict = random_params(GAME), lambda params, x: (jnp.zeros((2, 9)), jnp.zeros(2))
    with pytest.raises(ValueError, match="mctx cannot serve price"):
        search(
            params,
            jax.random.key(0),
            states,
            jnp.full(2, 4),
            game=GAME,
            predict=predict,
            config=config,
            price=0.1,
        )
