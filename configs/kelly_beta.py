"""Betting on a coin of unknown bias, prior Beta(3, 2), for 20 rounds, or as the sizes in the name say.

`xit train kelly_beta_3_2_20`: 277 CPU seconds of one core. One seed: the reflex earns $57.5165, 99.91 % of
what exact play earns ($57.5674), with 64 simulations $57.5198; Kelly's rule $53.2054 (`python
benchmarks/belief_learning.py --games kelly_beta_3_2_20`).

Returns are learnt without luck, of which a game is full. Q-values keep their size: stretched, those of a
hundred bets, most of them absurd, hardly tell the good ones apart.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import Gumbel, SearchConfig
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
        network=MLPConfig(width=128, num_blocks=2, activation="silu"),
        search=SearchConfig(
            max_simulations=64, policy=Gumbel(rescale_values=False, value_scale=20.0), prove=False
        ),
        self_play=SelfPlayConfig(
            num_games=128, num_steps=16, budget=16, max_random_plies=rounds, random_starts=0.9
        ),
        replay=ReplayConfig(capacity=8_192),
        learner=LearnerConfig(
            batch_size=512, num_updates=64, learning_rate=1e-3, averaging_decay=0.995, value_weight=50.0
        ),
        num_iterations=110,
        return_weight=0.9,
        final_return_weight=0.0,
        without_luck=True,
        report_every=10,
        checkpoint_every=50,
    )
