"""Pig to 100 points, or to the goal in the name.

`xit train pig_100`: three and a half minutes on one core. Not good yet: against perfect play the reflex of
one seed earned -0.009 where perfect play earns 0.061, a loss of 0.035 in the chance to win, and it was
still getting better at the end. Games are long, so that values are learnt first from how these end.
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
        self_play=SelfPlayConfig(num_games=128, num_steps=8, budget=16, max_random_plies=2 * goal),
        replay=ReplayConfig(capacity=16_384),
        learner=LearnerConfig(batch_size=512, num_updates=16, averaging_decay=0.98, value_weight=4.0),
        num_iterations=240,
        return_weight=0.7,
        report_every=10,
        checkpoint_every=50,
    )
