"""A learner divided among devices, of one process or of several, learns what one device learns."""

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit import replay as ring
from exit.learner import LearnerConfig, init_learner, learn
from exit.leaves import flatten
from exit.network import make_network
from games.tic_tac_toe import TicTacToe
from tests.tiny import NET, random_params, random_states, row, targets_of

pytestmark = pytest.mark.slow

GAME = TicTacToe()
CONFIG = LearnerConfig(batch_size=64, num_updates=3, learning_rate=1e-2, focus=0.5)


def learned() -> dict[str, np.ndarray]:
    """The learner's state and figures after three updates from made-up examples."""
    states = random_states(GAME, 32, 6, seed=0)
    legal = np.asarray(jax.vmap(GAME.legal_actions)(states))
    values = np.random.default_rng(1).uniform(-1, 1, 32)
    regrets = jnp.asarray(values[:, None] ** 2 * legal, jnp.float32)
    examples = targets_of(states, legal / legal.sum(1, keepdims=True), values, regrets=regrets)
    examples = examples._replace(regret=regrets.mean(axis=1))
    replay = ring.add(ring.init(row(examples, 0), 32), examples)
    network = make_network(NET, GAME)
    start = functools.partial(init_learner, network=network, config=CONFIG, total_updates=30)
    state = jax.jit(start)(jax.random.key(0))._replace(params=random_params(GAME))
    # As NumPy arrays: processes that work together take what each has as the same for all.
    state, replay = jax.tree.map(np.asarray, (state, replay))
    state, replay, metrics = learn(
        state, jax.random.key(2), replay, game=GAME, network=network, config=CONFIG, total_updates=30
    )
    return flatten({"state": state, "metrics": metrics, "regret": replay.examples.regret})


def _process(statement: str, path: Path, **environment: str) -> subprocess.Popen[bytes]:
    imports = "import numpy as np; from tests import test_learner_devices as here"
    code = f"{imports}; path = {str(path)!r}; {statement}"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": ".", **environment},
        stderr=subprocess.PIPE,
    )


def _finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()


def _assert_alike(path: Path) -> None:
    found = np.load(path)
    for name, leaf in learned_alone().items():
        np.testing.assert_allclose(found[name], leaf, atol=2e-5, err_msg=name)


@functools.cache
def learned_alone() -> dict[str, np.ndarray]:
    assert len(jax.devices()) == 1
    return learned()


SAVE = "np.savez(path, **here.learned())"


def test_eight_devices_of_one_process_learn_what_one_learns(tmp_path: Path) -> None:
    path = tmp_path / "found.npz"
    _finish(_process(f"here.jax.devices()[7]; {SAVE}", path, JAX_NUM_CPU_DEVICES="8"))
    _assert_alike(path)


def test_two_processes_together_learn_what_one_learns(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    paths = [tmp_path / f"found_{index}.npz" for index in range(2)]
    processes = [
        _process(
            f"here.jax.distributed.initialize({address!r}, 2, {index}); "
            f"assert len(here.jax.devices()) == 4; {SAVE}",
            path,
            JAX_NUM_CPU_DEVICES="2",
        )
        for index, path in enumerate(paths)
    ]
    for process in processes:
        _finish(process)
    for path in paths:
        _assert_alike(path)
