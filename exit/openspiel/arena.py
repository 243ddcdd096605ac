"""Matches between two bots, played through OpenSpiel's own arena."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pyspiel
from open_spiel.python.algorithms.evaluate_bots import evaluate_bots

from exit.errors import UsageError

MatchProgressFn = Callable[[int, int, float], None]
"""Told games played, games in all, and the agent's score so far."""

_NUM_RESAMPLES = 10_000
# Fewer openings may all come out alike by chance, and resampling them would then show no doubt at all.
_MIN_OPENINGS = 10
_MAX_DRAWS = 1000
_SEATS = ("first", "second")


@runtime_checkable
class Contestant(Protocol):
    """A bot of OpenSpiel that counts the simulations it spends; `AgentBot` is one."""

    num_simulations: int

    def restart_at(self, state: pyspiel.State) -> None: ...

    def inform_action(self, state: pyspiel.State, player_id: int, action: int) -> None: ...

    def step(self, state: pyspiel.State) -> int: ...


class Played(NamedTuple):
    """One game.

    Attributes:
      opening: the random moves before it, as OpenSpiel numbers them.
      seat: of the agent, 0 or 1.
      outcome: the agent's return: 1 won, 0 drawn, -1 lost.
      num_plies: moves in all.
    """

    opening: tuple[int, ...]
    seat: int
    outcome: float
    num_plies: int


class _Clocked:
    """A bot, and what its moves took."""

    def __init__(self, bot: Contestant) -> None:
        self.bot = bot
        self.num_moves = 0
        self.seconds = 0.0

    def restart_at(self, state: pyspiel.State) -> None:
        self.bot.restart_at(state)

    def inform_action(self, state: pyspiel.State, player_id: int, action: int) -> None:
        self.bot.inform_action(state, player_id, action)

    def step(self, state: pyspiel.State) -> int:
        started = time.perf_counter()
        action = self.bot.step(state)
        self.seconds += time.perf_counter() - started
        self.num_moves += 1
        return action

    def figures(self) -> dict[str, Any]:
        moves = max(1, self.num_moves)
        return {
            "moves": self.num_moves,
            "ms_per_move": 1000 * self.seconds / moves,
            "mean_simulations": self.bot.num_simulations / moves,
        }


def play_match(
    agent: Contestant,
    opponent: Contestant,
    spiel_game: pyspiel.Game,
    *,
    num_openings: int,
    opening_plies: int,
    seed: int = 0,
    progress_fn: MatchProgressFn | None = None,
) -> tuple[list[Played], dict[str, dict[str, Any]]]:
    """Plays two games from each of several random openings, the agent first in one and second in the other.

    Args:
      opening_plies: uniformly random moves before each game; openings that end it are drawn again.
      seed: of the openings.

    Returns:
      The games, and for `agent` and `opponent` how many moves they made, what these took in milliseconds
      and how many simulations. A game before the first, in which the agent compiles, is not counted.

    Raises:
      UsageError: random play ends the game within the opening.
    """
    rng = np.random.default_rng(seed)
    evaluate_bots(spiel_game.new_initial_state(), (agent, opponent), rng)
    agent.num_simulations = opponent.num_simulations = 0
    clocked = _Clocked(agent), _Clocked(opponent)
    games: list[Played] = []
    for _ in range(num_openings):
        opening = _opening(spiel_game, opening_plies, rng)
        for seat, bots in enumerate((clocked, clocked[::-1])):
            state = spiel_game.new_initial_state()
            for action in opening:
                state.apply_action(action)
            outcome = evaluate_bots(state, bots, rng)[seat]
            games.append(Played(opening, seat, outcome, len(state.history())))
            if progress_fn is not None:
                progress_fn(len(games), 2 * num_openings, float(np.mean(_scores(games))))
    return games, {"agent": clocked[0].figures(), "opponent": clocked[1].figures()}


def _opening(spiel_game: pyspiel.Game, num_plies: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Random moves after which the game goes on."""
    for _ in range(_MAX_DRAWS):
        state = spiel_game.new_initial_state()
        while not state.is_terminal() and len(state.history()) < num_plies:
            state.apply_action(int(rng.choice(state.legal_actions())))
        if not state.is_terminal():
            return tuple(state.history())
    raise UsageError(
        f"{num_plies} random moves end {spiel_game.get_type().short_name}; take a shorter opening"
    )


def match_figures(games: Sequence[Played]) -> dict[str, Any]:
    """Wins, draws, losses and score, each from the agent's side.

    Returns:
      Of all games, and under `first` and `second` by the agent's seat. The score counts a draw as half a
      win. `ci95`: of the score the bootstrap's over openings, since both games of one are alike, None where
      they are fewer than ten; of the shares of wins and losses Wilson's over games.
    """
    by_seat = {
        name: _counts([game for game in games if game.seat == seat]) for seat, name in enumerate(_SEATS)
    }
    counts = _counts(games)
    intervals = {
        "score": _bootstrap(games),
        "win_rate": _wilson(counts["wins"], len(games)),
        "loss_rate": _wilson(counts["losses"], len(games)),
    }
    mean_plies = float(np.mean([game.num_plies for game in games]))
    return {**counts, **by_seat, "mean_plies": mean_plies, "ci95": intervals}


def _counts(games: Sequence[Played]) -> dict[str, Any]:
    outcomes = np.array([game.outcome for game in games])
    return {
        "games": len(games),
        "wins": int((outcomes > 0).sum()),
        "draws": int((outcomes == 0).sum()),
        "losses": int((outcomes < 0).sum()),
        "score": float(np.mean(_scores(games))),
    }


def _scores(games: Sequence[Played]) -> list[float]:
    return [0.5 + 0.5 * np.sign(game.outcome) for game in games]


def _bootstrap(games: Sequence[Played]) -> list[float] | None:
    """95 % interval of the score."""
    pairs = np.reshape(_scores(games), (-1, 2)).mean(axis=1)
    if len(pairs) < _MIN_OPENINGS:
        return None
    chosen = np.random.default_rng(0).integers(0, len(pairs), (_NUM_RESAMPLES, len(pairs)))
    return np.quantile(pairs[chosen].mean(axis=1), [0.025, 0.975]).tolist()


def _wilson(count: int, total: int) -> list[float]:
    """95 % interval of a share."""
    rate, squared = count / total, 1.96**2
    centre = (rate + squared / (2 * total)) / (1 + squared / total)
    half = 1.96 / (1 + squared / total) * np.sqrt(rate * (1 - rate) / total + squared / (4 * total**2))
    return [max(0.0, float(centre - half)), min(1.0, float(centre + half))]
