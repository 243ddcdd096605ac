"""Thinking on: trees that are continued, moved along, cut short by a deadline, and looked at on the way."""

import functools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import exit.search.thought as thought_module
from exit.game import Game, State
from exit.network import make_network
from exit.search import (
    PUCT,
    Gumbel,
    Policy,
    SearchConfig,
    SearchResult,
    Thinker,
    Thought,
    TooMuchThought,
    advance,
    grown,
    search,
    search_curve,
    think,
    think_more,
    think_until,
)
from exit.search.config import is_side_by_side
from exit.search.grown import tree_of
from games.tic_tac_toe import TicTacToe
from tests.planted import Dice
from tests.tiny import NET, after, random_params, random_states, row, stack, told

GAME = TicTacToe()
ANYTIME = Gumbel(gumbel_scale=0.0, anytime=True)
POLICIES: dict[str, Policy] = {
    "anytime": ANYTIME,
    "anytime side by side": replace(ANYTIME, side_by_side=True),
    "puct": PUCT(dirichlet_fraction=0.0, temperature=0.0),
}
EACH_POLICY = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())


@functools.cache
def thinker_of(policy: Policy = ANYTIME, game: Game = GAME, prove: bool = False) -> Thinker:
    """A thinker with a random network; without proofs it never stops before its budget."""
    config = SearchConfig(policy=policy, prove=prove)
    return Thinker(random_params(game), game, make_network(NET, game).predict, config)


def rows_of(thought: Thought, action: int) -> tuple[Any, int]:
    """The rows in which a root action is simulated, and the root's place there."""
    return tree_of(jax.tree.map(np.asarray, thought.tree), action)


def state_of(thought: Thought) -> State:
    """The state that is thought about."""
    nodes, root = rows_of(thought, 0)
    return jax.tree.map(lambda leaf: leaf[root], nodes.state)


def assert_same(
    found: SearchResult, expected: SearchResult, policy: Policy = ANYTIME, *, tolerance: float = 0.0
) -> None:
    """Bit for bit or within a tolerance; side by side, up to how the network rounds in a narrower batch."""
    tolerance = 1e-4 if is_side_by_side(policy) else tolerance
    for name, value in told(found).items():
        np.testing.assert_allclose(
            value, getattr(expected, name), rtol=tolerance, atol=tolerance / 10, err_msg=name
        )


@EACH_POLICY
def test_thinking_in_parts_is_thinking_at_once(policy: Policy) -> None:
    thinker = thinker_of(policy)
    whole = think(thinker, GAME.init(), 300)
    parts = think(thinker, GAME.init(), 1)
    for budget in (12, 0, 100, 187):
        parts = think_more(thinker, parts, budget)
    assert int(whole.result.num_simulations) == 300
    assert_same(parts.result, whole.result, policy)


@EACH_POLICY
def test_a_thought_is_a_search_of_one_state(policy: Policy) -> None:
    thinker = thinker_of(policy)
    config = replace(thinker.config, max_simulations=90)
    search_fn = jax.jit(functools.partial(search, game=GAME, predict=thinker.predict, config=config))
    found = search_fn(thinker.params, jax.random.key(0), stack([GAME.init()]), jnp.array([90]))
    # The compiler rounds two programs in two ways.
    assert_same(think(thinker, GAME.init(), 90).result, row(found, 0), policy, tolerance=1e-5)


def test_a_thought_handed_over_stays_as_it_is() -> None:
    thinker = thinker_of()
    first = think(thinker, GAME.init(), 40)
    think_more(thinker, first, 100)
    advance(thinker, first, 4)
    assert_same(think_more(thinker, first, 0).result, first.result)


