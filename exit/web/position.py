"""Positions that a page asks for by the moves that lead there, and what it is told of them."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from exit.errors import UserError
from exit.game import Game, State, Step, action_name_of, render_of

MAX_MOVES = 4000
"""Numbers that a list of moves may have."""

_KEPT = 512
_MAX_FIELDS = 256
_MAX_CELLS = 512
_MAX_HISTORY = 400


class Position(NamedTuple):
    """A position and how it came about.

    Attributes:
      moves: what led here, as `xit act` reads it.
      state: on the host.
      legal: which actions are.
      player: who is to move, 0 for who moves first in the game.
      earned: return to player 0 so far.
      weight: what a reward to the player to move counts for player 0.
      has_opponent: whether the turn has passed before.
      before: the position one move earlier.
    """

    moves: tuple[int, ...]
    state: State
    legal: Bool[np.ndarray, " A"]
    player: int
    earned: float
    weight: float
    has_opponent: bool
    before: "Position | None"


class Book:
    """The positions of one game that were asked for lately; safe to use from several threads."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._kept: OrderedDict[tuple[int, ...], Position] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, moves: Sequence[int]) -> Position:
        """The position after these moves, in games with chance with an outcome after each.

        Raises:
          UserError: a move is illegal or an outcome cannot happen; names it and what is allowed.
        """
        stride = stride_of(self._game)
        asked = tuple(moves)
        if len(asked) % stride:
            raise UserError(f"the last action has no outcome; {self._game.name} alternates action, outcome")
        position, known = self._longest_known(asked, stride)
        for index in range(known, len(asked), stride):
            outcome = asked[index + 1] if stride == 2 else 0
            position = after(self._game, position, asked[index], outcome)
        with self._lock:
            self._kept[asked] = position
            self._kept.move_to_end(asked)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return position

    def _longest_known(self, moves: tuple[int, ...], stride: int) -> tuple[Position, int]:
        # Games are followed move by move: what is asked for is nearly always one more than is known.
        for length in range(len(moves), max(len(moves) - 3 * stride, 0), -stride):
            with self._lock:
                if (position := self._kept.get(moves[:length])) is not None:
                    return position, length
        return first(self._game), 0


def stride_of(game: Game) -> int:
    """Numbers that one move takes in a list of moves."""
    return 1 if game.num_outcomes == 1 else 2


def first(game: Game) -> Position:
    """The position that the game starts from."""
    state, legal = jax.device_get(_init(game))
    return Position((), state, np.asarray(legal), 0, 0.0, 1.0, False, None)


def after(game: Game, position: Position, action: int, outcome: int) -> Position:
    """The position one move on; raises UserError where the move cannot be made."""
    number = len(position.moves) // stride_of(game) + 1
    _check_action(game, position, action, number)
    if not 0 <= outcome < game.num_outcomes or not chances(game, position, action)[outcome] > 0:
        raise UserError(f"outcome {outcome} cannot follow action {action} (move {number})")
    state, step, legal = jax.device_get(_apply(game, position.state, np.int32(action), np.int32(outcome)))
    passes = float(step.discount) < 0
    return Position(
        moves=(*position.moves, action) if game.num_outcomes == 1 else (*position.moves, action, outcome),
        state=state,
        legal=np.asarray(legal),
        player=1 - position.player if passes else position.player,
        earned=position.earned + position.weight * float(step.reward),
        weight=position.weight * float(step.discount),
        has_opponent=position.has_opponent or passes,
        before=position,
    )


def chances(game: Game, position: Position, action: int) -> Float[np.ndarray, " C"]:
    """Probability of each outcome of a legal action."""
    if game.num_outcomes == 1:
        return np.ones(1)
    return np.asarray(_outcome_probs(game, position.state, np.int32(action)), np.float64)


