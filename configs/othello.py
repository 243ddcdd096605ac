"""Othello on 4 x 4 cells, or on the size in the name: 58,533 positions, won by the second player.

xit train othello_4

Three to four minutes on two cores. Of all 53,651 unfinished positions the reflex gets none wrong with seed 1,
four with seeds 0 and 2; search at budget 64 none; all certified from both seats. The agent of seed 1 comes
with the product as `othello_4`.
"""

from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.reanalysis import ReanalysisConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.othello import Othello


def config(size: int = 4) -> RunConfig:
    return RunConfig(
        game=Othello(size),
        network=MLPConfig(width=512, num_blocks=2, hidden=128, images=4),
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(
            num_games=512,
            num_steps=8,
            budget=16,
            max_random_plies=3 * size * size // 4,
            random_moves=0.9,
            from_trees=True,
        ),
        replay=ReplayConfig(capacity=2_097_152 if size == 4 else 1_048_576, rarity=1.0),
        reanalysis=ReanalysisConfig(num_positions=512, priority="regret", budget=64),
        learner=LearnerConfig(
            batch_size=512,
            num_updates=24,
            optimizer="muon",
            learning_rate=2e-3,
            focus=0.25,
        ),
        evaluation=EvaluationConfig(exact=size == 4),
        num_iterations=400,
        overlap=True,
        report_every=20,
        checkpoint_every=80,
    )
