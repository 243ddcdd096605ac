"""Games seen as raw histories: exact values by the statistic, estimates, other orders, probes."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.catalog import load_game
from exit.cli import run
from exit.conformance import check_game
from exit.errors import UsageError, UserError
from exit.evaluate import estimated_return, expected_return, perfect_policy, policy_of
from exit.evaluate.histories import played_histories, reordered, replayed
from exit.evaluate.learnt.probes import fitted_probe, principal_plane, scored_probe
from exit.game import baselines_of, statistic_of
from exit.network import GRUConfig, make_network
from exit.solve import exact_of, exact_of_statistic, exact_of_table, initial_value, states_of, table_of
from exit.solve.solver import solve
from games.bandit import Bandit
from games.bandit_history import BanditHistory
from tests.tiny import random_params, stack
from tests.tiny import table_of as solved

GAME = BanditHistory(2, 5)
GRU = GRUConfig(memory=8, width=8, num_blocks=1)


def _exact(game: BanditHistory = GAME):
    return exact_of(game, table_fn=solved)


def _keys(game: BanditHistory, *histories: list[tuple[int, int]]) -> np.ndarray:
    return np.asarray(jax.vmap(game.encode)(stack([game.after(each) for each in histories])))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bandit_history_3_4_3_1", "sequential_test_history_4_7_6_20"])
def test_histories_keep_the_protocol(name: str) -> None:
    game = load_game(name)
    assert game.name == name
    check_game(game, num_games=4)


def test_solving_over_histories_gives_the_values_of_the_counts() -> None:
    over_histories = exact_of_table(solve(GAME))
    assert over_histories.table is not None
    keys = over_histories.table.keys[:400]
    keys = keys[:, None].astype(np.uint32)
    by_counts, alone = _exact().moves_fn(keys), over_histories.moves_fn(keys)
    np.testing.assert_allclose(by_counts.values, alone.values, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(by_counts.optimal, alone.optimal)
    assert np.unique(alone.values).size > 20
    assert over_histories.table.num_states == GAME.num_states


def test_a_history_that_no_play_produces_is_refused() -> None:
    exact = _exact()
    gap, unknown = (
        type(GAME.init())(jnp.array(pulls, jnp.uint8)) for pulls in ([1, 0, 2, 0, 0], [5, 0, 0, 0, 0])
    )
    with pytest.raises(UserError, match="bandit_history_2_5: no play produces such a history"):
        exact.moves_fn(np.asarray(GAME.encode(gap))[None])
    assert sum(map(jnp.sum, GAME.statistic(unknown))) > GAME.horizon
    with pytest.raises(ValueError, match=r"pull 2 of the history is arm 2 with outcome 1.*arms are 0 to 1"):
        GAME.after([(0, 1), (2, 1)])
    with pytest.raises(
        ValueError, match="a history of 6 pulls cannot come up in bandit_history_2_5; at most 5"
    ):
        GAME.after([(0, 1)] * 6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bandit_history_2_201", "bandit_history has a horizon of 1 to 200 pulls, got 201"),
        ("bandit_history_2_0", "bandit_history has a horizon of 1 to 200 pulls, got 0"),
        ("bandit_history_1_20", "bandit has 2 to 16 arms, got 1"),
        ("sequential_test_history_4_6_201", "sequential_test_history has 1 to 200 looks at most, got 201"),
        ("sequential_test_history_4_4", "the two coins have different chances of heads"),
    ],
)
def test_sizes_out_of_range_are_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_game(name)


def test_values_of_another_game_are_no_statistics() -> None:
    with pytest.raises(ValueError, match="no statistics that are states of bandit_2_4"):
        exact_of_statistic(GAME, exact_of_table(solved(Bandit(2, 4))))
    with pytest.raises(UserError, match="values of bandit_history_2_5 are those of bandit_2_5"):
        table_of(_exact())


def test_perfect_play_and_rules_of_thumb_earn_on_histories_what_they_earn_on_counts() -> None:
    exact, table = _exact(), solved(Bandit(2, 5))
    assert expected_return(GAME, perfect_policy(exact)).value == pytest.approx(
        initial_value(table), abs=1e-12
    )
    on_counts = expected_return(Bandit(2, 5), policy_of(Bandit(2, 5), baselines_of(Bandit(2, 5))["greedy"]))
    on_histories = expected_return(GAME, policy_of(GAME, baselines_of(GAME)["greedy"]))
    assert on_histories.value == pytest.approx(on_counts.value, abs=1e-12)


def test_an_estimate_covers_what_following_every_history_finds() -> None:
    exact = _exact()

    def last_arm(keys: np.ndarray) -> np.ndarray:
        """A policy that minds the order: it repeats the newest pull."""
        pulls = np.asarray(states_of(GAME, keys).pulls).astype(int)
        newest = pulls[np.arange(len(pulls)), np.maximum((pulls > 0).sum(axis=1) - 1, 0)]
        return np.where(newest > 0, (newest - 1) // 2, 1).astype(np.int32)

    truth = expected_return(GAME, last_arm).value
    found = estimated_return(exact, last_arm, num_games=512)
    assert found.ci95[0] <= truth <= found.ci95[1]
    assert found.ci95[1] - found.ci95[0] < 0.2
    assert found.longest == len(found.regret_by_move) == 5
    perfect = estimated_return(exact, lambda keys: exact.moves_fn(keys).optimal.argmax(axis=1), num_games=8)
    assert perfect.value == pytest.approx(initial_value(solved(Bandit(2, 5))), abs=1e-12)
    with pytest.raises(ValueError, match="num_games is 0"):
        estimated_return(exact, last_arm, num_games=0)


def test_reordered_histories_differ_and_say_the_same() -> None:
    params = random_params(GAME, GRU)
    predict = make_network(GRU, GAME).predict
    histories = played_histories(params, game=GAME, predict=predict, num=256, max_length=5)
    assert set(histories.length.tolist()) == set(range(5))
    changed = np.maximum(histories.length - 1, 0)
    pairs = reordered(GAME, histories, changed)
    (first, fair), (second, also_fair) = (replayed(GAME, *each) for each in pairs[:2])
    assert fair.all()
    assert also_fair.all()
    assert len(pairs.changed) > 20
    assert (np.asarray(first.pulls) != np.asarray(second.pulls)).any(axis=1).all()
    for one, other in zip(
        *(jax.vmap(lambda state: statistic_of(GAME, state))(each) for each in (first, second)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    last = np.take_along_axis(np.asarray(first.pulls), pairs.changed[:, None], axis=1)
    np.testing.assert_array_equal(
        last, np.take_along_axis(np.asarray(second.pulls), pairs.changed[:, None], axis=1)
    )


def test_a_probe_reads_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    activations = rng.normal(size=(600, 6))
    targets = np.stack([activations @ rng.normal(size=6) + 5, rng.normal(size=600)], axis=1)
    probe = fitted_probe(activations[:300], targets[:300])
    found = scored_probe(probe, activations[300:], targets[300:])
    assert found.r2[0] > 0.9999
    assert abs(found.r2[1]) < 0.1
    assert found.ci95[0] < found.mean_r2 < found.ci95[1]
    plane = principal_plane(activations * [9, 1, 1, 4, 1, 1])
    assert abs(np.corrcoef(plane[:, 0], activations[:, 0])[0, 1]) > 0.99
    assert abs(np.corrcoef(plane[:, 1], activations[:, 3])[0, 1]) > 0.95


_CONFIG = """
from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import GRUConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.sequential_test_history import make


