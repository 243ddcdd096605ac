"""Agents as one file: written from a run, read in its place, and every way that a file can be wrong."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.agent import Agent
from exit.catalog import trained_agent, trained_names
from exit.checkpoint import restore, steps
from exit.cli import run
from exit.errors import UsageError, UserError
from exit.loop import acting_template, train
from exit.network import MLPConfig, make_network, mirrors_of
from games.tic_tac_toe import TicTacToe
from tests.tiny import assert_same_bits, tiny_config

CONFIG_FILE = """
from tests.tiny import tiny_config


def config():
    return tiny_config()
"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; its config file lies beside it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.py").write_text(CONFIG_FILE)
    train(tiny_config(), folder / "run", config_name=str(folder / "tiny.py"))
    return folder / "run"


@pytest.fixture
def file(run_dir: Path, tmp_path: Path) -> Path:
    return Agent.load(run_dir).save(tmp_path / "agent.npz")


def test_a_file_is_the_agent_to_the_last_bit(run_dir: Path, file: Path) -> None:
    trained, loaded = Agent.load(run_dir), Agent.load(file, max_simulations=3)
    assert_same_bits(trained.params, loaded.params)
    assert (loaded.game, loaded.step, loaded.source) == (TicTacToe(), 4, file)
    assert loaded.search.max_simulations == 3
    state = TicTacToe().init()
    expected, found = (jax.device_get(each.act(state, budget=3)) for each in (trained, loaded))
    np.testing.assert_array_equal(found.action_weights, expected.action_weights)
    again = loaded.save(file.with_name("again.npz"))
    assert_same_bits(Agent.load(again).params, trained.params)


def test_commands_take_a_file(file: Path, run_dir: Path, tmp_path: Path) -> None:
    copy, positions, answers = tmp_path / "copy.npz", tmp_path / "positions", tmp_path / "answers"
    assert run(["export", str(run_dir), str(copy), "--step", "3"]) == 0
    assert Agent.load(copy).step == 3
    positions.write_text('{"moves": [4]}\n')
    assert run(["act", str(file), "--budget", "2", "--positions", str(positions), "--out", str(answers)]) == 0
    assert json.loads(answers.read_text())["simulations"] == 2