@EACH_POLICY
def test_a_curve_is_a_search_for_each_budget(policy: Policy) -> None:
    thinker = thinker_of(policy)
    states, budgets = random_states(GAME, 6, 5, seed=4), [0, 1, 2, 4, 8, 40]
    config = replace(thinker.config, max_simulations=40, prove=True)
    program: dict[str, Any] = {"game": GAME, "predict": thinker.predict, "config": config}
    key = jax.random.key(3)
    curve = jax.jit(functools.partial(search_curve, **program))(
        thinker.params, key, states, jnp.array(budgets)
    )
    search_fn = jax.jit(functools.partial(search, **program))
    for index, budget in enumerate(budgets):
        found = search_fn(thinker.params, key, states, jnp.full(6, budget))
        for name, value in told(found).items():
            np.testing.assert_allclose(value, getattr(curve, name)[index], atol=1e-6, err_msg=name)


def test_what_is_planned_for_a_whole_budget_cannot_be_cut_or_continued() -> None:
    thinker = thinker_of(Gumbel())
    with pytest.raises(ValueError, match=r"search\.policy\.anytime=True"):
        think(thinker, GAME.init(), 1)
    with pytest.raises(ValueError, match=r"search\.policy\.anytime=True"):
        search_curve(
            thinker.params,
            jax.random.key(0),
            stack([GAME.init()]),
            jnp.array([1, 2]),
            game=GAME,
            predict=thinker.predict,
            config=thinker.config,
        )


@EACH_POLICY
def test_a_move_keeps_what_was_found_below_it(policy: Policy) -> None:
    thinker = thinker_of(policy)
    before = think(thinker, GAME.init(), 200)
    action = int(np.argmax(before.result.visit_counts))
    moved = advance(thinker, before, action)
    # Its own first evaluation was one of the simulations through it.
    assert int(moved.result.num_simulations) == int(before.result.visit_counts[action]) - 1
    assert int(moved.result.visit_counts.sum()) == int(moved.result.num_simulations)
    state = state_of(moved)
    for found, expected in zip(jax.tree.leaves(state), jax.tree.leaves(after(GAME, action)), strict=True):
        np.testing.assert_array_equal(found, expected)
    kept, root = rows_of(before, action)
    old = int(kept.child[root, action])
    np.testing.assert_array_equal(moved.result.visit_counts, kept.visits[old].astype(int))
    np.testing.assert_array_equal(
        moved.result.qvalues[kept.visits[old] > 0], kept.qvalues[old][kept.visits[old] > 0]
    )
    more = think_more(thinker, moved, 100)
    assert int(more.result.num_simulations) == int(moved.result.num_simulations) + 100


def test_a_game_can_be_thought_to_its_end() -> None:
    thinker = thinker_of(prove=True)
    thought, num_moves = think(thinker, GAME.init(), 30), 0
    while int(thought.result.action) >= 0:
        lower = float(thought.result.lower)
        thought = think_more(thinker, advance(thinker, thought, int(thought.result.action)), 30)
        # What a state is proven to bring at least, its move brings: now, or from the opponent's view.
        assert int(thought.result.action) < 0 or float(thought.result.upper) <= -lower
        num_moves += 1
    assert 5 <= num_moves <= 9
    assert float(thought.result.value) == 0.0


def test_a_move_that_was_never_simulated_starts_afresh() -> None:
    thinker = thinker_of()
    moved = advance(thinker, think(thinker, GAME.init(), 0), 7)
    assert_same(moved.result, think(thinker, after(GAME, 7), 0).result)


def test_a_thought_follows_chance() -> None:
    game = Dice()
    thinker = thinker_of(game=game)
    thought = think(thinker, game.init(), 50)
    action = int(thought.result.action)
    outcome = int(np.argmax(game.outcome_probs(game.init(), jnp.int32(action))))
    moved = advance(thinker, thought, action, outcome)
    expected, _ = game.apply(game.init(), jnp.int32(action), jnp.int32(outcome))
    found = state_of(moved)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="outcome 9 cannot follow"):
        advance(thinker, thought, action, 9)
    # Which one happened is not guessed.
    with pytest.raises(ValueError, match="has several outcomes; tell which one happened, possible are"):
        advance(thinker, thought, action)


def test_an_illegal_move_is_refused_by_name() -> None:
    thinker = thinker_of()
    thought = think(thinker, after(GAME, 0, 3, 1, 4), 2)
    with pytest.raises(ValueError, match="action 3 is illegal here; legal are 2, 5, 6, 7, 8"):
        advance(thinker, thought, 3)
    with pytest.raises(ValueError, match="the game is over"):
        advance(thinker, advance(thinker, thought, 2), 5)


