"""Agents that have learnt nothing yet, at desks, for the tests of the page."""

import functools
from pathlib import Path

from exit.agent import Agent
from exit.game import Game
from exit.loop import RunConfig
from exit.network import MLPConfig
from exit.rundir import RunInfo
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from exit.solve import Exact, exact_of_table, solve
from exit.web import Desk
from tests.tiny import random_params

CAPACITY = 32


def desk_of(game: Game, source: Path, *, name: str = "small") -> Desk:
    """A desk whose agent has random parameters, and exact values of the game."""
    network = MLPConfig(width=16, num_blocks=1)
    config = RunConfig(
        game=game,
        network=network,
        search=SearchConfig(max_simulations=CAPACITY),
        self_play=SelfPlayConfig(budget=8),
    )
    params = random_params(game, network, scale=0.0)
    agent = Agent(config, config.search, params, 0, RunInfo("small", (), {}), source)
    return Desk(name, agent, exact_of(game), None)


@functools.cache
def exact_of(game: Game) -> Exact:
    return exact_of_table(solve(game))
