"""A batch divided among devices gives what one device gives; run in a process of its own, which has two."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.devices import (
    can_divide,
    divided,
    everywhere,
    halves,
    over_devices,
    placed,
    team_size,
    use_all_cores,
    using,
)
from exit.network import make_network
from exit.search import Gumbel, SearchConfig, Thinker, advance, search, think, think_more
from games.tic_tac_toe import TicTacToe
from tests.tiny import NET, random_params, random_states, told

BATCH = 16


def searched() -> dict[str, np.ndarray]:
    """One search with mixed budgets."""
    game = TicTacToe()
    found = jax.jit(
        lambda params, states, budget: search(
            params,
            jax.random.key(5),
            states,
            budget,
            game=game,
            predict=make_network(NET, game).predict,
            config=SearchConfig(max_simulations=40, policy=Gumbel()),
        )
    )(random_params(game), random_states(game, BATCH, 5, seed=2), jnp.arange(BATCH) * 5 % 41)
    return {name: np.asarray(value) for name, value in told(found).items()}


THINKING = SearchConfig(policy=Gumbel(gumbel_scale=0.0, anytime=True, side_by_side=True), prove=False)


def thought_about() -> dict[str, np.ndarray]:
    """What one state's search side by side finds: at once, in parts, and after a move."""
    game = TicTacToe()
    thinker = Thinker(random_params(game), game, make_network(NET, game).predict, THINKING)
    whole = think(thinker, game.init(), 400)
    parts = think_more(thinker, think(thinker, game.init(), 90), 310)
    moved = think_more(thinker, advance(thinker, parts, int(parts.result.action)), 100)
    return {
        f"{name} {field}": np.asarray(value)
        for name, thought in {"whole": whole, "parts": parts, "moved": moved}.items()
        for field, value in told(thought.result).items()
    }


def work_of_each_device() -> np.ndarray:
    """Work that each entry's device was given in all."""
    work = jnp.array([9, 1, 1, 1, 9, 1, 1, 1, 5, 5, 3, 3])
    return np.asarray(over_devices(lambda _, mine: jnp.full(mine.shape, mine.sum()), (), work, work=work))


def in_two_devices(statement: str, path: Path, **environment: str) -> Any:
    """What a statement saves to `path` in a process with two devices."""
    code = f"import numpy as np; from tests import test_devices as here; path = {str(path)!r}; {statement}"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": ".", "JAX_NUM_CPU_DEVICES": "2", **environment},
    )
    return np.load(path)


def test_a_divided_search_finds_the_same(tmp_path: Path) -> None:
    alone = searched()
    found = in_two_devices("np.savez(path, **here.searched())", tmp_path / "found.npz")
    for name, value in alone.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)


def test_devices_that_share_the_actions_of_one_state_find_the_same(tmp_path: Path) -> None:
    alone = thought_about()
    found = in_two_devices("np.savez(path, **here.thought_about())", tmp_path / "found.npz")
    for name, value in alone.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        whole = name.replace("parts", "whole")
        np.testing.assert_allclose(found[whole], alone[whole], rtol=1e-4, atol=1e-5, err_msg=whole)
    assert alone["moved num_simulations"] > 100


def test_work_is_dealt_out_evenly(tmp_path: Path) -> None:
    found = in_two_devices("np.save(path, here.work_of_each_device())", tmp_path / "work.npy")
    assert sorted(set(found.tolist())) == [20]
    assert set(work_of_each_device().tolist()) == {40}


def test_on_one_device_nothing_is_moved() -> None:
    tree = {"a": jnp.arange(8)}
    assert everywhere(tree) is tree
    assert divided(tree) is tree


@pytest.mark.parametrize(
    "variable", [{"JAX_NUM_CPU_DEVICES": "2"}, {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}]
)
def test_what_the_user_has_set_stands(monkeypatch: pytest.MonkeyPatch, variable: dict[str, str]) -> None:
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    use_all_cores()
    assert dict(os.environ) == before


@pytest.mark.parametrize(("count", "expected"), [(1, None), (2, ([0], [1])), (4, ([0, 1], [2, 3]))])
def test_devices_fall_into_two_halves(count: int, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "local_devices", lambda: list(range(count)))
    monkeypatch.setattr("exit.devices.on_cpu", lambda: False)
    assert halves() == expected


def test_halves_of_a_cpu_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = jax.local_devices()
    monkeypatch.setattr(jax, "local_devices", lambda: ours[:1] * 4)
    monkeypatch.setattr("exit.devices.on_cpu", lambda: True)
    monkeypatch.setenv("PJRT_NPROC", "7")
    found = halves()
    assert found is not None
    assert found == halves()
    assert os.environ["PJRT_NPROC"] == "7"
    clients = [{device.client for device in half} for half in found]
    assert list(map(len, found)) == [2, 2]
    assert len(set.union(*clients, {ours[0].client})) == 3
    for half in found:
        with using(half):
            assert team_size() == 2
            assert placed(jnp.arange(8)).devices() == set(half)
            assert jnp.arange(8).sum().devices() == {half[0]}


def test_devices_in_use_are_all_there_are_until_they_are_used_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (device, *_) = jax.local_devices()
    monkeypatch.setattr(jax, "local_devices", lambda: [device, device])
    assert (team_size(), can_divide(8)) == (2, True)
    with contextlib.suppress(RuntimeError), using([device]):
        assert (team_size(), can_divide(8)) == (1, False)
        assert placed(jnp.zeros(8)).devices() == {device}
        raise RuntimeError("on the way")
    with using(None):
        assert (team_size(), can_divide(8)) == (2, True)
