"""Search against mctx where both can do a thing, against its own definition, and against exact values."""

import functools
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, Float

from exit.game import Game, State, is_terminal
from exit.network import Params, make_network
from exit.search import SearchConfig, SearchResult, considered_visit, search
from exit.solve import exact_moves
from games.connect_four import ConnectFour
from games.tic_tac_toe import TicTacToe
from tests.planted import BonusHeap, Dice, HeapState
from tests.tiny import NET, after, random_params, random_states, row, stack, table_of

BATCH = 12
CAPACITY = 64
BUDGETS = (0, 1, 2, 3, 17, 64)


class Rig(NamedTuple):
    """A compiled search over batches of `BATCH` states of a game, noise at the root included."""

    game: Game
    params: Params
    states: State
    traces: list[int]
    run_fn: Any

    def run(self, budget: Any, *, states: State | None = None, params: Params | None = None) -> SearchResult:
        states = self.states if states is None else states
        budgets = jnp.broadcast_to(jnp.asarray(budget, jnp.int32), (BATCH,))
        return self.run_fn(self.params if params is None else params, jax.random.key(7), states, budgets)


def _predict(game: Game, params: Params, observation: Array) -> tuple[Array, Array]:
    return make_network(NET, game).predict(params, observation)


DEFAULT = SearchConfig(max_simulations=CAPACITY)
QUIET = replace(DEFAULT, gumbel_scale=0.0)
# mctx as it stands, its types loosened: its dataclasses are opaque to type checkers.
MCTX: Any = mctx


@functools.cache
def rig_of(game: Game, config: SearchConfig = DEFAULT) -> Rig:
    traces: list[int] = []

    def counting_predict(
        params: Params, observation: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        traces.append(1)
        return _predict(game, params, observation)

    run_fn = jax.jit(functools.partial(search, game=game, predict=counting_predict, config=config))
    return Rig(game, random_params(game), random_states(game, BATCH, 7, seed=1), traces, run_fn)


GAMES = pytest.mark.parametrize("game", [TicTacToe(), ConnectFour(4, 4)], ids=lambda game: game.name)


def mctx_policy(rig: Rig, num_simulations: int, config: SearchConfig = DEFAULT) -> Any:
    """mctx's own Gumbel policy over the game's rules; a finished game is worth nothing for ever."""
    game = rig.game

    def recurrent_fn(params: Params, rng_key: Array, action: Array, state: State) -> tuple[Any, State]:
        def move(state: State, action: Array) -> tuple:
            over = is_terminal(game, state)
            after, step = game.apply(state, action, jnp.int32(0))
            return after, jnp.where(over, 0.0, step.reward), jnp.where(over, 0.0, step.discount)

        after, reward, discount = jax.vmap(move)(state, action)
        over = jax.vmap(lambda s: is_terminal(game, s))(state)
        after = jax.tree.map(lambda new, old: jnp.where(over, old, new), after, state)
        logits, value = _predict(game, params, jax.vmap(game.observe)(after))
        legal = jax.vmap(game.legal_actions)(after)
        output = MCTX.RecurrentFnOutput(
            reward=reward,
            discount=discount,
            prior_logits=jnp.where(legal, logits, -1e9),
            value=jnp.where(legal.any(axis=-1), value, 0.0),
        )
        return output, after

    def policy(params: Params, states: State) -> Any:
        logits, value = _predict(game, params, jax.vmap(game.observe)(states))
        root = MCTX.RootFnOutput(prior_logits=logits, value=value, embedding=states)
        legal = jax.vmap(game.legal_actions)(states)
        return MCTX.gumbel_muzero_policy(
            params,
            jax.random.key(7),
            root,
            recurrent_fn,
            num_simulations,
            invalid_actions=~legal,
            max_num_considered_actions=config.max_num_considered_actions,
            qtransform=functools.partial(
                mctx.qtransform_completed_by_mix_value,
                value_scale=config.value_scale,
                maxvisit_init=config.maxvisit_init,
            ),
        )

    return jax.jit(policy)(rig.params, rig.states)


def _assert_same(ours: SearchResult, theirs: Any) -> None:
    np.testing.assert_array_equal(ours.visit_counts, theirs.search_tree.children_visits[:, 0])
    np.testing.assert_allclose(ours.action_weights, theirs.action_weights, atol=1e-5)
    np.testing.assert_array_equal(ours.action, theirs.action)
    np.testing.assert_allclose(ours.prior_value, theirs.search_tree.raw_values[:, 0], atol=1e-6)


@GAMES
@pytest.mark.parametrize("budget", [budget for budget in BUDGETS if budget > 0])
def test_it_does_what_mctx_does_at_every_budget(game: Game, budget: int) -> None:
    rig = rig_of(game)
    _assert_same(rig.run(budget), mctx_policy(rig, budget))


def test_it_does_what_mctx_does_with_other_settings() -> None:
    config = replace(DEFAULT, max_num_considered_actions=3, value_scale=1.0, maxvisit_init=5.0)
    rig = rig_of(TicTacToe(), config)
    _assert_same(rig.run(17), mctx_policy(rig, 17, config))


def test_both_trees_give_the_same_without_rescaling() -> None:
    """What mctx's own policy cannot be asked for: values weighed by the width of their bounds."""
    config = replace(DEFAULT, max_simulations=20, rescale_values=False)
    budgets = np.resize([0, 1, 2, 3, 17, 20], BATCH)
    own = rig_of(TicTacToe(), config).run(budgets)
    reference = rig_of(TicTacToe(), replace(config, use_mctx=True)).run(budgets)
    np.testing.assert_array_equal(own.visit_counts, reference.visit_counts)
    np.testing.assert_array_equal(own.action, reference.action)
    for name, value in own._asdict().items():
        np.testing.assert_allclose(value, getattr(reference, name), atol=1e-5, err_msg=name)


@GAMES
def test_mixed_budgets_in_one_batch_are_what_each_budget_is_alone(game: Game) -> None:
    rig = rig_of(game)
    budgets = np.resize(BUDGETS, BATCH)
    mixed = rig.run(budgets)
    for index, budget in enumerate(budgets):
        alone = row(rig.run(int(budget)), index)
        for name, value in row(mixed, index)._asdict().items():
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
    logits, value = jax.jit(functools.partial(_predict, game))(rig.params, jax.vmap(game.observe)(rig.states))
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
    for name, value in found._asdict().items():
        rolled = np.roll(value, 5, axis=0)
        np.testing.assert_allclose(rolled, getattr(again, name), rtol=1e-4, atol=1e-5, err_msg=name)


def test_with_noise_the_other_states_of_the_batch_do_not_matter() -> None:
    rig = rig_of(TicTacToe())
    found = rig.run(17)
    others = random_states(rig.game, BATCH, 5, seed=2)
    some = jax.tree.map(lambda mine, other: other.at[4].set(mine[4]), rig.states, others)
    again = rig.run(np.where(np.arange(BATCH) == 4, 17, 64), states=some)
    for name, value in row(found, 4)._asdict().items():
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
    for name, value in found._asdict().items():
        assert np.isfinite(value).all(), name
        np.testing.assert_array_equal(
            value[np.array(kept)], getattr(without, name)[np.array(kept)], err_msg=name
        )


@given(
    seed=st.integers(0, 2**31 - 1),
    budgets=st.lists(st.integers(0, CAPACITY), min_size=BATCH, max_size=BATCH),
    scale=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
)
def test_what_holds_in_every_search(seed: int, budgets: list[int], scale: float) -> None:
    rig = rig_of(TicTacToe())
    states = random_states(rig.game, BATCH, 8, seed)
    params = random_params(rig.game, scale=scale, seed=seed)
    found = rig.run(np.array(budgets), states=states, params=params)
    legal = np.asarray(jax.vmap(rig.game.legal_actions)(states))
    rows = np.arange(BATCH)
    np.testing.assert_array_equal(np.sum(found.visit_counts, axis=1), budgets)
    np.testing.assert_array_equal(found.num_simulations, budgets)
    for weights in (found.action_weights, found.prior):
        np.testing.assert_allclose(np.sum(weights, axis=1), 1.0, atol=1e-5)
        assert not np.asarray(weights)[~legal].any()
    assert not np.asarray(found.visit_counts)[~legal].any()
    assert legal[rows, found.action].all()
    most = np.max(found.visit_counts, axis=1)
    np.testing.assert_array_equal(np.asarray(found.visit_counts)[rows, found.action], most)
    for values in (found.value[:, None], found.prior_value[:, None], found.qvalues):
        assert (np.abs(values) <= 1 + 1e-5).all()
    assert (found.lower <= found.upper).all()


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
    found = rig_of(TicTacToe()).run(np.resize([-5, 1000], BATCH))
    np.testing.assert_array_equal(found.num_simulations, np.resize([0, CAPACITY], BATCH))


def test_a_game_of_chance_is_refused_by_name() -> None:
    game = Dice()
    with pytest.raises(ValueError, match="dice has chance"):
        search(
            None,
            jax.random.key(0),
            stack([game.init()]),
            jnp.array([1]),
            game=game,
            predict=functools.partial(_predict, game),
            config=SearchConfig(),
        )


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"max_simulations": -1}, "search.max_simulations"), ({"max_num_considered_actions": 0}, "considered")],
)
def test_a_senseless_configuration_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        SearchConfig(**changes)


