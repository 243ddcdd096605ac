"""Coherence: backups against plain recursion, residuals of planted values, and what detects mistakes."""

import functools
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from exit.cli import run
from exit.cli.coherence import _show
from exit.coherence import Coherence, coherence, deepest
from exit.coherence_report import ConstantValue, coherence_report
from exit.evaluate import own_positions
from exit.evaluate.learnt.detection import combined, detection
from exit.solve import exact_of_table, solve, unfinished_keys
from games.connect_four import ConnectFour
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.chance_games import Bets, Race
from tests.compiling import untrained
from tests.small_run import train_small

Captured = pytest.CaptureFixture[str]
Predict = Callable[[Any, Array], tuple[Array, Array]]

_HEAPS = (2, 3)


def _nim_values(worth: dict[tuple[int, ...], float]) -> Predict:
    """A network that values each pair of heaps as given; its policy prefers low actions."""
    table = np.zeros((_HEAPS[0] + 1, _HEAPS[1] + 1), np.float32)
    for heaps, value in worth.items():
        table[heaps] = value

    def predict(params: Any, observation: Array) -> tuple[Array, Array]:
        first, second = (observation.argmax(-1)[..., heap] for heap in (0, 1))
        return jnp.broadcast_to(-jnp.arange(5.0), (*first.shape, 5)), jnp.asarray(table)[first, second]

    return predict


def _nim_states() -> tuple[list[tuple[int, ...]], Any]:
    game = Nim(_HEAPS)
    heaps = [pair for pair in itertools.product(range(3), range(4)) if any(pair)]
    return heaps, game.init()._replace(heaps=np.array(heaps, np.int32))


def _backup(worth: dict[tuple[int, ...], float], heaps: tuple[int, ...], depth: int) -> float:
    """The value of two heaps by plain recursion."""
    if not any(heaps):
        return 0.0
    if depth == 0:
        return worth[heaps]
    found = []
    for heap, size in enumerate(heaps):
        for left in range(size):
            after = tuple(left if h == heap else s for h, s in enumerate(heaps))
            found.append(1.0 if not any(after) else -_backup(worth, after, depth - 1))
    return max(found)


def test_backups_equal_plain_recursion() -> None:
    heaps, states = _nim_states()
    rng = np.random.default_rng(0)
    worth = {pair: float(rng.uniform(-1, 1)) for pair in heaps}
    found = coherence({}, states, game=Nim(_HEAPS), predict=_nim_values(worth), max_depth=3)
    for depth in (1, 2, 3):
        expected = [_backup(worth, pair, depth) for pair in heaps]
        np.testing.assert_allclose(found.qvalues[depth - 1].max(-1), expected, atol=1e-6)
        np.testing.assert_allclose(
            found.value_residual[depth - 1], np.array([worth[pair] for pair in heaps]) - expected, atol=1e-6
        )


def test_what_is_true_is_coherent_and_what_is_wrong_shows_next_to_it() -> None:
    heaps, states = _nim_states()
    truth = {pair: 1.0 if pair[0] ^ pair[1] else -1.0 for pair in heaps}
    look = functools.partial(coherence, {}, states, game=Nim(_HEAPS), max_depth=2)
    found = look(predict=_nim_values(truth))
    np.testing.assert_allclose(found.value_residual, 0, atol=1e-6)
    wrong = look(predict=_nim_values(truth | {(1, 1): 1.0}))
    off = dict(zip(heaps, np.abs(wrong.value_residual[0]) > 0.5, strict=True))
    # It disagrees with its successors, and those of which it is the only good move's end with it.
    assert {pair for pair, far in off.items() if far} == {(1, 1), (1, 2), (1, 3), (2, 1)}


