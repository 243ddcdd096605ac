"""Connect Four on 4 rows x 5 columns: 3,945,711 positions, a draw.

`xit train connect_four_4x5`: about an hour on one core. Of all 1,709,487 critical positions the reflex gets
268 wrong, 0.02 % (one seed), the empty board among them; search at budget 64 none of 55,026 drawn from them,
certified from both seats.
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
            random_moves=0.75,
            from_trees=True,
        ),
        replay=ReplayConfig(capacity=8_388_608, rarity=1.0),
        reanalysis=ReanalysisConfig(num_positions=512, priority="regret", budget=64),
        learner=LearnerConfig(
            batch_size=512,
            num_updates=24,
            optimizer="muon",
            learning_rate=2e-3,
            focus=0.25,
        ),
        num_iterations=1000,
        overlap=True,
        report_every=50,
        checkpoint_every=100,
    )
