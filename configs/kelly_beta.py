"""Betting on a coin of unknown bias, prior Beta(3, 2), for 20 rounds, or as the sizes in the name say.

xit train kelly_beta_3_2_20

A setting to start from, tuned for nothing yet.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.kelly_beta import make


def config(
    alpha: int = 3,
    beta: int = 2,
    rounds: int = 20,
    wealth: int = 25,
    cap: int = 100,
    bets_per_dollar: int = 1,
) -> RunConfig:
    return RunConfig(
        game=make(alpha, beta, rounds, wealth, cap, bets_per_dollar),
        network=MLPConfig(width=256, num_blocks=2),
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(num_games=256, num_steps=8, budget=32, max_random_plies=rounds // 2),
        replay=ReplayConfig(capacity=65_536),
        learner=LearnerConfig(batch_size=1024, num_updates=16),
        num_iterations=300,
        return_weight=0.0,
        report_every=10,
        checkpoint_every=50,
    )
