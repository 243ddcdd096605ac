"""OpenSpiel's own bots, to play against."""

import numpy as np
import pyspiel

from exit.openspiel.arena import Contestant

_UCT_C = 2**0.5
_MAX_MEMORY_MB = 2048
# A clock that ends the search needs no count beside it.
_ENDLESS = 10**9


class _TreeSearch:
    """OpenSpiel's tree search, with a count of what it spends."""

    def __init__(self, bot: pyspiel.MCTSBot) -> None:
        self._bot = bot
        self.num_simulations = 0

    def restart_at(self, state: pyspiel.State) -> None:
        """Every search starts anew."""

    def inform_action(self, state: pyspiel.State, player_id: int, action: int) -> None:
        """Every search starts anew."""

    def step(self, state: pyspiel.State) -> int:
        root = self._bot.mcts_search(state)
        self.num_simulations += root.explore_count
        return root.best_child().action


class _Uniform:
    """Moves drawn uniformly."""

    num_simulations = 0

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def restart_at(self, state: pyspiel.State) -> None:
        """There is nothing to restart."""

    def inform_action(self, state: pyspiel.State, player_id: int, action: int) -> None:
        """There is nothing to note."""

    def step(self, state: pyspiel.State) -> int:
        return int(self._rng.choice(state.legal_actions()))


def mcts_opponent(
    spiel_game: pyspiel.Game,
    *,
    budget: int | None = None,
    deadline_ms: float | int | None = None,
    seed: int = 0,
) -> Contestant:
    """OpenSpiel's tree search without a network: UCT with proofs, one random playout a simulation.

    Args:
      budget: simulations a move.
      deadline_ms: milliseconds a move; with a budget, whichever ends first.
    """
    bot = pyspiel.MCTSBot(
        spiel_game,
        pyspiel.RandomRolloutEvaluator(1, seed),
        _UCT_C,
        _ENDLESS if budget is None else budget,
        _MAX_MEMORY_MB,
        solve=True,
        seed=seed,
        verbose=False,
        max_wall_clock_time=-1.0 if deadline_ms is None else deadline_ms / 1000,
    )
    return _TreeSearch(bot)


def random_opponent(seed: int = 0) -> Contestant:
    """An opponent whose moves are uniformly random."""
    return _Uniform(seed)
