"""What the configs share whose reflex is to be right in every position, not only where good play leads."""

from exit.evaluate import EvaluationConfig
from exit.game import Game
from exit.learner import LearnerConfig
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.reanalysis import ReanalysisConfig
from exit.replay import ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig


def learnt_everywhere(
    game: Game,
    *,
    network: MLPConfig,
    max_random_plies: int,
    random_moves: float = 0.75,
    from_trees: bool = True,
    capacity: int,
    weight_decay: float = 1e-4,
    exact: bool = True,
    num_iterations: int,
    report_every: int,
    checkpoint_every: int,
) -> RunConfig:
    """A run whose games go everywhere: they begin at random and go on mostly at random.

    With `from_trees` it also learns proven positions from inside the trees. What the replay holds is drawn
    the more often the rarer it is, and searched again where the reflex gives most away.
    """
    return RunConfig(
        game=game,
        network=network,
        search=SearchConfig(max_simulations=64),
        self_play=SelfPlayConfig(
            num_games=512,
            num_steps=8,
            budget=16,
            max_random_plies=max_random_plies,
            random_moves=random_moves,
            from_trees=from_trees,
        ),
        replay=ReplayConfig(capacity=capacity, rarity=1.0),
        reanalysis=ReanalysisConfig(num_positions=512, priority="regret", budget=64),
        learner=LearnerConfig(
            batch_size=512,
            num_updates=24,
            optimizer="muon",
            learning_rate=2e-3,
            weight_decay=weight_decay,
            focus=0.25,
        ),
        evaluation=EvaluationConfig(exact=exact),
        num_iterations=num_iterations,
        overlap=True,
        report_every=report_every,
        checkpoint_every=checkpoint_every,
    )
