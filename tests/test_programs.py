"""Programs that outlive the process: found again, but never where what they were made from has changed."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.iteration import RunConfig
from exit.jitting import jitted, named
from exit.learner import LearnerConfig
from exit.network import ConvConfig, GRUConfig, MLPConfig, NetworkConfig, make_network
from exit.programs import description, remembered
from games.connect_four import ConnectFour
from games.nim import Nim

_HELPER = "FACTOR = {factor}\n"
_SCRIPT = """
import sys
import jax
import jax.numpy as jnp
import numpy as np
from exit import caches
from exit.devices import use_cores
from exit.programs import kept

import helper

use_cores(2)
caches.keep_compiled_programs()
traced = []


@kept(static=("power",), donate=("total",))
def weighed(total, values, *, power):
    traced.append(power)
    return total + helper.FACTOR * jnp.sum(values["a"] ** power)


def run(size, power):
    print(float(weighed(jnp.float32(1.0), {"a": np.arange(size, dtype=np.float32)}, power=power)))


run(3, 2)
run(3, 2)
run(4, 2)
run(3, 3)
print(float(jax.jit(lambda x: weighed(x, {"a": x[None]}, power=2))(jnp.float32(2.0))))
print(len(traced))
"""


def _run(folder: Path, factor: int = 10, before: str = "") -> tuple[list[float], int]:
    """What a new process computes, and how often it traced."""
    (folder / "helper.py").write_text(_HELPER.format(factor=factor), encoding="utf-8")
    (folder / "script.py").write_text(before + _SCRIPT, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, folder / "script.py"],
        env=environment | {"XIT_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    *values, traced = done.stdout.split()
    return [float(value) for value in values], int(traced)


def _programs(folder: Path) -> list[Path]:
    return sorted((folder / "cache").rglob("*.program"))


def test_a_program_is_traced_once_and_anew_where_code_has_changed_or_it_is_damaged(
    tmp_path: Path,
) -> None:
    right = [51.0, 51.0, 141.0, 91.0, 42.0]
    assert _run(tmp_path) == (right, 4)
    assert len(_programs(tmp_path)) == 3
    values, traced = _run(tmp_path)
    assert values == right
    # Within another program it is a part of that; XLA refuses some of its own programs on some processors.
    assert traced in (1, 4)
    assert _run(tmp_path, factor=100)[0] == [501.0, 501.0, 1401.0, 901.0, 402.0]
    assert len(_programs(tmp_path)) == 6
    for path in _programs(tmp_path):
        path.write_bytes(path.read_bytes()[:-20])
    assert _run(tmp_path) == (right, 4)
    assert len(_programs(tmp_path)) == 6


def test_nothing_is_kept_of_code_that_was_edited_while_it_ran(tmp_path: Path) -> None:
    edited = "import os, helper; os.utime(helper.__file__, (2e9, 2e9))\n"
    assert _run(tmp_path, before=edited)[1] == 4
    assert _programs(tmp_path) == []


def test_what_cannot_be_written_still_runs(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    assert _run(tmp_path) == ([51.0, 51.0, 141.0, 91.0, 42.0], 4)


def test_descriptions_tell_apart_what_programs_are_made_for() -> None:
    def function() -> None:
        pass

    values: list[Any] = [
        *(None, 1, 1.0, "1", True, (1, 2), ((1,), 2)),
        *(np.arange(3), np.arange(3.0), np.zeros((1, 3))),
        *(ConnectFour(), ConnectFour(4, 4), Nim((3, 4)), MLPConfig(width=32)),
        make_network(MLPConfig(width=32), ConnectFour(4, 4)).predict,
        make_network(MLPConfig(width=64), ConnectFour(4, 4)).predict,
        make_network(MLPConfig(width=32), ConnectFour()).predict,
        named(function, 3),
    ]
    found = [description(value) for value in values]
    assert None not in found
    assert len(set(found)) == len(found)
    assert description(ConnectFour()) == description(ConnectFour())


@pytest.mark.parametrize(
    "value",
    [
        lambda: 3,
        object(),
        (1, object()),
        make_dataclass("Unknown", [("size", int)], namespace={"__module__": "nowhere"})(3),
    ],
    ids=["function", "object", "within", "of a notebook"],
)
def test_what_has_no_words_of_its_own_is_not_kept(value: Any) -> None:
    assert description(value) is None


def test_a_value_is_computed_once_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exit.caches._folder", tmp_path)
    # Who edits a file while the tests run is no fault of this one.
    monkeypatch.setattr("exit.programs._BEGUN_NS", time.time_ns() + 10**18)
    computed: list[int] = []

    def compute() -> list[int]:
        computed.append(1)
        return [len(computed)]

    assert [remembered("number", compute, 3), remembered("number", compute, 3)] == [[1], [1]]
    assert remembered("number", compute, 4) == [2]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert remembered("number", compute, 3) == [3]
    monkeypatch.setattr("exit.caches._folder", None)
    assert remembered("number", compute, 3) == [4]


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("kind", [MLPConfig, ConvConfig, GRUConfig])
def test_networks_that_compute_in_bfloat16_get_routines_for_it(
    kind: type[NetworkConfig], bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, game = kind(bfloat16=bfloat16), ConnectFour(4, 4)
    network = make_network(config, game)
    run = RunConfig(game=game, network=config)
    options = jitted()(lambda: 0).options
    for value in (config, run, network, network.predict, (1, network.predict)):
        monkeypatch.setattr("exit.jitting.has_instructions", lambda: True)
        assert bool(options({"game": game, "value": value})) == bfloat16
        # Where devices wait for each other, threads that these routines need may be taken.
        monkeypatch.setattr("exit.jitting.team_size", lambda: 2)
        assert options({"game": game, "value": value}) == {}
        monkeypatch.undo()
        monkeypatch.setattr("exit.jitting.has_instructions", lambda: False)
        assert options({"game": game, "value": value}) == {}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_muon_gets_routines_for_its_products(
    optimizer: Literal["adamw", "muon"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exit.jitting.has_instructions", lambda: True)
    config = LearnerConfig(optimizer=optimizer)
    assert bool(jitted()(lambda: 0).options({"config": config})) == (optimizer == "muon")


def test_settings_may_hold_what_cannot_be_hashed() -> None:
    """As they may for `jax.jit`, which hashes them as a whole."""

    @dataclass(frozen=True)
    class Table:
        name: str
        entries: np.ndarray = field(compare=False)

    @jitted(static=("table",))
    def looked_up(index: jax.Array, *, table: Table) -> jax.Array:
        return jnp.asarray(table.entries)[index]

    assert int(looked_up(jnp.int32(1), table=Table("squares", np.array([0, 1, 4]) + 5))) == 6
