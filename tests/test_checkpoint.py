"""Checkpoints: what is written comes back bit for bit, and damage and full disks are got over."""

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.checkpoint import CheckpointError, restore, restore_latest, save, steps
from tests.tiny import assert_same_bits

# Orbax gives its event loop up where a read fails, and its threads complain.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")


class Part(NamedTuple):
    """Something with names, as the states of a run are."""

    weights: Any
    counter: Any


def _trees(number: int) -> dict[str, Any]:
    """Named trees with leaves of every type a run has, told apart by a number."""
    rng = np.random.default_rng(number)
    return {
        "acting": {"layers": [rng.normal(size=(3, 4)).astype(np.float32), np.float32(number)]},
        "run": Part(
            weights={
                "half": jnp.asarray(rng.normal(size=5), jnp.bfloat16),
                "flags": rng.random(7) < 0.5,
                "bits": rng.integers(0, 2**32, 6, dtype=np.uint32),
                "odd": np.array([np.nan, -0.0, np.inf, -np.inf, 1e-45], np.float32),
            },
            counter=(jnp.int32(number), jnp.zeros((), bool), rng.integers(-9, 9, (2, 1, 3), dtype=np.int32)),
        ),
    }


def _templates() -> dict[str, Any]:
    return jax.eval_shape(lambda: jax.tree.map(jnp.asarray, _trees(0)))


def _written(run_dir: Path, *iterations: int, keep: int = 3) -> Path:
    for iteration in iterations:
        save(run_dir, iteration, _trees(iteration), keep=keep)
    return run_dir


