"""Why a reflex errs: mistakes sorted by what the replay holds of their positions."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.causes import measure, replay_of
from exit.agent import Agent
from exit.catalog import load_config, with_overrides
from exit.errors import UsageError
from exit.evaluate import critical_sample, decide, mistakes
from exit.fingerprint import classes
from exit.loop import train
from exit.solve import exact_of

SETTINGS = ("num_iterations=3", "self_play.num_games=32")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("causes") / "run"
    config = with_overrides(load_config("tic_tac_toe"), SETTINGS)
    train(config, run_dir, config_name="tic_tac_toe", overrides=SETTINGS)
    return run_dir


def test_every_critical_position_and_every_mistake_is_counted_once(run_dir: Path):
    agent = Agent.load(run_dir)
    exact = exact_of(agent.game)
    states, moves = critical_sample(exact, 10_000)
    wrong = mistakes(decide(agent.act, states, 0), moves)
    rows = measure(agent, exact, replay_of(run_dir, agent.config), 10_000)
    assert sum(row["positions"] for row in rows) == len(wrong) == 3191
    assert sum(row["mistakes"] for row in rows) == wrong.sum() > 0
    # So few games go to some of the positions, not to all.
    assert 0 < rows[0]["positions"] < len(wrong)
    assert rows[0]["taught"] == 0


def test_mistakes_are_taught_where_the_targets_are_for_them(run_dir: Path):
    agent = Agent.load(run_dir)
    exact = exact_of(agent.game)
    replay = replay_of(run_dir, agent.config)
    keys = np.asarray(jax.vmap(agent.game.encode)(replay.examples.state))
    optimal = exact.moves_fn(keys).optimal

    def taught(weights: np.ndarray) -> tuple[int, int]:
        changed = replay._replace(examples=replay.examples._replace(action_weights=jnp.asarray(weights)))
        rows = measure(agent, exact, changed, 10_000)[1:]
        return sum(row["taught"] for row in rows), sum(row["mistakes"] for row in rows)

    none, met = taught(optimal.astype(np.float32))
    assert none == 0 < met
    assert taught(1.0 - optimal) == (met, met)
    # The first example of each position, searched again, counts in place of those played after it.
    _, first = np.unique(classes(replay.examples.state, game=agent.game), return_index=True)
    weights = 1.0 - optimal
    weights[first] = optimal[first]
    age = np.asarray(replay.age).copy()
    age[first] = -1
    replay = replay._replace(age=jnp.asarray(age))
    assert taught(weights) == (0, met)


def test_a_run_without_a_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="has no checkpoint yet; train it first"):
        replay_of(tmp_path, load_config("tic_tac_toe"))
