"""The one-line error of a game that breaks a rule."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from exit.game import Game, render_of


class GameError(AssertionError):
    """A game breaks a rule of the protocol; one line names the rule, the game and the position."""


def failure(game: Game, rule: str, key: UInt32[Array | np.ndarray, " K"] | None = None) -> GameError:
    """The error for a broken rule, at the position of a key."""
    where = ""
    if key is not None:
        where = f" at key {np.asarray(key).tolist()}: {_position_text(game, key)}"
    return GameError(f"{game.name}: {rule}{where}")


def _position_text(game: Game, key: UInt32[Array | np.ndarray, " K"]) -> str:
    text = called(game, "render", lambda: render_of(game, game.decode(jnp.asarray(key))))
    return " / ".join(line.strip() for line in text.splitlines())


def called(game: Game, method: str, call: Callable[[], Any]) -> Any:
    """What a method of the game returns; its failure is the game's."""
    try:
        return call()
    except Exception as error:
        first_line = next(iter(str(error).splitlines()), "")
        raise GameError(f"{game.name}: {method} fails: {type(error).__name__}: {first_line}") from error
