"""Which of our games are held against which of other programs."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from exit.game import Game
from games.connect_four import ConnectFour
from games.hex import Hex
from games.nim import Nim
from games.othello import Othello
from games.tic_tac_toe import TicTacToe

from . import openspiel_rules, pgx_rules
from .games import Differences, Games, differences, random_games


class Pair(NamedTuple):
    """A game, and the same by other rules.

    Attributes:
      likely: actions to favour in random games, which would hardly ever come up.
    """

    program: str
    game: Game
    replay: Callable[[Games], Games]
    likely: tuple[int, ...] = ()


def nim_actions(heaps: tuple[int, ...]) -> Int[np.ndarray, " A"]:
    """OpenSpiel's number for each of our actions: it runs through the heaps for every number taken."""
    return np.array([taken * len(heaps) + heap for heap, size in enumerate(heaps) for taken in range(size)])


_pgx = functools.partial(functools.partial, pgx_rules.replay)
_openspiel = functools.partial(functools.partial, openspiel_rules.replay)

PAIRS = (
    Pair("pgx", TicTacToe(), _pgx(env_id="tic_tac_toe")),
    Pair("pgx", ConnectFour(), _pgx(env_id="connect_four")),
    # A swap would come up in one game of 121.
    Pair("pgx", Hex(11, swap=True), _pgx(env_id="hex"), likely=(121,)),
    Pair("pgx", Othello(8), _pgx(env_id="othello", closing_action=64)),
    Pair("openspiel", TicTacToe(), _openspiel(name="tic_tac_toe")),
    Pair("openspiel", ConnectFour(), _openspiel(name="connect_four")),
    Pair("openspiel", ConnectFour(5, 6, 3), _openspiel(name="connect_four(rows=5,columns=6,x_in_row=3)")),
    Pair("openspiel", Hex(11), _openspiel(name="hex")),
    Pair("openspiel", Hex(11, swap=True), _openspiel(name="hex(swap=True)"), likely=(121,)),
    Pair("openspiel", Othello(8), _openspiel(name="othello")),
    Pair(
        "openspiel",
        Nim((3, 4, 5)),
        _openspiel(name="nim(pile_sizes=3;4;5,is_misere=False)", actions=nim_actions((3, 4, 5))),
    ),
)


def compare(pair: Pair, num_games: int, seed: int) -> Differences:
    """Plays random games by our rules, replays them by the others, and compares every move."""
    ours = random_games(pair.game, num_games, seed, likely=pair.likely)
    return differences(ours, pair.replay(ours))
