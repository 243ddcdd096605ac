"""What an agent foresees of its searches: what it is taught, how it is kept, and what is true of it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.agent import Agent
from exit.cli import run
from exit.errors import UsageError, UserError
from exit.evaluate.allocation import spending
from exit.evaluate.calibration import calibration
from exit.evaluate.stopping import at_first, gate_ratio, gated
from exit.fingerprint import classes
from exit.foresight import (
    BUDGETS,
    Foresight,
    foresight_path,
    lesson_positions,
    load_foresight,
    measures,
    save_foresight,
    teach,
)
from exit.foresight.heads import evidence, foreseen_logits, fresh_foresight
from exit.foresight.teaching import Lessons, fitted, lessons_of
from exit.game import symmetries_of
from exit.network import MLPConfig, make_network
from exit.search import SearchResult
from exit.solve import states_of, unfinished_keys
from games.connect_four import ConnectFour
from tests.small_run import train_small
from tests.tiny import random_params, random_states, table_of, tiny_config

Captured = pytest.CaptureFixture[str]


def _found(action: list[int], qvalues: list[list[float]], value: list[float]) -> SearchResult:
    """Looks at the search of one state of two moves, of which the network likes the first and says 0.25."""
    looks = len(action)
    nothing = jnp.zeros((looks, 1))
    return SearchResult(
        action=jnp.array(action)[:, None],
        action_weights=jnp.zeros((looks, 1, 2)),
        value=jnp.array(value)[:, None],
        qvalues=jnp.array(qvalues)[:, None],
        visit_counts=jnp.zeros((looks, 1, 2), jnp.int32),
        num_simulations=jnp.zeros((looks, 1), jnp.int32),
        lower=nothing,
        upper=nothing,
        prior=jnp.broadcast_to(jnp.array([0.75, 0.25]), (looks, 1, 2)),
        prior_value=nothing + 0.25,
    )


def test_what_is_taught_is_the_last_looks_verdict() -> None:
    # The second look plays the other move, which it overrates; the last says what it is worth.
    found = _found([0, 1, 0, 1], [[0, 0], [0, 1], [0.5, 0], [-0.5, 0.25]], [0.25, 1.0, 0.5, 0.75])
    np.testing.assert_allclose(lessons_of(found, (-1.0, 1.0)), [[0.25, 0.375, 0.0, 0.375]])
    # What a search would lose is no gain, and nothing is beyond the bounds.
    worse = _found([0, 1, 1, 1], [[0, 0], [0, 1], [0, 1], [9.0, -9.0]], [0.25, 0, 0, -9.0])
    np.testing.assert_allclose(lessons_of(worse, (-1.0, 1.0)), [[1.0, 0.0, 0.0, 0.0]])


def test_a_result_says_what_was_found_beyond_the_reflex() -> None:
    found = _found([0, 1], [[0.5, 0.25], [0.5, 0.75]], [0, 0])
    np.testing.assert_allclose(found.gain, [[0.0], [0.25]])
    assert found.expected_gain is None


def _lessons(num: int) -> Lessons:
    """Evidence of three numbers, the second of which never changes and the first of which tells all."""
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(num, 3)).astype(np.float32) * [1, 0, 1000]
    share = 1 / (1 + np.exp(-2 * seen[:, 0]))
    return Lessons(jnp.asarray(seen, jnp.float32), jnp.asarray(np.tile(share[:, None], (1, 4)), jnp.float32))


def test_heads_learn_what_evidence_tells() -> None:
    lessons = _lessons(2000)
    others = Lessons(*(column[1500:] for column in lessons))
    heads = fitted(Lessons(*(column[:1500] for column in lessons)))
    foreseen = jax.nn.sigmoid(foreseen_logits(heads, others.evidence))
    assert jnp.abs(foreseen - others.found).mean() < 0.02
    usual = jnp.mean(lessons.found, axis=0)
    untaught = fresh_foresight(jax.random.key(0), lessons.evidence, usual)
    same = jax.nn.sigmoid(foreseen_logits(untaught, others.evidence))
    np.testing.assert_allclose(same, np.broadcast_to(usual, same.shape), rtol=1e-5)


@pytest.mark.parametrize("images", [None, 2])
def test_there_is_the_same_evidence_of_mirror_images_where_the_network_knows_them(images: int | None) -> None:
    game, config = ConnectFour(4, 4), MLPConfig(width=16, num_blocks=1, images=images)
    params, network = random_params(game, config), make_network(config, game)
    states = random_states(game, 8, 3, seed=0)
    mirrored = jax.vmap(lambda s: jax.tree.map(lambda leaf: leaf[1], symmetries_of(game, s)[0]))(states)
    seen, of_image = (evidence(params, each, game=game, network=network) for each in (states, mirrored))
    assert seen.shape == (8, 16 // (images or 1) + 5)
    assert np.allclose(seen, of_image, atol=1e-4) == (images == 2)


def test_where_evidence_tells_nothing_the_mean_is_foreseen() -> None:
    lessons = _lessons(2000)
    shuffled = lessons._replace(evidence=jax.random.permutation(jax.random.key(1), lessons.evidence))
    foreseen = jax.nn.sigmoid(foreseen_logits(fitted(shuffled), lessons.evidence))
    assert jnp.abs(foreseen - lessons.found.mean()).max() < 0.15


def test_calibration_is_the_mean_distance_of_bins() -> None:
    foreseen = np.repeat(np.linspace(0.05, 0.95, 10), 100)
    found = np.concatenate([np.arange(100) < 100 * share for share in np.linspace(0.05, 0.95, 10)])
    right = calibration(foreseen, found.astype(float))
    assert right["error"] < 1e-9
    assert [row["count"] for row in right["bins"]] == [100] * 10
    assert [row["predicted"] for row in right["bins"]] == pytest.approx(np.linspace(0.05, 0.95, 10))
    boasting = calibration(foreseen, found / 2)
    assert boasting["error"] == pytest.approx(0.25)
    low, high = boasting["ci95"]["error"]
    assert low < 0.25 < high
    for row in boasting["bins"]:
        assert row["ci95"]["found"][0] <= row["found"] <= row["ci95"]["found"][1]


def test_a_gate_stops_what_it_says_is_not_worth_it(pair: Any) -> None:
    looks = pair
    score = np.array([[2.0, 2.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    gate, free = np.array([0.1, 0.9]), np.zeros(2, int)
    ratio = gate_ratio(gate, score, looks, free)
    found = spending(looks, at_first(gated(gate, score, ratio), looks))
    # One state is right at once, the other after four simulations.
    assert (np.isclose(found.simulations, 4.0) & (found.regret == 0)).any()
    without = spending(looks, at_first(score, looks))
    assert not (np.isclose(without.simulations, 4.0) & (without.regret == 0)).any()


@pytest.fixture
def pair() -> Any:
    """Looks at two states, the second wrong until eight simulations, by its searches' own last word too."""
    from tests.test_allocation import _pair

    looks = _pair()
    action = np.array([[0, 1], [0, 1], [0, 1], [0, 0]])
    return looks._replace(action=action, regret=action.astype(float))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A young agent that has learnt what its searches find."""
    run_dir = train_small(tmp_path_factory)
    assert run(["foresee", str(run_dir), "--states", "2048", "--max-positions", "600"]) == 0
    return run_dir


def test_the_command_teaches_what_exact_values_confirm(small: Path) -> None:
    figures = json.loads((small / "foresee.json").read_text())
    assert (small / "foresee.png").read_bytes().startswith(b"\x89PNG")
    assert figures["budgets"] == list(BUDGETS)
    for kind in ("all", "own"):
        rows = figures["calibration"][kind]
        assert set(rows) == {"value_error", *(f"gain_{budget}" for budget in BUDGETS)}
        assert rows["gain_64"]["error"] < 0.1
        # Where more is foreseen, more is found: moves at random would not know.
        bins = rows["gain_64"]["bins"]
        assert np.mean([row["found"] for row in bins[5:]]) > 1.3 * np.mean([row["found"] for row in bins[:5]])
    assert figures["detection"]["all"]["auc"] > 0.6
    assert figures["positions"]["all"] == {"kind": "uniform, held out", "count": 600}
    assert figures["positions"]["own"]["kind"] == "own, held out"


def test_what_is_measured_never_teaches() -> None:
    config = tiny_config()
    params = random_params(config.game)
    keys = lesson_positions(params, config=config, num_states=300)
    assert 200 < len(keys) <= 300
    assert len(np.unique(keys, axis=0)) == len(keys)
    every = unfinished_keys(table_of(config.game))
    kept = every[measures(config.game, every)]
    assert len(kept) == pytest.approx(len(every) / 2, rel=0.1)
    taught, measured = (set(classes(states_of(config.game, each), game=config.game)) for each in (keys, kept))
    assert not taught & measured
    for few in (0, 1):
        with pytest.raises(ValueError, match=f"num_states is {few}; give at least 2"):
            lesson_positions(params, config=config, num_states=few)
        with pytest.raises(ValueError, match=f"{few} states are too few"):
            teach(params, keys[:few], config=config)


def test_an_agent_says_what_it_expected_spent_and_found(small: Path, capsys: Captured) -> None:
    agent = Agent.load(small)
    states = jax.tree.map(lambda leaf: np.stack([leaf] * 3), agent.game.init())
    foreseen = agent.foresee(states)
    assert foreseen.value_error.shape == (3,)
    assert foreseen.gains.shape == (3, len(BUDGETS))
    assert agent.foresee(agent.game.init()).gains.shape == (len(BUDGETS),)
    auto = agent.act(states, "auto")
    # The capacity is 32 simulations, so that what is foreseen of 16 is what counts.
    assert auto.expected_gain is not None
    np.testing.assert_allclose(auto.expected_gain, foreseen.gains[:, 0])
    assert agent.act(states, 8).expected_gain is None
    one = agent.act(agent.game.init(), "auto")
    assert one.expected_gain is not None
    assert np.shape(one.expected_gain) == np.shape(one.gain) == ()
    answers = small / "answers.jsonl"
    positions = small / "positions.jsonl"
    positions.write_text('{"moves": []}\n')
    command = ["act", str(small), "--positions", str(positions), "--out", str(answers), "--budget"]
    assert run([*command, "auto"]) == 0
    answer = json.loads(answers.read_text())
    assert answer["expected_gain"] == pytest.approx(float(foreseen.gains[0, 0]), rel=1e-4)
    assert answer["gain"] == pytest.approx(float(one.gain), abs=1e-5)
    assert run([*command, "8"]) == 0
    assert "gain" not in json.loads(answers.read_text())
    capsys.readouterr()


def test_foresight_belongs_to_the_agent_that_learnt_it(small: Path) -> None:
    path = foresight_path(small)
    agent = Agent.load(small)
    foresight = load_foresight(path, agent.params)
    assert foresight is not None
    copy = small / "copy.npz"
    agent.save(copy)
    assert Agent.load(copy).foresight is None
    with pytest.raises(UsageError, match="foresees nothing yet; `xit foresee"):
        Agent.load(copy).foresee(agent.game.init())
    save_foresight(foresight_path(copy), foresight, agent.params)
    kept = Agent.load(copy).foresight
    assert kept is not None
    for ours, theirs in zip(foresight, kept, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # An earlier snapshot is another agent: it is said only where the newest was asked for.
    assert Agent.load(small, step=8).foresight is None
    other = jax.tree.map(lambda leaf: leaf + 1, agent.params)
    with pytest.raises(UserError, match=r"another iteration and is left out; `xit foresee`"):
        load_foresight(path, other)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:100], "is damaged and left out"),
        (lambda content: b"", "is damaged and left out"),
        (lambda content: content.replace(b"\x00" * 8, b"\x01" * 8, 1), "is damaged and left out"),
    ],
)
def test_what_is_damaged_is_told_and_left_out(small: Path, tmp_path: Path, damage: Any, said: str) -> None:
    agent, path = Agent.load(small), tmp_path / "agent.npz"
    agent.save(path)
    content = foresight_path(small).read_bytes()
    foresight_path(path).write_bytes(damage(content))
    told: list[str] = []
    assert Agent.load(path, warn_fn=told.append).foresight is None
    assert len(told) == 1
    assert said in told[0]


def test_other_versions_are_told_and_a_full_disk_loses_nothing(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, path = Agent.load(small), tmp_path / "agent.foresight"
    assert agent.foresight is not None
    monkeypatch.setattr("exit.foresight.file.FORMAT", 2)
    save_foresight(path, agent.foresight, agent.params)
    monkeypatch.undo()
    with pytest.raises(UserError, match="another version of xit"):
        load_foresight(path, agent.params)
    save_foresight(path, agent.foresight, agent.params)
    before = path.read_bytes()

    def full(*arguments: Any, **arrays: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(UserError, match="No space left on device"):
        save_foresight(path, agent.foresight, agent.params)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert load_foresight(tmp_path / "none", agent.params) is None


def test_who_has_learnt_nothing_answers_as_before(small: Path) -> None:
    agent = Agent.load(small)
    without = dataclasses.replace(agent, foresight=None)
    state = agent.game.init()
    mine, its = agent.act(state, "auto"), without.act(state, "auto")
    assert mine.expected_gain is not None
    assert mine.expected_gain > 0
    assert its.expected_gain is None
    for ours, theirs in zip(mine[:-1], its[:-1], strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert isinstance(agent.foresight, Foresight)
