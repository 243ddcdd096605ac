"""Agents that nobody trained, for what is compiled from them."""

from pathlib import Path

from exit.agent import Agent
from exit.evaluate import EvaluationConfig
from exit.game import Game
from exit.loop import RunConfig
from exit.network import NetworkConfig
from exit.rundir import RunInfo
from exit.search import SearchConfig
from exit.selfplay import SelfPlayConfig
from tests.tiny import NET, random_params


def untrained(game: Game, network: NetworkConfig = NET) -> Agent:
    """An agent with random parameters."""
    config = RunConfig(
        game=game,
        network=network,
        search=SearchConfig(max_simulations=4),
        self_play=SelfPlayConfig(budget=4),
        evaluation=EvaluationConfig(budget=4),
    )
    params = random_params(game, network)
    return Agent(config, config.search, params, 0, RunInfo(game.name, (), {}), Path("nowhere"))
