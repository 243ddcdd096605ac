"""OpenSpiel beside the engine: its games by our names, our agents as its bots, its bots as opponents."""

from exit.openspiel.arena import Contestant, MatchProgressFn, Played, match_figures, play_match
from exit.openspiel.bot import AgentBot, Player
from exit.openspiel.opponents import mcts_opponent, random_opponent
from exit.openspiel.rules import Translation, translation_of

__all__ = [
    "AgentBot",
    "Contestant",
    "MatchProgressFn",
    "Played",
    "Player",
    "Translation",
    "match_figures",
    "mcts_opponent",
    "play_match",
    "random_opponent",
    "translation_of",
]
