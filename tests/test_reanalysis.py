"""Re-analysis brings targets up to date: the right ones, with what search says now, and no others."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit import replay as ring
from exit.catalog import with_overrides
from exit.coherence import coherence
from exit.errors import UsageError
from exit.fingerprint import fingerprints
from exit.iteration import init_run, iterate
from exit.learner import LearnerConfig
from exit.network import make_network
from exit.reanalysis import ReanalysisConfig, choose, search_again
from exit.replay import Replay, ReplayConfig
from exit.search import Gumbel, SearchConfig, search
from exit.targets import Targets
from games.tic_tac_toe import TicTacToe
from tests.tiny import (
    NET,
    assert_same_bits,
    random_params,
    random_states,
    row,
    saved_state,
    targets_of,
    tiny_config,
    train_tiny,
)

GAME = TicTacToe()
PREDICT = make_network(NET, GAME).predict
# Without noise what is found does not depend on the key.
SEARCH = SearchConfig(max_simulations=8, policy=Gumbel(gumbel_scale=0.0))
SIZE = 16


@functools.cache
def _played() -> Targets:
    states = random_states(GAME, SIZE, 4, seed=0)
    legal = jax.vmap(GAME.legal_actions)(states)
    return targets_of(states, legal / legal.sum(axis=1, keepdims=True), jnp.linspace(-0.9, 0.9, SIZE))


def _replay(capacity: int = SIZE, position: Sequence[int] | None = None) -> Replay:
    """A replay of `SIZE` examples, four to an iteration."""
    replay = ring.init(row(_played(), 0), capacity, tell_apart=position is not None)
    for start in range(0, SIZE, 4):
        some = slice(start, start + 4)
        new = jax.tree.map(lambda leaf, some=some: leaf[some], _played())
        replay = ring.add(replay, new, None if position is None else jnp.uint32(position[some]))
    return replay


@functools.partial(jax.jit, static_argnames=("config", "rarity"))
def _reanalyse(
    replay: Replay, seed: int, return_weight: float, config: ReanalysisConfig, rarity: float = 0.0
) -> Replay:
    params, rules = random_params(GAME), {"game": GAME, "predict": PREDICT}
    key_rows, key_search = jax.random.split(jax.random.key(seed))
    counts_for = ring.rarities(replay, rarity) if rarity else None
    rows, examples = choose(replay, params, key_rows, config=config, counts_for=counts_for, **rules)
    again = {"search_config": SEARCH, "return_weight": return_weight}
    return ring.renew(replay, rows, search_again(examples, params, key_search, **again, **rules))


@functools.cache
def _found() -> Any:
    budget = jnp.full(SIZE, SEARCH.max_simulations)
    options = {"game": GAME, "predict": PREDICT, "config": SEARCH}
    return search(random_params(GAME), jax.random.key(0), _played().state, budget, **options)


def test_targets_become_what_search_says_now() -> None:
    after = _reanalyse(_replay(), 0, 0.0, ReanalysisConfig(num_positions=SIZE))
    np.testing.assert_allclose(after.examples.action_weights, _found().action_weights, atol=1e-5)
    np.testing.assert_allclose(after.examples.value, _found().value, atol=1e-5)
    assert not np.allclose(after.examples.action_weights, _played().action_weights, atol=0.05)
    solved = np.equal(_found().lower, _found().upper)
    assert 0 < solved.sum() < SIZE
    np.testing.assert_array_equal(after.examples.solved, solved)
    np.testing.assert_array_equal(after.age, 0)
    jax.tree.map(np.testing.assert_array_equal, after.examples.state, _played().state)


def test_values_move_to_what_search_says_by_its_share_within_what_is_proven() -> None:
    for share in (1.0, 0.25):
        after = _reanalyse(_replay(), 0, share, ReanalysisConfig(num_positions=SIZE))
        mixed = share * _played().value + (1 - share) * _found().value
        expected = np.clip(mixed, _found().lower, _found().upper)
        np.testing.assert_allclose(after.examples.value, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_others_stay_as_they_are_and_none_is_searched_twice(seed: int) -> None:
    before = _replay()
    after = _reanalyse(before, seed, 0.0, ReanalysisConfig(num_positions=5))
    again = np.flatnonzero(~np.isclose(after.examples.value, before.examples.value))
    assert len(again) == 5
    kept = np.setdiff1d(np.arange(SIZE), again)
    np.testing.assert_array_equal(after.examples.action_weights[kept], before.examples.action_weights[kept])
    np.testing.assert_array_equal(after.age[kept], before.age[kept])
    # One of each fifth.
    assert len(set(np.searchsorted([4, 7, 10, 13], again, side="right").tolist())) == 5


def test_the_oldest_or_the_least_coherent_come_first() -> None:
    replay = _replay()._replace(age=jnp.array([3, 9, 3, 2, 8, 2, 2, 1, 1, 7, 1, 0, 0, 0, 5, 0], jnp.int32))
    oldest = _reanalyse(replay, 0, 0.0, ReanalysisConfig(3, num_candidates=SIZE, priority="age"))
    np.testing.assert_array_equal(np.flatnonzero(oldest.age != replay.age), [1, 4, 9])
    chosen = _reanalyse(replay, 0, 0.0, ReanalysisConfig(3, num_candidates=SIZE, priority="incoherence"))
    here = coherence(random_params(GAME), _played().state, game=GAME, predict=PREDICT, max_depth=1)
    residual = np.abs(np.asarray(_played().value) - here.qvalues[0].max(axis=-1))
    expected = np.sort(np.argsort(residual)[-3:])
    changed = ~np.isclose(chosen.examples.value, replay.examples.value)
    np.testing.assert_array_equal(np.flatnonzero(changed), expected)


def test_what_is_given_away_is_searched_again() -> None:
    """Three positions alone have any regret, and after the search what it saw of the reflex now."""
    replay = _replay()
    regret = jnp.zeros(SIZE).at[jnp.array([2, 7, 11])].set(jnp.array([1.0, 2.0, 3.0]))
    replay = replay._replace(examples=replay.examples._replace(regret=regret))
    after = _reanalyse(replay, 0, 0.0, ReanalysisConfig(12, priority="regret"))
    again = np.flatnonzero(after.age != replay.age)
    assert set(again) | {13, 14, 15, 12} == {2, 7, 11, 12, 13, 14, 15}
    found = _found()
    qvalues, weights = np.asarray(found.qvalues, float), np.asarray(found.action_weights)
    best = np.where(weights > 0, qvalues, -np.inf).max(axis=1, keepdims=True)
    prior = np.asarray(found.prior, float)
    expected = np.sum(prior * np.maximum(best - qvalues, 0), axis=1)
    np.testing.assert_allclose(after.examples.regret[again], expected[again], atol=1e-5)
    assert expected[[2, 7, 11]].max() > 1e-3


def test_a_priority_has_more_to_choose_from_than_it_takes() -> None:
    assert ReanalysisConfig(8).candidates == 8
    assert ReanalysisConfig(8, priority="age").candidates == 32
    assert ReanalysisConfig(8, num_candidates=10, priority="age").candidates == 10


@pytest.mark.parametrize("overlap", [False, True])
def test_it_begins_when_the_replay_holds_enough(overlap: bool) -> None:
    """Sixteen examples an iteration: 33 are there in the third.

    With overlap what is found is remembered before the games of its iteration, which make it a turn older.
    """
    again = ReanalysisConfig(8, num_candidates=33)
    config = tiny_config(reanalysis=again, overlap=overlap)
    state, searched = init_run(config), []
    for _ in range(4):
        state, _, _ = iterate(state, config=config)
        age = np.asarray(state.replay.age)[: int(state.replay.window)]
        searched.append(int(np.sum(age <= overlap)))
    played = config.self_play.num_examples
    assert searched[:2] == [played, (1 + overlap) * played]
    assert searched[3] > searched[1]


def test_what_is_not_written_yet_is_never_searched() -> None:
    replay = _replay(capacity=2 * SIZE)
    after = _reanalyse(replay, 0, 0.0, ReanalysisConfig(SIZE))
    np.testing.assert_array_equal(after.examples.value[SIZE:], 0)
    assert not np.allclose(after.examples.value[:SIZE], replay.examples.value[:SIZE])


@pytest.mark.parametrize("priority", ["uniform", "incoherence", "regret"])
def test_a_run_searches_again_and_goes_on_to_the_same_bits(
    priority: Literal["uniform", "incoherence", "regret"], tmp_path: Path
) -> None:
    focus = 0.5 if priority == "regret" else 0.0
    config = tiny_config(
        reanalysis=ReanalysisConfig(8, num_candidates=16, priority=priority),
        learner=LearnerConfig(batch_size=8, num_updates=2, focus=focus),
    )
    if priority == "regret":
        play = replace(config.self_play, mistake_starts=0.5, random_moves=0.5)
        config = replace(config, self_play=play, replay=ReplayConfig(capacity=64, rarity=1.0))
    whole = train_tiny(tmp_path / "whole", config)
    # Targets 0 to 3 iterations old, of which some were searched again.
    assert whole[-1]["target_age"] < 1.5
    train_tiny(tmp_path / "parts", config, stop_iteration=2)
    parts = train_tiny(tmp_path / "parts", config)
    for name in ("policy_loss", "value_loss", "target_age"):
        assert parts[-1][name] == whole[-1][name]
    ended = saved_state(tmp_path / "whole", 4, config)
    assert_same_bits(saved_state(tmp_path / "parts", 4, config), ended)
    replay = ended["run"].replay
    if config.replay.rarity:
        told_apart = fingerprints(replay.examples.state, game=config.game)
        np.testing.assert_array_equal(replay.position, told_apart)


def test_positions_count_evenly_where_some_are_searched_again_by_regret() -> None:
    """Of sixteen examples twelve are of one position: it is searched again as often as each other one."""
    replay = _replay(position=[9] * 12 + [1, 2, 3, 4])
    replay = replay._replace(examples=replay.examples._replace(regret=jnp.ones(SIZE)))
    config = ReanalysisConfig(1, priority="regret")
    again = [
        int(jnp.argmax(replay.examples.value != _reanalyse(replay, seed, 0.0, config, 1.0).examples.value))
        for seed in range(60)
    ]
    # 12 expected, and 45 where examples count.
    assert 3 <= sum(row < 12 for row in again) <= 24


def test_a_run_may_search_again_for_longer_than_it_played() -> None:
    """Two simulations prove little, 64 most of what is left of tic-tac-toe after some moves."""
    solved = []
    for budget in (0, 64):
        again = ReanalysisConfig(64, budget=budget)
        config = tiny_config(search=SearchConfig(max_simulations=64), reanalysis=again)
        state = init_run(config)
        for _ in range(5):
            state, _, _ = iterate(state, config=config)
        solved.append(float(jnp.mean(state.replay.examples.solved)))
    assert solved[1] > 0.5 > 2 * solved[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_positions": -1}, r"reanalysis\.num_positions is -1; it must be 0 or more"),
        ({"budget": -1}, r"reanalysis\.budget is -1; it must be 0 or more"),
        ({"num_positions": 8, "num_candidates": 4}, r"must be at least reanalysis\.num_positions, 8, or 0"),
    ],
)
def test_a_senseless_configuration_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReanalysisConfig(**changes)


def test_an_unknown_priority_is_refused() -> None:
    with pytest.raises(UsageError, match=r"uniform.*age.*incoherence.*regret"):
        with_overrides(tiny_config(), ("reanalysis.priority=newest",))


def test_more_positions_than_the_replay_holds_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"128 positions of a replay of 64; lower it, or raise replay\.capacity"
    ):
        tiny_config(reanalysis=ReanalysisConfig(128))
