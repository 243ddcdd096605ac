"""Batches of games: played alike by the same actor, and each counted once."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exit.coherence import coherence
from exit.fingerprint import fingerprints
from exit.fleet.batch import Batch, Weights, checksum_of
from exit.fleet.ledger import Identity, Ledger
from exit.fleet.player import Player, host_copy
from exit.fleet.staleness import Disagreement, Staleness
from exit.fleet.training import disagreement_of, with_batch
from exit.iteration import init_run
from exit.network import make_network
from exit.replay import ReplayConfig
from exit.targets import Targets
from tests.tiny import random_params, tiny_config

CONFIG = tiny_config()


def weights(seed: int) -> Weights:
    return Weights(seed, host_copy(random_params(CONFIG.game, CONFIG.network, seed=seed)))


def batches(number: int, *versions: int) -> list[Batch]:
    player = Player(number, CONFIG)
    return [player.play(weights(version)) for version in versions]


def test_a_batch_depends_on_its_actor_its_place_and_the_weights() -> None:
    first, second = batches(3, 0, 1)
    assert (first.identity, second.identity) == (Identity(3, 0), Identity(3, 1))
    again = batches(3, 0, 1)
    assert [batch.checksum for batch in again] == [first.checksum, second.checksum]
    others = [batches(4, 0)[0], batches(3, 1)[0], second]
    assert first.checksum not in [batch.checksum for batch in others]


def test_a_batch_is_what_the_replay_takes() -> None:
    (batch,) = batches(0, 0)
    template = jax.eval_shape(lambda: init_run(CONFIG)).replay.examples
    found: Targets = jax.tree.unflatten(jax.tree.structure(template), batch.leaves)
    assert batch.checksum == checksum_of(batch.leaves)
    for leaf, like in zip(jax.tree.leaves(found), jax.tree.leaves(template), strict=True):
        assert (leaf.dtype, leaf.shape) == (like.dtype, (CONFIG.self_play.num_examples, *like.shape[1:]))
    np.testing.assert_allclose(np.sum(found.action_weights, axis=-1), 1.0, rtol=1e-5)
    # Four moves of tic-tac-toe from at most three: some games end, none twice.
    assert 0 <= batch.num_games <= CONFIG.self_play.num_games
    assert set(batch.figures) >= {"entropy", "simulations"}


def test_positions_of_a_batch_are_told_apart_where_rare_ones_count_more() -> None:
    config = replace(CONFIG, replay=ReplayConfig(capacity=64, rarity=1.0))
    (batch,) = batches(0, 0)
    replay = with_batch(init_run(config).replay, batch.leaves, config=config)
    new = CONFIG.self_play.num_examples
    told_apart = fingerprints(jax.tree.map(lambda leaf: leaf[:new], replay.examples.state), game=config.game)
    assert len(np.unique(told_apart)) > 3
    positions = np.asarray(replay.position)
    np.testing.assert_array_equal(positions[:new], told_apart)
    assert not positions[new:].any()


def test_a_batch_says_how_far_its_weights_disagree_with_others() -> None:
    """Against themselves as far as the network with its own look ahead, against others by the drift too."""
    (batch,) = batches(0, 0)
    own, others = (weights(seed).params for seed in (0, 1))
    targets: Targets = jax.tree.unflatten(
        jax.tree.structure(jax.eval_shape(lambda: init_run(CONFIG)).replay.examples), batch.leaves
    )
    predict = make_network(CONFIG.network, CONFIG.game).predict
    assert len(batch.values) == CONFIG.self_play.num_examples
    here = coherence(own, targets.state, game=CONFIG.game, predict=predict, max_depth=1)
    np.testing.assert_allclose(batch.values, here.value, rtol=1e-5, atol=1e-6)
    found = disagreement_of(batch, own, config=CONFIG)
    np.testing.assert_allclose(found, [0.0, np.abs(here.value_residual[0]).mean()], atol=1e-6)
    there = coherence(others, targets.state, game=CONFIG.game, predict=predict, max_depth=1)
    drift, residual = disagreement_of(batch, others, config=CONFIG)
    assert drift == pytest.approx(float(np.abs(here.value - there.value).mean()), rel=1e-4)
    backup = there.qvalues[0].max(axis=-1)
    assert residual == pytest.approx(float(np.abs(here.value - backup).mean()), rel=1e-4)


def test_reports_tell_disagreement_by_age() -> None:
    staleness = Staleness()
    assert staleness.figures() == {}
    for age in (0, 1, 2, 3, 4, 7, 8):
        staleness.add(age, Disagreement(float(age), 10.0 * age))
    figures = staleness.figures()
    assert figures["stale_drift"] == pytest.approx(25 / 7)
    drifts = {name: figures[name] for name in figures if name.startswith("stale_drift_at_age_")}
    assert list(drifts.values()) == [0.0, 1.0, 2.5, 5.5, 8.0]
    assert [int(name.rpartition("_")[2]) for name in drifts] == [0, 1, 2, 4, 8]
    assert figures["stale_residual_at_age_4"] == 55.0


@given(st.lists(st.tuples(st.sampled_from(["ask", "ingest", "drop", "lose"]), st.integers(0, 9))))
def test_the_accounts_balance_whatever_happens(events: list[tuple[str, int]]) -> None:
    ledger, asked, used = Ledger(), set(), []
    for what, sequence in events:
        identity = Identity(0, sequence)
        if what == "ask":
            if identity not in asked:
                ledger.ask(identity)
                asked.add(identity)
        elif what == "ingest":
            used += [identity] if ledger.ingest(identity, 1) else []
        else:
            _settle(ledger, what, identity)
        assert ledger.balances
    assert len(used) == len(set(used)) == ledger.ingested == ledger.games
    assert set(used) <= asked


def _settle(ledger: Ledger, what: str, identity: Identity) -> None:
    if what == "drop":
        ledger.drop(identity, 1)
    else:
        ledger.lose(identity)


def test_a_learner_that_goes_on_writes_off_what_was_out() -> None:
    ledger = Ledger(actors_started=2, actors_lost=1)
    for sequence in range(5):
        ledger.ask(Identity(0, sequence))
    ledger.ingest(Identity(0, 0), num_games=7)
    ledger.drop(Identity(0, 1), num_games=3)
    row: dict[str, Any] = {"iteration": 1, **ledger.figures()}
    continued = Ledger.from_report(row)
    assert continued.balances
    assert (continued.asked, continued.ingested, continued.stale, continued.lost) == (5, 1, 1, 3)
    assert (continued.games, continued.stale_games, continued.actors_started) == (7, 3, 2)
    assert continued.actors_lost == 1
    # A run that had no fleet so far.
    assert Ledger.from_report({"iteration": 3}) == Ledger()