def config() -> RunConfig:
    return RunConfig(
        game=make(3, 7, 6, 20),
        network=GRUConfig(memory=6, width=8, num_blocks=1),
        search=SearchConfig(max_simulations=4),
        self_play=SelfPlayConfig(num_games=8, num_steps=2, budget=2, max_random_plies=4),
        replay=ReplayConfig(capacity=32),
        learner=LearnerConfig(batch_size=8, num_updates=1),
        evaluation=EvaluationConfig(budget=2, num_positions=16),
        num_iterations=1,
    )
"""


@pytest.mark.slow
def test_an_agent_of_histories_is_trained_probed_and_measured(tmp_path: Path, capsys) -> None:
    (tmp_path / "tiny.py").write_text(_CONFIG)
    run_dir = tmp_path / "run"
    assert run(["train", str(tmp_path / "tiny.py"), "--run-dir", str(run_dir)]) == 0
    file = tmp_path / "probe.json"
    longer = "sequential_test_history_3_7_9_20"
    command = ["probe", str(run_dir), "--longer", longer, "--histories", "512", "--json", str(file)]
    assert run(command) == 0
    figures = json.loads(file.read_text())
    assert figures["statistic_game"] == "sequential_test_3_7_6_20"
    kinds = list(dict.fromkeys(row["kind"] for row in figures["layers"]))
    assert kinds == ["posterior", "log-odds", "count", "exact value"]
    assert [row["layer"] for row in figures["layers"][:: 3 * len(kinds)]] == [
        "memory",
        "stem",
        "block 1",
        "features",
    ]
    assert {row["scored_on"] for row in figures["layers"]} == {"others", "longer", "beyond"}
    assert figures["histories"]["beyond"]["lengths"][0] > figures["histories"]["longer"]["lengths"][1]
    assert figures["order"]["pairs"] > 10
    assert 0 < figures["swap"]["unchanged"] <= 1
    assert [row["game"] for row in figures["play"]] == ["sequential_test_history_3_7_6_20", longer]
    assert {"geometry.png", "boundary.png"} <= {path.name for path in run_dir.iterdir()}
    assert run(["bench", str(run_dir), "--budgets", "0,4", "--max-positions", "64", "--json", str(file)]) == 0
    reflex, searched = json.loads(file.read_text())["budgets"]
    assert reflex["ci95"]["expected_return"] is None
    low, high = searched["ci95"]["expected_return"]
    assert low <= searched["expected_return"] <= high
    capsys.readouterr()
    assert run(["probe", str(run_dir), "--longer", "bandit_history_2_9"]) == 2
    assert "cannot be measured on longer histories in bandit_history_2_9" in capsys.readouterr().err


def test_without_a_statistic_there_is_nothing_to_probe_for(capsys) -> None:
    assert run(["probe", "connect_four"]) == 2
    assert "connect_four names no sufficient statistic" in capsys.readouterr().err


def test_solving_histories_points_to_what_they_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["solve", "bandit_history_2_3"]) == 0
    assert "`xit solve bandit_2_3` is what they need" in capsys.readouterr().err
    assert run(["solve", "bandit_2_3"]) == 0
    assert "is what they need" not in capsys.readouterr().err
