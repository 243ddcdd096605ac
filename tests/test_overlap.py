"""Playing and learning at once: new games are learnt from an iteration later, on one device or on two."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.iteration import RunConfig, RunState, init_run, iterate
from exit.leaves import flatten
from exit.network import MLPConfig, make_network
from exit.reanalysis import ReanalysisConfig
from tests.tiny import assert_same_bits, saved_state, tiny_config, train_tiny

CONFIG = tiny_config(
    overlap=True,
    self_play=replace(tiny_config().self_play, num_games=8),
    network=MLPConfig(width=8, num_blocks=1, bfloat16=True, images=2),
)


def state_after(num: int, config: RunConfig = CONFIG) -> RunState:
    state = init_run(config)
    for _ in range(num):
        state, _, _ = iterate(state, config=config)
    return state


def _copy(state: RunState) -> RunState:
    return jax.tree.map(jnp.copy, state)


def test_an_iteration_learns_from_what_was_played_before_it() -> None:
    """Other games played in an iteration change what is learnt in the next one, not in this one."""
    state = state_after(1)
    others = _copy(state)._replace(games=_copy(init_run(replace(CONFIG, seed=7))).games)
    others, state = (iterate(each, config=CONFIG)[0] for each in (others, state))
    assert_same_bits(jax.device_get(others.learner), jax.device_get(state.learner))
    assert not np.array_equal(others.replay.examples.value, state.replay.examples.value)
    assert int(state.replay.window) == 2 * CONFIG.self_play.num_examples
    others, state = (iterate(each, config=CONFIG)[0] for each in (others, state))
    first, second = (jax.tree.leaves(each.learner.params)[0] for each in (others, state))
    assert not np.array_equal(first, second)


def test_the_first_iteration_learns_from_its_own_games() -> None:
    alone = replace(CONFIG, overlap=False)
    assert_same_bits(jax.device_get(state_after(1)), jax.device_get(state_after(1, alone)))


def test_a_run_in_parts_ends_bit_for_bit_where_it_ends_in_one(tmp_path: Path) -> None:
    reports = train_tiny(tmp_path / "whole", CONFIG)
    assert [report["replay_size"] for report in reports] == [32, 64, 64, 64]
    train_tiny(tmp_path / "parts", CONFIG, stop_iteration=2)
    train_tiny(tmp_path / "parts", CONFIG)
    assert_same_bits(saved_state(tmp_path / "parts", 4, CONFIG), saved_state(tmp_path / "whole", 4, CONFIG))


def test_what_is_searched_again_is_learnt_from_an_iteration_later() -> None:
    """Searches for longer change what the next iteration learns, not this one."""
    shorter, longer = (
        replace(CONFIG, reanalysis=ReanalysisConfig(32, priority="uniform", budget=budget))
        for budget in (1, CONFIG.search.max_simulations)
    )
    states = [iterate(state_after(1, shorter), config=config)[0] for config in (shorter, longer)]
    assert_same_bits(*(jax.device_get(state.learner) for state in states))
    one, other = (np.asarray(state.replay.examples.value) for state in states)
    assert not np.array_equal(one, other)
    states = [iterate(state, config=shorter)[0] for state in states]
    first, second = (jax.tree.leaves(state.learner.params)[0] for state in states)
    assert not np.array_equal(first, second)


def test_what_is_searched_again_has_the_regret_of_the_network_after_the_updates() -> None:
    """The second iteration searches all that the first has played again."""
    config = replace(CONFIG, reanalysis=ReanalysisConfig(32))
    state = state_after(2, config)
    first = jax.tree.map(lambda leaf: leaf[:32], state.replay.examples)
    network = make_network(config.network, config.game)
    logits, _ = network.predict(state.learner.params, jax.vmap(config.game.observe)(first.state))
    legal = jax.vmap(config.game.legal_actions)(first.state)
    policy = jax.nn.softmax(jnp.where(legal, logits, -jnp.inf))
    expected = jnp.sum(policy * first.regrets, axis=1)
    assert float(jnp.max(expected)) > 0.01
    np.testing.assert_allclose(first.regret, expected, atol=1e-4)


@pytest.mark.slow
def test_on_two_devices_one_plays_and_one_learns_the_same(tmp_path: Path) -> None:
    code = (
        "import jax, numpy as np; from exit.devices import halves; from exit.leaves import flatten;"
        "from tests import test_overlap as here;"
        "state, (playing, learning) = here.state_after(3), map(set, halves());"
        "places = {name: {d for leaf in jax.tree.leaves(getattr(state, name)) for d in leaf.devices()}"
        " for name in ('games', 'learner', 'replay')};"
        "assert places == {'games': playing, 'learner': learning, 'replay': learning}, places;"
        f"np.savez({str(tmp_path / 'two.npz')!r}, **flatten(jax.device_get(state.learner)))"
    )
    environment = {**os.environ, "PYTHONPATH": ".", "JAX_NUM_CPU_DEVICES": "2"}
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], env=environment, check=True)
    alone = flatten(jax.device_get(state_after(3).learner))
    with np.load(tmp_path / "two.npz") as two:
        assert alone.keys() == set(two)
        for name, leaf in alone.items():
            np.testing.assert_allclose(leaf, two[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_run_on_two_devices_is_measured_and_continued(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.tiny import train_tiny;"
        "from tests.test_overlap import CONFIG;"
        "from dataclasses import replace; from exit.evaluate import EvaluationConfig;"
        "config = replace(CONFIG, evaluation=EvaluationConfig(budget=2, num_positions=16));"
        "reports = train_tiny(Path(sys.argv[1]), config, stop_iteration=int(sys.argv[2]) or None);"
        "assert all(0 <= report['search_mistake_rate'] <= 1 for report in reports)"
    )
    environment = {**os.environ, "PYTHONPATH": ".", "JAX_NUM_CPU_DEVICES": "2"}
    for folder, stop in (("parts", "2"), ("parts", "0"), ("whole", "0")):
        command = [sys.executable, "-c", code, str(tmp_path / folder), stop]
        subprocess.run(command, cwd=Path(__file__).parents[1], env=environment, check=True)
    assert_same_bits(saved_state(tmp_path / "parts", 4, CONFIG), saved_state(tmp_path / "whole", 4, CONFIG))