def test_a_rounded_file_is_about_half_as_large_and_plays_nearly_alike(
    run_dir: Path, file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "rounded.npz"
    assert run(["export", str(run_dir), str(copy), "--bfloat16"]) == 0
    with np.load(file) as whole, np.load(copy) as rounded:
        large = max(whole, key=lambda name: whole[name].size if name != "description" else 0)
        assert rounded[large].dtype == np.float32
        # bfloat16 keeps the sign, the exponent and seven bits of the fraction.
        assert (rounded[large].view(np.uint32) & 0xFFFF == 0).all()
        np.testing.assert_allclose(rounded[large], whole[large], rtol=2.0**-8)
    sizes = [zipfile.ZipFile(each).getinfo(f"{large}.npy").compress_size for each in (copy, file)]
    assert sizes[0] < 0.65 * sizes[1]
    states = jax.tree.map(lambda leaf: np.asarray(leaf)[None], TicTacToe().init())
    found, expected = (Agent.load(each).act(states, budget=0) for each in (copy, file))
    np.testing.assert_allclose(found.action_weights, expected.action_weights, atol=0.02)


def test_a_name_is_the_agent_that_comes_with_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exit.stored.trained_agent", {"champion": file}.get)
    monkeypatch.chdir(tmp_path)
    assert Agent.load("champion").source == file
    # What a user has made comes first.
    (tmp_path / "champion").mkdir()
    with pytest.raises(UsageError, match="champion holds no run"):
        Agent.load("champion")


def test_a_word_that_names_no_agent_is_answered_with_those_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no run in conect_four, .*did you mean 'connect_four'"):
        Agent.load("conect_four")
    (tmp_path / "runs" / "nim_3_4_5").mkdir(parents=True)
    (tmp_path / "runs" / "nim_3_4_5" / "config.json").touch()
    with pytest.raises(UsageError, match=r"no run in nim_3_4_5, .*; did you mean runs/nim_3_4_5\?$"):
        Agent.load("nim_3_4_5")


def test_agents_that_come_with_the_product_can_be_loaded() -> None:
    names = trained_names()
    assert "connect_four" in names
    for name in names:
        agent = Agent.load(name)
        assert agent.source == trained_agent(name)
        assert agent.game.name.startswith(name)


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    flipped = bytes(byte ^ 255 for byte in content[middle : middle + 64])
    return content[:middle] + flipped + content[middle + 64 :]


def _flip_inside(content: bytes) -> bytes:
    """The compressed bytes of one array changed, the archive's directory whole."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda info: info.compress_size)
    start = largest.header_offset + 30 + len(largest.filename) + 40
    return content[:start] + bytes(byte ^ 255 for byte in content[start : start + 40]) + content[start + 40 :]


@pytest.mark.parametrize(
    "damage",
    [_cut, _flip, _flip_inside, lambda content: b"", lambda content: b"hello"],
    ids=["cut", "flip", "flip inside", "empty", "text"],
)
def test_a_damaged_file_is_refused(file: Path, damage: Callable[[bytes], bytes]) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UsageError, match=r"agent\.npz is damaged or holds no agent"):
        Agent.load(file)


def _changed(file: Path, change_fn: Callable[[dict[str, np.ndarray], dict], None]) -> None:
    with np.load(file) as content:
        arrays = dict(content)
    description = json.loads(arrays["description"].tobytes())
    change_fn(arrays, description)
    arrays["description"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    np.savez(file, **arrays)  # type: ignore[arg-type]


def test_another_value_than_was_written_is_refused(file: Path) -> None:
    def change(arrays: dict[str, np.ndarray], description: dict) -> None:
        name = next(name for name in arrays if name != "description")
        arrays[name] = arrays[name] + 1

    _changed(file, change)
    with pytest.raises(UsageError, match="is damaged"):
        Agent.load(file)


def test_a_file_of_another_version_is_refused(file: Path) -> None:
    _changed(file, lambda arrays, description: description.update(format=99))
    with pytest.raises(UsageError, match="layout 99, this one reads 1"):
        Agent.load(file)


def test_a_file_whose_config_was_changed_since_is_refused(run_dir: Path, file: Path) -> None:
    config_file = run_dir.parent / "tiny.py"
    config_file.write_text(CONFIG_FILE.replace("tiny_config()\n", "tiny_config(network=NET)\n", 2))
    config_file.write_text(config_file.read_text().replace("import tiny_config", "import NET, tiny_config"))
    try:
        with pytest.raises(UsageError, match=r"network\."):
            Agent.load(file)
    finally:
        config_file.write_text(CONFIG_FILE)


def test_what_cannot_be_asked_of_a_file(file: Path, run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave `step` out"):
        Agent.load(file, step=2)
    with pytest.raises(UsageError, match=r"must end in \.npz"):
        Agent.load(file).save(tmp_path / "agent.zip")
    with pytest.raises(UsageError, match=r"there is no file .*nothing\.npz"):
        Agent.load(tmp_path / "nothing.npz")
    (tmp_path / "plain").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        Agent.load(file).save(tmp_path / "plain" / "agent.npz")


def test_a_run_starts_from_a_file(file: Path, tmp_path: Path) -> None:
    """With updates too small to matter it stays where it began."""
    slow = dataclasses.replace(tiny_config().learner, learning_rate=1e-20)
    config = tiny_config(start_from=str(file), learner=slow, num_iterations=1)
    train(config, tmp_path / "run", config_name="tic_tac_toe")
    params = restore(tmp_path / "run", 1, {"acting": acting_template(config)})["acting"]
    for found, expected in zip(
        jax.tree.leaves(params), jax.tree.leaves(Agent.load(file).params), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_run_that_knows_mirror_images_starts_from_a_perceptron_that_does_not(
    file: Path, tmp_path: Path
) -> None:
    slow = dataclasses.replace(tiny_config().learner, learning_rate=1e-20)
    plain = tiny_config().network
    assert isinstance(plain, MLPConfig)
    wide = dataclasses.replace(plain, width=2 * plain.width, images=2)
    config = tiny_config(start_from=str(file), network=wide, learner=slow, num_iterations=1)
    train(config, tmp_path / "run", config_name="tic_tac_toe")
    found = restore(tmp_path / "run", 1, {"acting": acting_template(config)})["acting"]
    params = jax.tree.map(jnp.asarray, found)
    # The empty board is its own mirror image.
    game = config.game
    empty = game.observe(game.init())[None]
    logits, value = make_network(wide, game).predict(params, empty)
    plain_logits, plain_value = make_network(plain, game).predict(Agent.load(file).params, empty)
    np.testing.assert_allclose(value, plain_value, atol=1e-5)
    np.testing.assert_allclose(
        logits, (plain_logits + plain_logits[:, mirrors_of(game, 2).actions[1]]) / 2, atol=1e-5
    )
    assert np.ptp(np.asarray(logits)) > 0


def test_a_run_that_goes_on_needs_its_start_no_more(file: Path, tmp_path: Path) -> None:
    config = tiny_config(start_from=str(file), num_iterations=2)
    train(config, tmp_path / "run", config_name="tic_tac_toe", stop_iteration=1)
    file.unlink()
    train(config, tmp_path / "run", config_name="tic_tac_toe")
    assert steps(tmp_path / "run") == [1, 2]


def test_a_run_cannot_start_from_another_network(file: Path, tmp_path: Path) -> None:
    wide = dataclasses.replace(tiny_config().network, width=16)
    message = (
        r"agent\.npz holds the parameters of another network or game than .* \(its network\.width 8, not 16\)"
    )
    with pytest.raises(UsageError, match=message):
        train(tiny_config(start_from=str(file), network=wide), tmp_path / "run", config_name="tic_tac_toe")
    with pytest.raises(
        UsageError, match=r"is a directory; `xit export .*FILE\.npz` makes a file to start from"
    ):
        train(tiny_config(start_from=str(tmp_path)), tmp_path / "run", config_name="tic_tac_toe")
    with pytest.raises(UsageError, match=r"there is no file nobody\.npz"):
        train(tiny_config(start_from="nobody.npz"), tmp_path / "other", config_name="tic_tac_toe")
    with pytest.raises(UsageError, match=r"there is no agent othelo_4; did you mean 'othello_4'"):
        train(tiny_config(start_from="othelo_4"), tmp_path / "other", config_name="tic_tac_toe")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "other").exists()
