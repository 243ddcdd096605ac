"""Programs made of agents: what is said of them is so, and what is written runs as the network does."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exit.compile import certify, onnx, stablehlo, subject_of, to_onnx, to_stablehlo, to_table, tree_frontier
from exit.compile.onnx import primitives
from exit.compile.policy_table import load_policy_table, moves_at
from exit.compile.reach import met, reach_of, visits
from exit.compile.reflex import network_fn_of
from exit.compile.subject import Subject
from exit.errors import UsageError, UserError
from exit.evaluate import expected_return, face, recalled
from exit.network import ConvConfig, MLPConfig
from exit.plots import plot_compiling
from exit.solve import exact_of_table, initial_value
from games.bandit import Bandit
from games.nim import Nim
from games.pig import Pig
from games.tic_tac_toe import TicTacToe
from tests.compiling import untrained
from tests.tiny import table_of

BANDIT, NIM = Bandit(2, 6), Nim((1, 2, 3))


def subject(game) -> Subject:
    return subject_of(untrained(game), exact_of_table(table_of(game)))


def random_legal(found: Subject, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).random(found.moves.legal.shape)
    return np.where(found.moves.legal, drawn, -1).argmax(axis=1)


def test_perfect_play_is_certified() -> None:
    for game in (BANDIT, NIM):
        found = subject(game)
        figures = certify(found, found.moves.optimal.argmax(axis=1))
        assert figures["certified"]
        assert (figures["mistakes"], figures["exploitability"], figures["illegal"]) == (0, 0, 0)
    figures = certify(subject(BANDIT), subject(BANDIT).moves.optimal.argmax(axis=1))
    assert figures["return"] == pytest.approx(initial_value(table_of(BANDIT)), rel=1e-12)
    assert figures["lost_share"] == 0


def test_what_a_player_alone_loses_is_its_regrets_as_often_as_it_meets_them() -> None:
    found = subject(BANDIT)
    action = random_legal(found)
    figures = certify(found, action)
    earned = expected_return(BANDIT, recalled(found.keys, action)).value
    assert figures["return"] == pytest.approx(earned)
    lost = visits(reach_of(BANDIT, found.keys), action) @ found.moves.regrets[np.arange(len(action)), action]
    assert figures["exploitability"] == pytest.approx(lost) == pytest.approx(figures["value"] - earned)
    assert not figures["certified"]


@pytest.mark.parametrize("game", [NIM, Pig(4)], ids=["nim", "pig"])
def test_states_that_a_program_meets_are_those_of_a_walk(game) -> None:
    found = subject(game)
    action = random_legal(found, seed=1)
    faced = face(found.exact, recalled(found.keys, action), max_positions=10_000)
    assert faced is not None
    expected = {tuple(key) for each in faced for key in each.walk.keys[each.rows].tolist()}
    here = met(reach_of(game, found.keys), action)
    assert {tuple(key) for key in found.keys[here].tolist()} == expected
    assert certify(found, action)["met"] == len(expected)


def test_an_illegal_move_is_a_mistake_even_where_nothing_is_at_stake() -> None:
    found = subject(NIM)
    action = found.moves.optimal.argmax(axis=1)
    equal = np.flatnonzero(~found.moves.critical & ~found.moves.legal.all(axis=1))
    reached = met(reach_of(NIM, found.keys), action)[equal]
    action[equal[reached][0]] = np.flatnonzero(~found.moves.legal[equal[reached][0]])[0]
    figures = certify(found, action)
    assert (figures["illegal"], figures["mistakes"], figures["certified"]) == (1, 1, False)
    assert figures["exploitability"] == 0


def test_a_table_is_the_agent_in_every_state(tmp_path: Path) -> None:
    found = subject(NIM)
    artifact = to_table(found, tmp_path / "nim.table.npz")
    table = load_policy_table(artifact.paths[0])
    np.testing.assert_array_equal(moves_at(table, found.keys), found.action)
    assert table.header == json.loads(json.dumps(artifact.header))
    assert table.header["certificate"]["fidelity"] == 1
    assert table.header["certificate"] == json.loads(json.dumps(certify(found, found.action)))
    with pytest.raises(KeyError):
        moves_at(table, np.full((1, found.keys.shape[1]), 2**32 - 1, np.uint32))
    artifact.paths[0].write_bytes(b"nothing")
    with pytest.raises(UsageError, match="holds no policy"):
        load_policy_table(artifact.paths[0])


NETWORKS = [
    (BANDIT, MLPConfig(width=16, num_blocks=2)),
    (TicTacToe(), ConvConfig(channels=8, num_blocks=1)),
    (TicTacToe(), MLPConfig(width=16, num_blocks=1, images=4)),
]


@pytest.mark.parametrize(("game", "network"), NETWORKS, ids=["mlp", "conv", "mlp of images"])
def test_modules_and_models_say_what_the_network_says(game, network, tmp_path: Path) -> None:
    agent = untrained(game, network)
    to_stablehlo(agent, None, tmp_path / "a.stablehlo")
    to_onnx(agent, None, tmp_path / "a.onnx")
    header, module = stablehlo.load_stablehlo(tmp_path / "a.stablehlo")
    other, model = onnx.load_onnx(tmp_path / "a.onnx")
    assert (header["format"], other["format"], other["game"]) == ("stablehlo", "onnx", game.name)
    assert header["certificate"] is None
    for run in (stablehlo.run_of(module), onnx.run_of(model)):
        for batch in (1, 5):
            seen = np.random.default_rng(batch).random((batch, *game.observation_shape), np.float32)
            for mine, expected in zip(run(seen), network_fn_of(agent)(seen), strict=True):
                assert mine.shape == expected.shape
                np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-5)


def test_networks_are_certified_by_running_them_everywhere(tmp_path: Path) -> None:
    found = subject(NIM)
    expected = certify(found, found.action)
    assert expected["mistakes"] > 0
    for to_format in (to_stablehlo, to_onnx):
        header = to_format(found.agent, found, tmp_path / "file").header
        assert header["certificate"] == expected
        assert header["size"]["parameters"] > 100


def test_bfloat16_is_written_in_single_precision() -> None:
    fine = untrained(BANDIT, MLPConfig(width=8, num_blocks=1))
    network = dataclasses.replace(fine.config.network, bfloat16=True)
    coarse = dataclasses.replace(fine, config=dataclasses.replace(fine.config, network=network))
    assert onnx.onnx_of(coarse) == onnx.onnx_of(fine)


_WITHOUT_JAX = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
logits, value = session.run(None, {"observation": numpy.zeros((3, *map(int, sys.argv[2:])), numpy.float32)})
assert logits.shape == (3, 9) and value.shape == (3,)
assert "jax" not in sys.modules
"""