def check_action(game: Game, position: Position, action: int) -> None:
    """Raises UserError where the action is illegal in the position."""
    _check_action(game, position, action, len(position.moves) // stride_of(game) + 1)


def described(game: Game, position: Position) -> dict[str, Any]:
    """What a page needs to draw a position and to offer its moves, in JSON's types."""
    is_over = not position.legal.any()
    return {
        "moves": list(position.moves),
        "played": _played(game, position),
        "player": position.player,
        "over": is_over,
        "verdict": _verdict(position) if is_over else None,
        "earned": position.earned,
        "legal": [
            {"action": int(action), "name": action_name_of(game, int(action))}
            for action in np.flatnonzero(position.legal)
        ],
        "fields": _fields(position.state),
        "observation": _observed(game, position),
        "history": _history(position),
        "text": render_of(game, jax.tree.map(jnp.asarray, position.state)),
    }


def _check_action(game: Game, position: Position, action: int, number: int) -> None:
    legal = np.flatnonzero(position.legal)
    if action in legal:
        return
    if not legal.size:
        raise UserError(f"move {number} comes after the end of the game; take moves back")
    raise UserError(f"action {action} (move {number}) is illegal; legal are {', '.join(map(str, legal))}")


def _verdict(position: Position) -> str:
    if not position.has_opponent:
        return f"The game is over; return {position.earned:.6g}."
    if position.earned == 0:
        return "The game is over: a draw."
    return f"The game is over: player {1 if position.earned > 0 else 2} wins."


def _fields(state: State) -> dict[str, Any] | None:
    """The named parts of a small state; None where it has no names or is large."""
    if not hasattr(state, "_fields") or sum(np.size(leaf) for leaf in jax.tree.leaves(state)) > _MAX_FIELDS:
        return None
    return {
        name: jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), part)
        for name, part in state._asdict().items()
    }


def _observed(game: Game, position: Position) -> list[Any] | None:
    """Planes of a board, `[rows][columns][planes]`, as the network sees it; None of what is no board."""
    shape = game.observation_shape
    if len(shape) != 3 or shape[0] * shape[1] > _MAX_CELLS:
        return None
    return np.asarray(_observe(game, position.state)).astype(int).tolist()


def _played(game: Game, position: Position) -> list[dict[str, Any]]:
    """Every move so far, oldest first."""
    found: list[dict[str, Any]] = []
    while position.before is not None:
        before = position.before
        move = position.moves[len(before.moves) :]
        found.append(
            {
                "player": before.player,
                "action": move[0],
                "name": action_name_of(game, move[0]),
                "outcome": move[1] if len(move) > 1 else None,
            }
        )
        position = before
    return found[::-1]


def _history(position: Position) -> list[dict[str, Any]]:
    """Fields of every state so far, oldest first, where they are few numbers."""
    if position.has_opponent or sum(np.size(leaf) for leaf in jax.tree.leaves(position.state)) > 8:
        return []
    found: list[dict[str, Any]] = []
    at: Position | None = position
    while at is not None and len(found) < _MAX_HISTORY:
        found.append(_fields(at.state) or {})
        at = at.before
    return found[::-1]


@functools.partial(jax.jit, static_argnums=0)
def _init(game: Game) -> tuple[State, Bool[Array, " A"]]:
    state = game.init()
    return state, game.legal_actions(state)


@functools.partial(jax.jit, static_argnums=0)
def _apply(
    game: Game, state: State, action: Int[Array, ""], outcome: Int[Array, ""]
) -> tuple[State, Step, Bool[Array, " A"]]:
    state, step = game.apply(state, action, outcome)
    return state, step, game.legal_actions(state)


@functools.partial(jax.jit, static_argnums=0)
def _outcome_probs(game: Game, state: State, action: Int[Array, ""]) -> Float[Array, " C"]:
    return game.outcome_probs(state, action)


@functools.partial(jax.jit, static_argnums=0)
def _observe(game: Game, state: State) -> Float[Array, "..."]:
    return game.observe(state)
