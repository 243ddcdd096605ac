"""Connect Four on 4 rows x 5 columns: 3,945,711 positions, a draw.

`xit train connect_four_4x5`: twelve minutes on two cores that multiply bfloat16 (AVX-512 BF16), and 5 GB of
memory. Of all 1,709,487 critical positions the reflex gets 141 wrong, 0.008 % (one seed), the empty board
among them.
"""

from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.reanalysis import ReanalysisConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.connect_four import ConnectFour


def config() -> RunConfig:
    return RunConfig(
        game=ConnectFour(rows=4, columns=5),
        network=MLPConfig(width=1024, num_blocks=2, hidden=128, bfloat16=True, images=2),
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(
            num_games=512,
            num_steps=8,
            budget=16,
            max_random_plies=18,
            random_moves=0.9,
            from_trees=True,
        ),
        replay=ReplayConfig(capacity=8_388_608, rarity=1.0),
        reanalysis=ReanalysisConfig(num_positions=512, priority="regret", budget=64),
        learner=LearnerConfig(
            batch_size=512,
            num_updates=24,
            optimizer="muon",
            learning_rate=2e-3,
            # Many positions are never met: what is said of those is better where little is held on to.
            weight_decay=0.25,
            focus=0.25,
        ),
        num_iterations=1000,
        overlap=True,
        report_every=50,
        checkpoint_every=100,
    )
