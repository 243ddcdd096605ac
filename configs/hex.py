"""Hex on 4 x 4 cells, or on the size in the name: 9,386,235 positions, won by the first player.

xit train hex_4

Eight minutes on two cores that multiply bfloat16 (AVX-512 BF16), and 4 GB of memory. Of all 8,188,705
unfinished positions, 4,336,607 of them critical, the reflex gets 14 and 20 wrong, two seeds; certified from
both seats with each.
"""

from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.reanalysis import ReanalysisConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.hex import make


def config(size: int = 4, swap: int = 0) -> RunConfig:
    return RunConfig(
        game=make(size, swap),
        network=MLPConfig(width=1024, num_blocks=2, hidden=128, bfloat16=True, images=2),
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(
            num_games=512,
            num_steps=8,
            budget=16,
            max_random_plies=3 * size * size // 4,
            random_moves=0.75,
            from_trees=True,
        ),
        replay=ReplayConfig(capacity=4_194_304 if size == 4 else 524_288, rarity=1.0),
        reanalysis=ReanalysisConfig(num_positions=512, priority="regret", budget=64),
        learner=LearnerConfig(
            batch_size=512,
            num_updates=24,
            optimizer="muon",
            learning_rate=2e-3,
            focus=0.25,
        ),
        evaluation=EvaluationConfig(exact=size <= 4),
        num_iterations=600,
        overlap=True,
        report_every=50,
        checkpoint_every=100,
    )
