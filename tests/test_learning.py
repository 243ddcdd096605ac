"""The loop learns, by exact measure, and does not without search."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import exit.selfplay as selfplay_module
from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig, SearchResult
from exit.selfplay import SelfPlayConfig
from exit.solve import save_table, table_directory
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


def _passes(figures: dict[str, Any]) -> bool:
    """The bar of the learning test: exact mistakes of 1,024 critical positions of tic-tac-toe."""
    return figures["reflex_mistake_rate"] < 0.04 and figures["search_mistake_rate"] < 0.02


@pytest.fixture(autouse=True)
def _own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIT_CACHE_DIR", str(tmp_path / "cache"))
    save_table(table_of(TicTacToe()), table_directory(TicTacToe()))


def test_the_loop_learns_tic_tac_toe(tmp_path: Path) -> None:
    halfway, end = train_tiny(tmp_path / "run", LEARNING)
    assert _passes(end)
    assert end["policy_loss"] < halfway["policy_loss"]


def test_the_same_loop_without_search_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Search is replaced by random legal moves; all else stays."""

    def random_moves(params: Any, rng_key: Any, state: Any, *_: Any, predict: Any, **__: Any) -> Any:
        game = TicTacToe()
        legal = jax.vmap(game.legal_actions)(state)
        action = jax.random.categorical(rng_key, jnp.where(legal, 0.0, -jnp.inf)).astype(jnp.int32)
        _, value = predict(params, jax.vmap(game.observe)(state))
        weights = jax.nn.one_hot(action, 9)
        return SearchResult(
            action=action,
            action_weights=weights,
            value=value,
            qvalues=jnp.zeros_like(weights),
            visit_counts=jnp.zeros_like(weights, jnp.int32),
            num_simulations=jnp.zeros_like(action),
            lower=jnp.full_like(value, -1.0),
            upper=jnp.full_like(value, 1.0),
            prior=weights,
            prior_value=value,
        )

    monkeypatch.setattr(selfplay_module, "search", random_moves)
    # Another seed, so that no program compiled with search is used again.
    *_, end = train_tiny(tmp_path / "run", replace(LEARNING, seed=1))
    assert not _passes(end)
    assert end["reflex_mistake_rate"] > 0.2
