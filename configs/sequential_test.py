"""Which coin is it, 0.4 or 0.6 heads? At most 50 throws at 0.01 each, or the sizes in the name.

`xit train sequential_test_4_6`: 105 CPU seconds. One seed: the reflex plays all 1,326 states perfectly, an
expected loss of 0.299625; with 64 simulations it is 0.299635 (`python benchmarks/belief_learning.py --games
sequential_test_4_6`). Of three actions one is always far worse than the others, so that stretched Q-values
need ten times the usual weight to tell these apart.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import Gumbel, SearchConfig
from exit.selfplay import SelfPlayConfig
from games.sequential_test import make


def config(
    first: int = 4, second: int = 6, max_looks: int | None = None, cost_in_thousandths: int | None = None
) -> RunConfig:
    return RunConfig(
        game=make(first, second, max_looks, cost_in_thousandths),
        network=MLPConfig(width=128, num_blocks=2),
        search=SearchConfig(max_simulations=64, policy=Gumbel(value_scale=1.0)),
        self_play=SelfPlayConfig(num_games=256, num_steps=8, budget=16, max_random_plies=60),
        replay=ReplayConfig(capacity=65_536),
        learner=LearnerConfig(batch_size=512, num_updates=8),
        num_iterations=100,
        return_weight=0.0,
        report_every=10,
        checkpoint_every=50,
    )