def test_a_doubling_of_the_tree_compiles_once() -> None:
    thinker = thinker_of(replace(ANYTIME, max_num_considered_actions=5))
    thought, compiled = think(thinker, GAME.init(), 0), []
    for _ in range(24):
        thought = think_more(thinker, thought, 250)
        compiled.append(vars(thought_module)["_grow_copy"].num_programs())
    sizes = {1 << (250 * n + 1).bit_length() for n in range(1, 25)}
    assert compiled[-1] - compiled[0] <= len(sizes)
    assert int(thought.result.num_simulations) == 6000


def test_a_tree_over_the_memory_allowed_is_refused_before_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thinker = thinker_of()._replace(max_bytes=10**6)
    thought = think(thinker, GAME.init(), 40)
    made: list[Any] = []
    monkeypatch.setattr(grown.np, "zeros", lambda *shape: made.append(shape))
    with pytest.raises(TooMuchThought, match=r"1,048,576 rows needs .* 1 MB are allowed; .* rows fit"):
        think_more(thinker, thought, 1_000_000)
    assert not made
    monkeypatch.undo()
    assert_same(think_more(thinker, thought, 0).result, thought.result)


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="budget -1 is negative"):
        think(thinker_of(), GAME.init(), -1)


def until(deadline_ms: float, monkeypatch: pytest.MonkeyPatch, ms_each: float) -> tuple[SearchResult, float]:
    """What is found by a deadline and when, by a clock on which every simulation takes so long."""
    now = 0.0
    grow_fn = thought_module._grow_in_place

    def slow(params: Any, tree: Any, budget: Any, **program: Any) -> Any:
        nonlocal now
        spent = np.asarray(tree.spent)
        tree, result = grow_fn(params, tree, budget, **program)
        now += 1e-3 * ms_each * float(np.max(np.asarray(tree.spent) - spent))
        return tree, result

    vars(slow)["num_programs"] = grow_fn.num_programs
    with monkeypatch.context() as patch:
        patch.setattr(thought_module, "_grow_in_place", slow)
        patch.setattr(thought_module, "time", SimpleNamespace(perf_counter=lambda: now))
        states = random_states(GAME, 3, 2, seed=0)
        found = think_until(thinker_of(), states, np.array([1000, 1000, 7]), deadline_ms)
    return found, 1e3 * now


@pytest.mark.parametrize("deadline_ms", [0.5, 3.0, 20.0, 100.0, 333.0])
def test_a_deadline_is_met_and_used(monkeypatch: pytest.MonkeyPatch, deadline_ms: float) -> None:
    found, ended = until(deadline_ms, monkeypatch, ms_each=1.0)
    spent = np.asarray(found.num_simulations)
    assert spent[2] == min(7, spent[0])
    # The first simulation is a leap in the dark; from then on its time is known.
    assert ended <= max(deadline_ms, 1.0) + 1e-6
    assert spent[0] >= np.floor(deadline_ms) - 1e-6


@pytest.mark.parametrize("deadline_ms", [1e9, float("inf")])
def test_with_time_to_spare_the_whole_budget_is_spent(
    monkeypatch: pytest.MonkeyPatch, deadline_ms: float
) -> None:
    found, _ = until(deadline_ms, monkeypatch, ms_each=1.0)
    assert found.num_simulations.tolist() == [1000, 1000, 7]


def test_a_deadline_that_has_passed_leaves_the_reflex(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = until(0.0, monkeypatch, ms_each=1.0)
    np.testing.assert_array_equal(found.action_weights, found.prior)
    assert not found.num_simulations.any()


def test_a_proven_state_does_not_wait_for_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    thinker = thinker_of(prove=True)
    state: State = stack([after(GAME, 0, 3, 1, 4)])
    found = think_until(thinker, state, np.array([5000]), 1e9)
    assert float(found.lower[0]) == float(found.upper[0]) == 1.0
    assert int(found.num_simulations[0]) < 100