def test_a_model_runs_without_jax(tmp_path: Path) -> None:
    to_onnx(untrained(TicTacToe()), None, tmp_path / "a.onnx")
    command = [sys.executable, "-c", _WITHOUT_JAX, str(tmp_path / "a.onnx"), "3", "3", "2"]
    subprocess.run(command, check=True, cwd=tmp_path)


def test_what_onnx_here_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(primitives.TRANSLATIONS, "logistic")
    with pytest.raises(
        UserError, match=r"uses 'logistic', which has no translation .* compile it to stablehlo"
    ):
        onnx.onnx_of(untrained(BANDIT))


@pytest.mark.parametrize("load", [stablehlo.load_stablehlo, onnx.load_onnx])
def test_damaged_files_are_refused(load, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"{}\nnothing")
    with pytest.raises(UsageError, match=r"holds no mod.*writes one"):
        load(tmp_path / "file")


def test_a_frontier_has_trees_of_rising_size_beside_the_agent(tmp_path: Path) -> None:
    found = subject(BANDIT)
    figures, trees = tree_frontier(found, sizes=(3, 9, 200))
    assert [row["nodes"] for row in figures["trees"]] == [tree.num_nodes for tree in trees]
    assert all(row["nodes"] <= row["max_nodes"] for row in figures["trees"])
    losses = [row["exploitability"] for row in figures["trees"]]
    assert losses == sorted(losses, reverse=True)
    agent = certify(found, found.action)
    assert figures["network"]["mean_regret"] == figures["table"]["mean_regret"] == agent["mean_regret"]
    assert losses[-1] <= agent["exploitability"]
    picture = plot_compiling(figures, tmp_path / "frontier.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