@pytest.mark.parametrize("game", [Race(), Bets()], ids=lambda game: game.name)
def test_chance_is_backed_up_by_expectation(game: Race | Bets) -> None:
    size = game.observation_shape
    exact = np.zeros((size[0] if isinstance(game, Bets) else size[1], size[1]), np.float32)
    for row, column in itertools.product(*map(range, exact.shape)):
        if isinstance(game, Bets) or (row and column):
            exact[row, column] = game.exact(row, column)

    def predict(params: Any, observation: Array) -> tuple[Array, Array]:
        if isinstance(game, Bets):
            place = observation.reshape(*observation.shape[:-2], -1).argmax(-1)
            value = jnp.asarray(exact).ravel()[place]
        else:
            value = jnp.asarray(exact)[observation.argmax(-1)[..., 0], observation.argmax(-1)[..., 1]]
        return jnp.zeros((*value.shape, game.num_actions)), value

    keys = unfinished_keys(solve(game))
    states = jax.vmap(game.decode)(jnp.asarray(keys))
    found = coherence({}, states, game=game, predict=predict, max_depth=2)
    assert len(keys) > 5
    np.testing.assert_allclose(found.value_residual, 0, atol=1e-5)


def test_the_policy_residual_is_that_of_the_improved_policy() -> None:
    prior = np.array([[0.5, 0.25, 0.25, 0.0]])
    qvalues = np.array([[[-1.0, 1.0, 0.0, -np.inf]]])
    found = Coherence(np.zeros(1), prior, qvalues)
    weights = [0.5, 0.25 * math.exp(5.0), 0.25 * math.exp(2.5)]
    improved = np.array(weights) / sum(weights)
    expected = (improved * np.log(improved / prior[0, :3])).sum()
    np.testing.assert_allclose(found.policy_residual, [[expected]])
    np.testing.assert_allclose(found.reflex_regret, [[2.0]])
    # What thinks nothing better of any move leaves the prior as it is.
    flat = Coherence(np.zeros(1), prior, np.array([[[0.3, 0.3, 0.3, -np.inf]]]))
    np.testing.assert_allclose(flat.policy_residual, 0, atol=1e-12)


def test_a_look_too_deep_is_refused() -> None:
    state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], TicTacToe().init())
    predict = ConstantValue(lambda params, observation: (jnp.zeros((len(observation), 9)), jnp.ones(1)))
    for depth in (0, 9):
        with pytest.raises(ValueError, match="give 1 to 3"):
            coherence({}, state, game=TicTacToe(), predict=predict, max_depth=depth)
    assert deepest(TicTacToe(), 100) == 2


def test_detection_is_right_for_what_is_known() -> None:
    rng = np.random.default_rng(2)
    wrong = rng.random(3000) < 0.1
    for score, area in ((wrong * 1.0, 1.0), (-1.0 * wrong, 0.0), (np.zeros(3000), 0.5)):
        found = detection(wrong, score)
        assert found is not None
        assert found["auc"] == area
        assert found["ci95"]["auc"] == [area, area]
    # Two normal distributions a deviation apart: the area is that of their difference.
    found = detection(wrong, rng.normal(size=3000) + wrong)
    assert found is not None
    low, high = found["ci95"]["auc"]
    assert low < 0.5 * (1 + math.erf(0.5)) < high < low + 0.1
    assert detection(wrong & False, wrong * 1.0) is None


def test_what_is_learnt_joins_measures_and_does_not_remember() -> None:
    rng = np.random.default_rng(1)
    first, second, noise = rng.normal(size=(3, 2000))
    wrong = (first > 1) & (second > 0)
    alone = np.arange(2000, dtype=np.uint32)
    learnt = combined(wrong, {"first": first, "second": second}, alone)
    assert learnt is not None
    found = detection(wrong, learnt)
    assert found is not None
    assert found["auc"] > 0.97
    # Where there is nothing to learn, a model that had seen the states would still know them.
    chance = rng.random(2000) < 0.2
    assert 0.4 < _area(chance, combined(chance, {"noise": noise}, alone)) < 0.6
    # Nor may it know a state from its images, which score the same.
    images = np.repeat(alone[:500], 4)
    chance, noise = chance[images], {"noise": noise[images]}
    assert _area(chance, combined(chance, noise, alone)) > 0.8
    assert _area(chance, combined(chance, noise, images)) < 0.6
    assert combined(alone < 3, {"first": first}, alone) is None
    # Ten images of one state are no more to learn from than the state.
    assert combined(alone < 10, {"first": first}, np.maximum(alone, 9)) is None


