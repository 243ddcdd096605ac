"""Tic-tac-toe: a reflex without a mistake.

`xit train tic_tac_toe`: less than a minute on two cores; 0 mistakes in 4,520 positions without search.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.tic_tac_toe import TicTacToe


def config() -> RunConfig:
    """The smallest run that proves itself perfect."""
    return RunConfig(
        game=TicTacToe(),
        network=MLPConfig(width=128, num_blocks=2),
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(num_games=256, num_steps=8, budget=16, max_random_plies=8),
        replay=ReplayConfig(capacity=65_536),
        learner=LearnerConfig(batch_size=512, num_updates=16, optimizer="muon", learning_rate=3e-3),
        num_iterations=120,
        overlap=True,
        report_every=10,
        checkpoint_every=30,
    )
