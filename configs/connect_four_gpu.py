"""Connect Four on 6 rows x 7 columns for one GPU: a wide perceptron and thousands of games at once.

`xit train connect_four_gpu`: 5 min 40 s on one NVIDIA H100, days on a CPU. Of critical positions after random
play the reflex gets 1.4 % wrong, search at budget 64 0.7 %; of those in strong play 2.8 and 1.5 %. That agent
comes with the product, as `connect_four`, rounded to bfloat16 and computing in float32
(`--set network.bfloat16=false`), which a CPU does best.
"""

from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.connect_four import ConnectFour


def config() -> RunConfig:
    return RunConfig(
        game=ConnectFour(threats=True),
        network=MLPConfig(width=1024, num_blocks=2, bfloat16=True),
        search=SearchConfig(max_simulations=1024),
        self_play=SelfPlayConfig(num_games=16384, num_steps=8, budget=32, max_random_plies=30),
        replay=ReplayConfig(capacity=4_194_304),
        learner=LearnerConfig(batch_size=8192, num_updates=128, learning_rate=2e-3, averaging_decay=0.995),
        # Asking a library on the host would keep the GPU waiting.
        evaluation=EvaluationConfig(exact=False),
        num_iterations=630,
        report_every=10,
        checkpoint_every=1000,
        snapshots=True,
    )
