"""Connect Four on 6 rows x 7 columns, or on the sizes in the name.

`xit train connect_four`: an hour and a half on two cores that multiply bfloat16 (AVX-512 BF16), 4 GB of
memory. The reflex then errs in 2.0 and 2.1 % of critical positions after random play, two seeds; search at
budget 64 in 1.0 and 0.8 %, at 600 in 0.8 and 0.6 %; in those of strong play in 2.5 and 2.6 %, 1.2 and 1.2 %,
0.9 and 0.7 %. A run of ten minutes wants a fixed decay: docs/amortization.md, "What is let go". The agent
that comes with the product as `connect_four` was trained on a GPU, by `connect_four_gpu`.
"""

from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.replay import ReplayConfig
from exit.search import Gumbel, SearchConfig
from exit.selfplay import SelfPlayConfig
from games.connect_four import ConnectFour


def config(rows: int = 6, columns: int = 7, connect: int = 4) -> RunConfig:
    return RunConfig(
        game=ConnectFour(rows, columns, connect, threats=True),
        # Wide for what it costs: narrow between the layers, where steps made orthogonal are cheap.
        network=MLPConfig(
            width=1024, num_blocks=1, hidden=256, bfloat16=True, images=2 if columns > 1 else None
        ),
        # A move counts by what it is worth, not by whether it is the best of moves worth the same.
        search=SearchConfig(
            max_simulations=1024,
            policy=Gumbel(gumbel_scale=0.0, rescale_values=False, value_scale=0.1, maxvisit_init=600.0),
        ),
        # No noise but moves tried at random, which are no part of what is learnt from the moves before them.
        self_play=SelfPlayConfig(
            num_games=512,
            num_steps=8,
            budget=32,
            max_random_plies=5 * rows * columns // 7,
            sample_fraction=0.0,
            random_moves=0.1,
        ),
        return_weight=0.9,
        # What is remembered, by replay and by weights, grows with the run, and suits a long one.
        replay=ReplayConfig(capacity=5_242_880, window=65_536),
        learner=LearnerConfig(
            batch_size=1024,
            num_updates=40,
            optimizer="muon",
            learning_rate=2e-3,
            forgetting=12.0,
        ),
        # The library BitBully knows 6x7; what is smaller than 5x6 is solved from the rules in half a minute.
        evaluation=EvaluationConfig(exact=(rows, columns, connect) == (6, 7, 4) or rows * columns <= 25),
        num_iterations=4800,
        overlap=True,
        report_every=100,
        checkpoint_every=100,
    )
