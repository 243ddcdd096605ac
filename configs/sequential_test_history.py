"""Which coin is it, by its throws alone? Coins of 0.3 and 0.7, at most 30 throws at 0.02, or a name's sizes.

`xit train sequential_test_history_3_7`: the network sees heads and tails one after another, not counted. Six
minutes on one core beside other work; the reflex loses 0.201296 (0.201229 to 0.201362) where exact play loses
0.201237, one seed (`xit probe runs/sequential_test_history_3_7`).
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import GRUConfig
from exit.replay import ReplayConfig
from exit.search import Gumbel, SearchConfig
from exit.selfplay import SelfPlayConfig
from games.sequential_test_history import make


def config(
    first: int = 3, second: int = 7, max_looks: int | None = None, cost_in_thousandths: int | None = None
) -> RunConfig:
    return RunConfig(
        game=make(first, second, max_looks, cost_in_thousandths),
        network=GRUConfig(memory=32, width=64, num_blocks=2),
        search=SearchConfig(max_simulations=64, policy=Gumbel(value_scale=1.0)),
        self_play=SelfPlayConfig(num_games=256, num_steps=4, budget=16, max_random_plies=30),
        replay=ReplayConfig(capacity=65_536),
        learner=LearnerConfig(batch_size=256, num_updates=8, value_weight=30.0),
        num_iterations=150,
        return_weight=0.0,
        report_every=10,
        checkpoint_every=50,
    )
