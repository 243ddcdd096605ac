"""Rounds of self-play that its tests and those of its targets share."""

import functools

import jax

from exit.game import Game, State
from exit.network import make_network
from exit.search import Gumbel, SearchConfig
from exit.selfplay import SelfPlayConfig, Trajectory, initial_games, self_play
from tests.tiny import NET, random_params

SEARCH = SearchConfig(max_simulations=4, policy=Gumbel(gumbel_scale=0.0, value_scale=0.02))
CONFIG = SelfPlayConfig(num_games=16, num_steps=14, budget=4, max_random_plies=4, sample_fraction=0.0)
SAMPLED = SelfPlayConfig(num_games=256, num_steps=12, budget=4, sample_fraction=1.0)


@functools.cache
def play_round(game: Game, config: SelfPlayConfig = CONFIG, seed: int = 0) -> tuple[State, State, Trajectory]:
    """Starts, last positions and trajectory of one round."""
    starts = initial_games(jax.random.key(seed), game=game, config=config)
    play = functools.partial(
        self_play, game=game, predict=make_network(NET, game).predict, search_config=SEARCH, config=config
    )
    last, trajectory = jax.jit(play)(random_params(game, scale=0.1), jax.random.key(seed + 1), starts)
    return starts.state, last.state, trajectory
