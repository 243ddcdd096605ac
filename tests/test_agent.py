"""What a user of the library holds: loading a run and acting in it, and every way to ask too much."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from inspect import unwrap
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exit.acting import make_act_fn, whole_number
from exit.agent import Agent
from exit.checkpoint import CheckpointError, restore
from exit.errors import UsageError
from exit.game import State
from exit.loop import acting_template, train
from exit.network import make_network
from exit.search import Gumbel, SearchResult, Thinker
from games.nim import Nim
from games.tic_tac_toe import TicTacToe
from tests.tiny import (
    after,
    assert_same_bits,
    contents,
    random_params,
    random_states,
    row,
    tiny_config,
)

CONFIG_FILE = """
from tests.tiny import tiny_config


def config():
    return tiny_config()
"""
CAPACITY = 4
BATCH = 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; its config file lies beside it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.py").write_text(CONFIG_FILE)
    train(tiny_config(), folder / "run", config_name=str(folder / "tiny.py"))
    return folder / "run"


@pytest.fixture
def run_dir(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture(scope="module")
def agent(trained: Path) -> Agent:
    return Agent.load(trained)


@pytest.fixture(scope="module")
def states() -> State:
    return random_states(TicTacToe(), BATCH, 6, seed=0)


def test_it_loads_the_newest_checkpoint_and_changes_nothing(trained: Path) -> None:
    before = contents(trained)
    agent = Agent.load(str(trained))
    assert (agent.step, agent.source) == (4, trained)
    assert agent.game == TicTacToe()
    assert agent.search.max_simulations == CAPACITY
    saved = restore(trained, 4, {"acting": acting_template(tiny_config())})["acting"]
    assert_same_bits(agent.params, saved)
    assert contents(trained) == before


def test_it_says_in_a_line_what_it_is(trained: Path, agent: Agent) -> None:
    shown = repr(agent)
    assert "\n" not in shown
    for part in (agent.game.name, str(trained), "4 iterations", f"0 to {CAPACITY}"):
        assert part in shown


def test_it_loads_an_earlier_checkpoint(trained: Path) -> None:
    agent = Agent.load(trained, step=2)
    assert agent.step == 2
    saved = restore(trained, 2, {"acting": acting_template(tiny_config())})["acting"]
    assert_same_bits(agent.params, saved)


def test_one_state_gives_one_answer(agent: Agent) -> None:
    found = agent.act(agent.game.init(), budget=4)
    # This agent foresees nothing.
    assert found.expected_gain is None
    assert {name: np.shape(value) for name, value in found._asdict().items() if value is not None} == {
        **dict.fromkeys(("action", "value", "num_simulations", "lower", "upper", "prior_value"), ()),
        **dict.fromkeys(("action_weights", "qvalues", "visit_counts", "prior"), (9,)),
    }
    assert int(found.num_simulations) == int(found.visit_counts.sum()) == 4
    assert 0 <= int(found.action) < 9


def test_a_batch_gives_each_state_its_answer(agent: Agent, states: State) -> None:
    budget = np.array([0, 1, 2, 3, 4, 0])
    found = agent.act(states, budget=budget)
    # A state that is proven needs no more.
    open_end = np.asarray(found.lower < found.upper)
    np.testing.assert_array_equal(found.num_simulations[open_end], budget[open_end])
    for index in range(BATCH):
        alone = agent.act(row(states, index), budget=int(budget[index]))
        assert int(alone.action) == int(found.action[index])
        np.testing.assert_allclose(alone.action_weights, found.action_weights[index], atol=1e-5)


def test_it_answers_the_same_every_time(agent: Agent, states: State) -> None:
    for one, again in zip(agent.act(states, 4), agent.act(states, 4), strict=True):
        np.testing.assert_array_equal(one, again)


def test_budget_0_is_the_network_alone(agent: Agent, states: State) -> None:
    found = agent.act(states, 0)
    logits, value = make_network(agent.config.network, agent.game).predict(
        agent.params, jax.vmap(agent.game.observe)(states)
    )
    legal = jax.vmap(agent.game.legal_actions)(states)
    np.testing.assert_array_equal(found.action, np.argmax(np.where(legal, logits, -np.inf), axis=1))
    np.testing.assert_allclose(found.value, value, atol=1e-6)


def test_a_finished_game_has_no_move(agent: Agent) -> None:
    found = agent.act(after(agent.game, 0, 3, 1, 4, 2), budget=4)
    assert (int(found.action), int(found.num_simulations), float(found.value)) == (-1, 0, 0.0)


def test_the_capacity_may_be_raised(trained: Path) -> None:
    agent = Agent.load(trained, max_simulations=9)
    assert int(agent.act(agent.game.init(), budget=9).num_simulations) == 9
    with pytest.raises(UsageError, match="10 is over the capacity of 9"):
        agent.act(agent.game.init(), budget=10)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (-1, r"budget -1 is negative.*\[0, 4\]"),
        (5, r"budget 5 is over the capacity of 4.*search\.max_simulations"),
        (np.array([0, 1, 2, 3, 4, 5]), "budget 5 is over"),
        (np.array([0, -7, 2, 3, 4, 0]), "budget -7 is negative"),
        (np.array([1, 2, 3]), r"budget .*\(3,\).*6 states"),
        (np.array([[1], [2]]), r"budget .*\(2, 1\).*6 states"),
        (np.array([0.5] * 6), r"budget .*float64.*whole numbers"),
    ],
)
@pytest.mark.parametrize("deadline_ms", [None, 1e-6, 1e9])
def test_a_budget_that_cannot_be_is_refused(
    agent: Agent, states: State, budget: Any, message: str, deadline_ms: float | None
) -> None:
    with pytest.raises(UsageError, match=message):
        agent.act(states, budget, deadline_ms=deadline_ms)


@pytest.mark.parametrize("deadline_ms", [-1.0, float("nan")])
def test_a_deadline_that_cannot_be_is_refused(agent: Agent, deadline_ms: float) -> None:
    with pytest.raises(UsageError, match="deadline_ms"):
        agent.act(agent.game.init(), deadline_ms=deadline_ms)


def test_no_state_is_refused(agent: Agent, states: State) -> None:
    with pytest.raises(UsageError, match="no state"):
        agent.act(jax.tree.map(lambda leaf: leaf[:0], states), 2)


def test_a_state_of_another_game_is_refused(agent: Agent, states: State) -> None:
    heaps = Nim((3, 4, 5)).init()
    leaves, structure = jax.tree.flatten(states)
    torn = jax.tree.unflatten(structure, [leaves[0][:1], *leaves[1:]])
    for wrong in (heaps, torn, 3, None, jax.tree.map(lambda leaf: leaf[None], states)):
        for ask in (lambda state: agent.act(state, 1), lambda state: agent.think(state, 1)):
            with pytest.raises(UsageError, match=f"no state of {agent.game.name}; give one such as"):
                ask(wrong)
    with pytest.raises(UsageError, match="one state at a time"):
        agent.think(states, 1)
    with pytest.raises(UsageError, match="takes a batch"):
        agent.curve(agent.game.init(), [0, 1])
    with pytest.raises(UsageError, match=r"budgets is \[\]; give a list of one or more"):
        agent.curve(states, [])


def test_a_thought_takes_whole_numbers(agent: Agent) -> None:
    # As outside the tests, where nothing checks types at run time.
    think, think_more = unwrap(Agent.think), unwrap(Agent.think_more)
    with pytest.raises(UsageError, match=r"budget is 'auto'; give a whole number"):
        think(agent, agent.game.init(), "auto")
    with pytest.raises(UsageError, match=r"budget is 1\.5; give a whole number"):
        think_more(agent, agent.think(agent.game.init(), 1), 1.5)
    with pytest.raises(UsageError, match="a SearchResult is no thought; give what `think` returned"):
        think_more(agent, agent.act(agent.game.init(), 1), 1)
    with pytest.raises(UsageError, match="a SearchResult is no thought"):
        unwrap(Agent.advance)(agent, agent.act(agent.game.init(), 1), 0)


def test_a_limit_must_be_given(agent: Agent) -> None:
    with pytest.raises(UsageError, match="budget, a deadline_ms, a price"):
        agent.act(agent.game.init())


def test_a_distant_deadline_allows_the_budget_or_the_capacity(agent: Agent, states: State) -> None:
    quick = replace(agent, search=replace(agent.search, prove=False))
    assert quick.act(states, deadline_ms=1e9).num_simulations.tolist() == [4] * BATCH
    budget = np.array([0, 1, 2, 3, 4, 0])
    limited, unlimited = quick.act(states, budget, deadline_ms=1e9), quick.act(states, budget)
    assert limited.num_simulations.tolist() == unlimited.num_simulations.tolist() == budget.tolist()
    np.testing.assert_array_equal(limited.prior, unlimited.prior)


def test_a_deadline_that_has_passed_leaves_the_reflex(agent: Agent, states: State) -> None:
    for one, other in zip(agent.act(states, deadline_ms=0.0), agent.act(states, 0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_thinks_on_past_its_capacity_and_moves_along(agent: Agent) -> None:
    state = agent.game.init()
    thought = agent.think_more(agent.think(state, 10), 20)
    assert int(thought.result.num_simulations) == 30 > CAPACITY
    np.testing.assert_array_equal(agent.think(state, 30).result.visit_counts, thought.result.visit_counts)
    action = int(thought.result.action)
    moved = agent.advance(thought, action)
    assert int(moved.result.num_simulations) == int(thought.result.visit_counts[action]) - 1


def test_a_move_is_a_whole_number_of_any_kind() -> None:
    assert [whole_number("action", number) for number in (4, np.int64(4), jnp.int32(4))] == [4, 4, 4]
    for wrong in (None, 1.5, "4"):
        with pytest.raises(UsageError, match=r"action is .*; give a whole number"):
            whole_number("action", wrong)


def test_what_cannot_be_thought_is_refused(agent: Agent) -> None:
    thought = agent.think(agent.game.init(), 1)
    with pytest.raises(UsageError, match="action 9 is illegal"):
        agent.advance(thought, 9)
    with pytest.raises(UsageError, match="budget -1 is negative"):
        agent.think_more(thought, -1)
    with pytest.raises(UsageError, match=r"rows needs .* 1 MB are allowed"):
        agent.think(agent.game.init(), 1_000_000, max_bytes=10**6)


def test_a_program_serves_all_parameters_and_budgets(states: State) -> None:
    config = tiny_config()
    network, traces = make_network(config.network, config.game), []

    def predict(params: Any, observation: Any) -> Any:
        traces.append(1)
        return network.predict(params, observation)

    counting = network._replace(predict=predict)
    acts = [
        make_act_fn(
            random_params(config.game, config.network, seed=seed),
            game=config.game,
            network=counting,
            config=config.search,
        )
        for seed in (0, 1)
    ]
    # One with a tree and one without.
    acts[0](states, 1)
    alone = acts[0](states, 0)
    traced = len(traces)
    found = [np.asarray(act(states, budget).action_weights) for act in acts for budget in (0, 1, 3)]
    assert traced > 0
    assert len(traces) == traced
    assert not np.array_equal(found[0], found[3])
    beside = acts[0](states, np.array([3, *[0] * (len(alone.action) - 1)]))
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(beside), strict=True):
        np.testing.assert_allclose(np.asarray(one)[1:], np.asarray(other)[1:], rtol=1e-5, atol=1e-6)


def test_a_damaged_checkpoint_is_passed_over_aloud(run_dir: Path) -> None:
    _spoil(run_dir, 4)
    warnings: list[str] = []
    assert Agent.load(run_dir, warn_fn=warnings.append).step == 3
    assert len(warnings) == 1
    _spoil(run_dir, 2)
    with pytest.raises(CheckpointError, match="checkpoints/2 is damaged"):
        Agent.load(run_dir, step=2)


def _spoil(run_dir: Path, iteration: int) -> None:
    for path in (run_dir / "checkpoints" / str(iteration)).rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")


def _without_checkpoints(run_dir: Path) -> None:
    shutil.rmtree(run_dir / "checkpoints")


def _of_another_setting(run_dir: Path) -> None:
    stored = json.loads((run_dir / "config.json").read_text())
    stored["settings"]["network.width"] = 99
    (run_dir / "config.json").write_text(json.dumps(stored))


def _of_another_game_version(run_dir: Path) -> None:
    stored = json.loads((run_dir / "config.json").read_text())
    stored["settings"]["game.version"] = 0
    (run_dir / "config.json").write_text(json.dumps(stored))


def _without_its_config(run_dir: Path) -> None:
    stored = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps(stored | {"config": "/nowhere/gone.py"}))


@pytest.mark.parametrize(
    ("harm_fn", "message"),
    [
        (shutil.rmtree, r"holds no run.*xit train"),
        (_without_checkpoints, r"has no checkpoint yet.*xit train"),
        (_of_another_setting, r"network\.width=99, not 8"),
        (_of_another_game_version, r"game\.version=0, not 1"),
        (_without_its_config, r"gone\.py"),
    ],
)
def test_a_directory_without_a_usable_run_is_refused(
    run_dir: Path, harm_fn: Callable[[Path], None], message: str
) -> None:
    harm_fn(run_dir)
    with pytest.raises(UsageError, match=message) as caught:
        Agent.load(run_dir)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_is_not_kept_is_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"no checkpoint of iteration 1; it keeps \[2, 3, 4\]"):
        Agent.load(trained, step=1)


def test_a_config_that_changed_is_refused(trained: Path) -> None:
    """The file that the run was started with says something else today: how it plays must be the same."""
    source = trained.parent / "tiny.py"
    wider = "tiny_config(network=MLPConfig(width=9, num_blocks=1))"
    source.write_text("from exit.network import MLPConfig\n" + CONFIG_FILE.replace("tiny_config()", wider))
    try:
        with pytest.raises(UsageError, match=r"network.width=8, not 9; put the configuration .* back"):
            Agent.load(trained)
        source.write_text(CONFIG_FILE.replace("tiny_config()", "tiny_config(seed=7)"))
        assert Agent.load(trained).step == 4
    finally:
        source.write_text(CONFIG_FILE)
    assert Agent.load(trained).step == 4


def test_positions_of_another_type_are_taken(agent: Agent, states: State) -> None:
    """States may come from NumPy, as the exact tables return them."""
    plain = jax.tree.map(np.asarray, states)
    np.testing.assert_array_equal(agent.act(plain, 3).action, agent.act(states, 3).action)
    single = jax.tree.map(jnp.asarray, row(plain, 0))
    assert int(agent.act(single, 3).action) == int(agent.act(states, 3).action[0])


@pytest.mark.parametrize(
    ("deadline_ms", "num_states", "shared"), [(50, 1, False), (400, 1, True), (400, 2, False)]
)
def test_only_long_thought_about_one_state_is_shared_among_devices(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, deadline_ms: float, num_states: int, shared: bool
) -> None:
    asked = []

    def think_until(thinker: Thinker, *_: Any) -> SearchResult:
        assert isinstance(thinker.config.policy, Gumbel)
        asked.append(thinker.config.policy.side_by_side)
        return agent.act(random_states(agent.game, 1, 3, seed=0), 0)

    monkeypatch.setattr("exit.agent.think_until", think_until)
    agent.act(random_states(agent.game, num_states, 3, seed=0), deadline_ms=deadline_ms)
    assert asked == [shared]
