"""Pig to 100 points, or to the goal in the name.

xit train pig_100

A setting to start from, tuned for nothing yet.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.pig import make


def config(goal: int = 100) -> RunConfig:
    return RunConfig(
        game=make(goal),
        network=MLPConfig(width=128, num_blocks=2),
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(num_games=256, num_steps=8, budget=16, max_random_plies=2 * goal),
        replay=ReplayConfig(capacity=131_072),
        learner=LearnerConfig(batch_size=1024, num_updates=16),
        num_iterations=400,
        return_weight=0.2,
        report_every=10,
        checkpoint_every=50,
    )
