"""Any game of the optional library Pgx, as in `xit train pgx:go_9x9`: a modest setting to start from.

How long it takes and how far it comes hangs on the game. `xit train pgx:tic_tac_toe` takes minutes on two
cores; the reflex is held against exact values there, and in no other game, for want of a table.
"""

from exit.evaluate import EvaluationConfig
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import ConvConfig, MLPConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from games.pgx import make

_MAX_EXACT_STATES = 100_000


def config(name: str = "tic_tac_toe") -> RunConfig:
    game = make(name)
    on_board = len(game.observation_shape) == 3
    return RunConfig(
        game=game,
        network=ConvConfig(channels=32, num_blocks=3) if on_board else MLPConfig(width=256, num_blocks=3),
        search=SearchConfig(max_simulations=64),
        # Random plies are played anew at every step, which is dear where a move is.
        self_play=SelfPlayConfig(num_games=64, num_steps=8, budget=16, max_random_plies=4),
        replay=ReplayConfig(capacity=16_384),
        learner=LearnerConfig(batch_size=256, num_updates=16, learning_rate=2e-3),
        evaluation=EvaluationConfig(exact=(game.num_states or _MAX_EXACT_STATES) < _MAX_EXACT_STATES),
        num_iterations=400,
        report_every=5,
        checkpoint_every=20,
    )
