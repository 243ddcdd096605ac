"""Whether a game keeps the rules of the `Game` protocol, tried on random play.

The check plays games with random moves and chance, and looks at every legal move of every position on the
way; where very much can follow, at a random share of it. What it cannot see from outside, that the rules are
those of the game meant, stays with the game's own tests.
"""

from exit.conformance.check import check_game
from exit.conformance.failures import GameError

__all__ = ["GameError", "check_game"]