def _latest(run_dir: Path) -> tuple[Any, list[str]]:
    """What is restored, and the warnings."""
    warnings: list[str] = []
    return restore_latest(run_dir, _templates(), warn_fn=warnings.append, set_aside=True), warnings


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with checkpoints 1, 2 and 3, to be copied."""
    return _written(tmp_path_factory.mktemp("three"), 1, 2, 3)


@pytest.fixture
def run_dir(three: Path, tmp_path: Path) -> Path:
    return shutil.copytree(three, tmp_path / "run")


def test_what_was_saved_comes_back_bit_for_bit(three: Path) -> None:
    for iteration in (1, 2, 3):
        found = restore(three, iteration, _templates())
        assert_same_bits(
            found, {name: jax.tree.map(np.asarray, tree) for name, tree in _trees(iteration).items()}
        )


def test_one_of_the_trees_may_be_restored_alone(three: Path) -> None:
    found = restore(three, 3, {"acting": _templates()["acting"]})
    assert list(found) == ["acting"]
    assert_same_bits(found["acting"], _trees(3)["acting"])


def test_the_newest_is_used_and_nothing_is_said(three: Path) -> None:
    found, warnings = _latest(three)
    assert found[0] == 3
    assert warnings == []


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert _latest(tmp_path / "nowhere") == (None, [])
    assert steps(tmp_path / "nowhere") == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("keep", [1, 2])
def test_the_last_ones_are_kept(tmp_path: Path, keep: int) -> None:
    _written(tmp_path, 2, 4, 6, keep=keep)
    assert steps(tmp_path) == [2, 4, 6][-keep:]
    assert _latest(tmp_path)[0][0] == 6


def _files(run_dir: Path, iteration: int) -> list[Path]:
    return sorted(path for path in (run_dir / "checkpoints" / str(iteration)).rglob("*") if path.is_file())


def _flip(path: Path) -> None:
    """Change bytes all over a file."""
    content = bytearray(path.read_bytes())
    for index in range(len(content) // 7, len(content), max(1, len(content) // 5)):
        content[index] ^= 0x5A
    path.write_bytes(content)


def _flip_last(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm_fn", [_flip, _flip_last, _truncate, _empty, Path.unlink])
def test_damage_to_any_file_is_noticed_or_does_no_harm(
    run_dir: Path, harm_fn: Callable[[Path], None]
) -> None:
    """Every file of the newest checkpoint is damaged in turn."""
    folder = run_dir / "checkpoints" / "3"
    whole = shutil.copytree(folder, run_dir / "whole")
    names = [path.relative_to(folder) for path in _files(run_dir, 3)]
    assert len(names) > 3
    noticed = 0
    for name in names:
        harm_fn(folder / name)
        found, warnings = _latest(run_dir)
        iteration, trees = found
        assert_same_bits(trees["run"], jax.tree.map(np.asarray, _trees(iteration)["run"]))
        assert_same_bits(trees["acting"], _trees(iteration)["acting"])
        assert len(warnings) == (iteration == 2)
        noticed += iteration == 2
        for aside in run_dir.glob("checkpoints/*damaged*"):
            shutil.rmtree(aside)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
    assert noticed > 1


def _damage(run_dir: Path, iteration: int) -> None:
    for path in _files(run_dir, iteration):
        _flip(path)


def test_a_damaged_checkpoint_is_reported_and_set_aside(
    run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _damage(run_dir, 3)
    found, (warning,) = _latest(run_dir)
    assert found[0] == 2
    assert str(run_dir / "checkpoints" / "3") in warning
    assert "damaged" in warning
    assert "\n" not in warning
    assert caplog.records == []
    assert steps(run_dir) == [1, 2]
    (aside,) = run_dir.glob("checkpoints/3.damaged*")
    assert aside.name in warning
    again, warnings = _latest(run_dir)
    assert (again[0], warnings) == (2, [])


def test_a_run_goes_on_beside_what_was_set_aside(run_dir: Path) -> None:
    for _ in range(2):
        _damage(run_dir, 3)
        assert _latest(run_dir)[0][0] == 2
        save(run_dir, 3, _trees(3), keep=3)
        assert _latest(run_dir)[0][0] == 3
    assert len(list(run_dir.glob("checkpoints/3.damaged*"))) == 2
    _written(run_dir, 4, keep=2)
    assert steps(run_dir) == [3, 4]


def test_two_damaged_checkpoints_are_passed_over(run_dir: Path) -> None:
    _damage(run_dir, 2)
    _damage(run_dir, 3)
    found, warnings = _latest(run_dir)
    assert found[0] == 1
    assert len(warnings) == 2


def test_where_all_are_damaged_nothing_is_thrown_away_and_no_run_starts_anew(run_dir: Path) -> None:
    for iteration in (1, 2, 3):
        _damage(run_dir, iteration)
    for _ in range(2):
        with pytest.raises(
            CheckpointError, match=rf"no checkpoint in {run_dir}.*can be read.*damaged"
        ) as caught:
            _latest(run_dir)
        # What the storage layer says of it helps nobody.
        assert "zarr" not in str(caught.value)


def test_a_damaged_checkpoint_that_cannot_be_set_aside_is_passed_over(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    _damage(run_dir, 3)
    monkeypatch.setattr(Path, "rename", refuse)
    found, (warning,) = _latest(run_dir)
    assert found[0] == 2
    assert "damaged" in warning


def test_the_one_that_was_asked_for_is_not_replaced_by_another(run_dir: Path) -> None:
    _damage(run_dir, 2)
    with pytest.raises(CheckpointError, match="checkpoints/2 is damaged"):
        restore(run_dir, 2, _templates())
    with pytest.raises(CheckpointError, match="checkpoints/9"):
        restore(run_dir, 9, _templates())
    assert steps(run_dir) == [1, 2, 3]


@pytest.mark.parametrize(
    "change_fn",
    [
        lambda trees: {**trees, "more": np.zeros(2, np.float32)},
        lambda trees: {"run": {**trees["run"].weights, "other": np.zeros(2, np.float32)}},
        lambda trees: {"run": trees["run"]._replace(counter=())},
        lambda trees: {"acting": {"layers": [np.zeros((4, 3), np.float32), np.float32(0)]}},
        lambda trees: {"acting": {"layers": [np.zeros((3, 4), np.int32), np.float32(0)]}},
    ],
    ids=["another tree", "another leaf", "fewer leaves", "another shape", "another type"],
)
def test_a_checkpoint_of_another_structure_is_refused(three: Path, change_fn: Callable[[Any], Any]) -> None:
    with pytest.raises(CheckpointError, match="checkpoints/3"):
        restore(three, 3, change_fn(_trees(3)))
    assert steps(three) == [1, 2, 3]


@contextmanager
def _no_file_over(size: int) -> Iterator[None]:
    """Files stop growing at this size, as on a full disk: the kernel refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_one_checkpoint_and_says_what_to_do(
    run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    large = {"run": np.random.default_rng(0).normal(size=1 << 18)}
    with _no_file_over(1 << 16), pytest.raises(CheckpointError) as caught:
        save(run_dir, 4, large, keep=3)
    message = str(caught.value)
    assert "\n" not in message
    assert caplog.records == []
    for part in ("iteration 4", str(run_dir), "File too large", "one is of iteration 3", "free space"):
        assert part in message
    assert steps(run_dir) == [1, 2, 3]
    found, warnings = _latest(run_dir)
    assert (found[0], warnings) == (3, [])
    _written(run_dir, 4, keep=2)
    assert steps(run_dir) == [3, 4]
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} == {"3", "4"}


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"iteration 1 in .*file.*there is none yet"):
        save(tmp_path / "file", 1, _trees(1), keep=1)
    assert (tmp_path / "file").read_text() == "in the way"