def _area(wrong: np.ndarray, score: np.ndarray | None) -> float:
    assert score is not None
    found = detection(wrong, score)
    assert found is not None
    return found["auc"]


def test_an_agents_own_positions_are_unfinished_ones_that_can_be_reached() -> None:
    def predict(params: Any, observation: Array) -> tuple[Array, Array]:
        # Always the first free cell, nearly.
        return jnp.broadcast_to(-20.0 * jnp.arange(9.0), (len(observation), 9)), jnp.zeros(len(observation))

    keys = own_positions({}, game=TicTacToe(), predict=predict, num=100)
    # Cells 0 to 6 in turn: the first player has then won by 2, 4 and 6.
    assert len(keys) == 7
    reachable = {key.tobytes() for key in unfinished_keys(solve(TicTacToe()))}
    assert {key.tobytes() for key in keys} <= reachable


def test_agents_of_an_ensemble_may_see_different_planes() -> None:
    stones, threats = (untrained(ConnectFour(3, 4, 3, threats=threats)) for threats in (False, True))
    exact = exact_of_table(solve(stones.game))
    found = coherence_report(stones, exact, max_depth=1, ensemble=[threats], max_states=60)
    assert "policy, disagreement" in {row["measure"] for row in found["detection"]["all"]["measures"]}


def test_the_command_finds_the_mistakes_of_a_young_agent(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: Captured
) -> None:
    run_dir, figures = train_small(tmp_path_factory), tmp_path / "coherence.json"
    command = ["coherence", str(run_dir), "--depth", "2", "--max-positions", "500", "--json", str(figures)]
    assert run([*command, "--ensemble", str(run_dir / "snapshots" / "00000008.npz")]) == 0
    assert "where it disagrees with itself most" in capsys.readouterr().out
    assert (run_dir / "coherence.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(figures.read_text())
    areas = {row["measure"]: row["auc"] for row in found["detection"]["all"]["measures"]}
    assert areas["reflex regret, depth 2"] > areas["reflex regret, depth 1"] > 0.6
    assert "policy, disagreement" in areas
    assert [row["evaluations"] for row in found["depths"]] == [9, 81]
    # The deeper the backup the closer to the truth.
    errors = [found["depths"][0]["value_mae"], *(row["backup_mae"] for row in found["depths"])]
    assert errors == sorted(errors, reverse=True)
    assert len(found["worst"]) == 8
    assert run(["coherence", str(run_dir), "--depth", "7"]) == 2
    assert "max_depth is 7, at which a state of tic_tac_toe has" in capsys.readouterr().err
    assert run(["coherence", str(run_dir), "--ensemble", "connect_four"]) == 2
    assert "connect_four.npz plays connect_four, not tic_tac_toe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("all", "take an agent from before, such as a snapshot"),
        ("stratified", "measure on more (--max-positions), or take an agent from before, such as a snapshot"),
    ],
)
def test_where_the_reflex_makes_no_mistakes_there_is_nothing_to_tell(
    kind: str, remedy: str, capsys: Captured
) -> None:
    depth = dict.fromkeys(
        ("mean_abs_value_residual", "value_mae", "backup_mae", "mean_policy_residual"), 0.5
    ) | {"depth": 1}
    _show(
        {
            "game": "race",
            "positions": {"all": {"count": 9, "kind": f"critical, {kind}"}},
            "depths": [depth],
            "control": {"depths": [depth]},
            "detection": {"all": {"mistakes": 0, "count": 7, "measures": []}},
            "worst": [],
        }
    )
    said = capsys.readouterr().out
    assert "all critical states: 0 mistakes of the reflex in 7\n" in said
    assert f"nothing to tell from the rest; {remedy}\n" in said
    assert "AUC" not in said
