"""Betting on a coin that wins in 60 of 100 throws: $25, at most $250, 300 rounds, or the sizes in the name.

xit train kelly_25_250_300

One seed took 1,375 CPU seconds of one core: the reflex earns $245.652, where exact play earns $246.208 and
Kelly's rule $225.932 (`python benchmarks/belief_learning.py --games kelly_25_250_300`). With 180 iterations,
in 726 seconds, it earned $244.618.

Chance decides most of what a game earns, so returns are learnt without luck; then they may reach as far as a
game does, and what is known of the last rounds comes to the first ones soon. Search tries 8 bets, each once.
Its Q-values count little against the prior, so that many small steps average out the errors of values; and
policies are noisy targets, so that the value's loss is given 50 times the weight.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import Gumbel, SearchConfig
from exit.selfplay import SelfPlayConfig
from games.kelly import make


def config(
    wealth: int = 25, cap: int = 250, rounds: int = 300, bets_per_dollar: int = 1, win_percent: int = 60
) -> RunConfig:
    return RunConfig(
        game=make(wealth, cap, rounds, bets_per_dollar, win_percent),
        network=MLPConfig(width=128, num_blocks=2, activation="silu"),
        search=SearchConfig(
            max_simulations=64,
            policy=Gumbel(max_num_considered_actions=8, rescale_values=False, value_scale=60.0),
            prove=False,
        ),
        self_play=SelfPlayConfig(
            num_games=64, num_steps=64, budget=8, max_random_plies=20, random_starts=0.9
        ),
        replay=ReplayConfig(capacity=16_384),
        learner=LearnerConfig(
            batch_size=512, num_updates=64, learning_rate=1e-3, averaging_decay=0.995, value_weight=50.0
        ),
        num_iterations=380,
        return_weight=1.0,
        final_return_weight=0.8,
        without_luck=True,
        report_every=20,
        checkpoint_every=20,
    )