def _halving(num_considered: int, budget: int) -> list[int]:
    """Visits that the action visited next has had, for each simulation of sequential halving.

    In each of ceil(log2(m)) phases, all that are still in the running get equally many visits, so that the
    phases share the budget; then the better half goes on. Two are left until the budget ends.
    """
    if num_considered <= 1:
        return list(range(budget))
    num_phases = (num_considered - 1).bit_length()
    running, had, entries = num_considered, 0, []
    while len(entries) < budget:
        each = max(1, budget // (num_phases * running))
        entries += [had + turn for turn in range(each) for _ in range(running)]
        had, running = had + each, max(2, running // 2)
    return entries[:budget]


@pytest.mark.parametrize("bound", [17, 64])
def test_the_halving_schedule_is_that_of_its_definition(bound: int) -> None:
    budgets = [*range(1, 70), 100, 200, 511]
    considered = [*range(18), *([40] if bound > 17 else [])]
    cases = [(m, n, i) for m in considered for n in budgets for i in range(n)]
    num_considered, budget, index = (jnp.array(column) for column in zip(*cases, strict=True))
    found = jax.jit(functools.partial(considered_visit, max_num_considered=bound))(
        budget, num_considered, index
    )
    expected = np.concatenate([_halving(m, n) for m in considered for n in budgets])
    np.testing.assert_array_equal(found, expected)


def test_the_halving_schedule_by_hand() -> None:
    found = considered_visit(jnp.int32(16), jnp.int32(4), jnp.arange(16), max_num_considered=16)
    # Two phases of 8: four actions twice, then the better two four times.
    assert found.tolist() == [0] * 4 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, 5]


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
