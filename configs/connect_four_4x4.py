"""Connect Four on 4 rows x 4 columns: 161,029 positions, a draw.

`xit train connect_four_4x4`: two to three minutes on two cores. Of all 134,289 unfinished positions the
reflex gets none wrong with seed 1, two with seed 0, four with seed 2; search at budget 64 none with the first
two; all certified from both seats. The agent of seed 1 comes with the product, under this name.
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
        game=ConnectFour(rows=4, columns=4),
        network=MLPConfig(width=512, num_blocks=2, hidden=128, images=2),
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(
            num_games=512, num_steps=8, budget=16, max_random_plies=15, random_moves=0.75
        ),
        replay=ReplayConfig(capacity=1_048_576, rarity=1.0),
        reanalysis=ReanalysisConfig(num_positions=512, priority="regret", budget=64),
        learner=LearnerConfig(
            batch_size=512,
            num_updates=24,
            optimizer="muon",
            learning_rate=2e-3,
            focus=0.25,
        ),
        num_iterations=400,
        overlap=True,
        report_every=20,
        checkpoint_every=80,
    )
