"""The loop learns, by exact measure, and does not without search."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import exit.selfplay as selfplay_module
from exit.acting import make_act_fn
from exit.checkpoint import restore
from exit.evaluate import EvaluationConfig, decide_at, expected_return, gap_closed, policy_of
from exit.game import Game, baselines_of
from exit.learner import LearnerConfig
from exit.loop import RunConfig, acting_template
from exit.network import MLPConfig, make_network
from exit.replay import ReplayConfig
from exit.search import SearchConfig, SearchResult
from exit.selfplay import SelfPlayConfig
from exit.solve import initial_value, save_table, table_directory
from games.bandit import Bandit
from games.tic_tac_toe import TicTacToe
from tests.tiny import table_of, train_tiny

pytestmark = pytest.mark.slow

LEARNING = RunConfig(
    game=TicTacToe(),
    network=MLPConfig(width=64, num_blocks=1),
    search=SearchConfig(max_simulations=32),
    self_play=SelfPlayConfig(num_games=64, num_steps=8, budget=16, max_random_plies=8),
    replay=ReplayConfig(capacity=64 * 8 * 16),
    learner=LearnerConfig(batch_size=256, num_updates=16, learning_rate=5e-3),
    evaluation=EvaluationConfig(num_positions=1024, budget=32),
    num_iterations=28,
    report_every=14,
    checkpoint_every=28,
)

BANDIT = RunConfig(
    game=Bandit(arms=2, horizon=6),
    network=MLPConfig(width=64, num_blocks=1),
    search=SearchConfig(max_simulations=16),
    self_play=SelfPlayConfig(num_games=64, num_steps=6, budget=8, max_random_plies=5),
    replay=ReplayConfig(capacity=64 * 6 * 16),
    learner=LearnerConfig(batch_size=256, num_updates=16, learning_rate=5e-3),
    evaluation=EvaluationConfig(budget=8, exact=False),
    num_iterations=20,
    return_weight=0.0,
    report_every=20,
    checkpoint_every=20,
)


def _passes(figures: dict[str, Any]) -> bool:
    """The bar of the learning test: exact mistakes of 1,024 critical positions of tic-tac-toe."""
    return figures["reflex_mistake_rate"] < 0.04 and figures["search_mistake_rate"] < 0.02


@pytest.fixture
def without_search(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Game], None]]:
    """Replaces search in self-play by random legal moves; all else stays."""

    def replaced(game: Game) -> None:
        monkeypatch.setattr(selfplay_module, "search", _random_moves(game))
        # Runs that differ in their seed share what is compiled.
        jax.clear_caches()

    yield replaced
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))


def _keep_table(game: Game) -> None:
    save_table(table_of(game), table_directory(game))


def _random_moves(game: Game) -> Callable[..., SearchResult]:
    """What stands in for search: random legal moves, and the network's own value."""

    def random_moves(params: Any, rng_key: Any, state: Any, *_: Any, predict: Any, **__: Any) -> SearchResult:
        legal = jax.vmap(game.legal_actions)(state)
        action = jax.random.categorical(rng_key, jnp.where(legal, 0.0, -jnp.inf)).astype(jnp.int32)
        _, value = predict(params, jax.vmap(game.observe)(state))
        weights = jax.nn.one_hot(action, game.num_actions)
        low, high = game.value_bounds
        return SearchResult(
            action=action,
            action_weights=weights,
            value=value,
            qvalues=jnp.zeros_like(weights),
            visit_counts=jnp.zeros_like(weights, jnp.int32),
            num_simulations=jnp.zeros_like(action),
            lower=jnp.full_like(value, low),
            upper=jnp.full_like(value, high),
            prior=weights,
            prior_value=value,
        )

    return random_moves


def test_the_loop_learns_tic_tac_toe(tmp_path: Path) -> None:
    _keep_table(LEARNING.game)
    halfway, end = train_tiny(tmp_path / "run", LEARNING)
    assert _passes(end)
    assert end["policy_loss"] < halfway["policy_loss"]


def test_the_same_loop_without_search_does_not_pass(
    tmp_path: Path, without_search: Callable[[Game], None]
) -> None:
    _keep_table(LEARNING.game)
    without_search(LEARNING.game)
    *_, end = train_tiny(tmp_path / "run", LEARNING)
    assert not _passes(end)
    assert end["reflex_mistake_rate"] > 0.2


def _reflex_return(run_dir: Path, config: RunConfig) -> float:
    """What the reflex of a finished run earns, exactly."""
    template = {"acting": acting_template(config)}
    params = restore(run_dir, config.num_iterations, template)["acting"]
    network = make_network(config.network, config.game)
    act_fn = make_act_fn(params, game=config.game, network=network, config=config.search)
    return expected_return(config.game, lambda keys: decide_at(act_fn, config.game, keys, 0).action).value


def _greedy_return(game: Game) -> float:
    return expected_return(game, policy_of(game, baselines_of(game)["greedy"])).value


def test_a_bandit_is_played_better_than_greedily(tmp_path: Path) -> None:
    train_tiny(tmp_path / "run", BANDIT)
    learnt, optimal = _reflex_return(tmp_path / "run", BANDIT), initial_value(table_of(BANDIT.game))
    assert gap_closed(learnt, baseline=_greedy_return(BANDIT.game), optimal=optimal) > 0.8


def test_a_bandit_is_not_without_search(tmp_path: Path, without_search: Callable[[Game], None]) -> None:
    without_search(BANDIT.game)
    train_tiny(tmp_path / "run", BANDIT)
    assert _reflex_return(tmp_path / "run", BANDIT) < _greedy_return(BANDIT.game)
