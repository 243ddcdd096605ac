"""Pig to 100 points, or to the goal in the name.

`xit train pig_100`. One seed took 668 CPU seconds of one core: against perfect play, which wins 0.5306 of
games, the reflex loses 0.00044 of the chance to win (`python benchmarks/belief_learning.py --games pig_100`).

Games are long and full of luck, so values are learnt from returns without it, which reach less far with time.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import Gumbel, SearchConfig
from exit.selfplay import SelfPlayConfig
from games.pig import make


def config(goal: int = 100) -> RunConfig:
    return RunConfig(
        game=make(goal),
        network=MLPConfig(width=128, num_blocks=2, activation="silu"),
        search=SearchConfig(
            max_simulations=64, policy=Gumbel(rescale_values=False, value_scale=3.0), prove=False
        ),
        self_play=SelfPlayConfig(num_games=128, num_steps=16, budget=8, random_starts=0.9),
        replay=ReplayConfig(capacity=16_384),
        learner=LearnerConfig(batch_size=512, num_updates=32, averaging_decay=0.995, value_weight=4.0),
        num_iterations=800,
        return_weight=0.9,
        final_return_weight=0.0,
        without_luck=True,
        report_every=10,
        checkpoint_every=50,
    )
