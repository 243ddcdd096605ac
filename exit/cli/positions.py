"""Positions as people and scripts write them: the moves that lead there, one JSON object a line."""

import codecs
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from exit.errors import UserError
from exit.game import Game, State

_MAX_MOVES = 10_000
_READ_BYTES = 1 << 16
_FEWEST_STEPS = 8


class Positions(NamedTuple):
    """What a batch of lines stands for.

    Attributes:
      states: of the lines without an error, in order, stacked along a leading axis; None if there are none.
      legal: actions legal in each of them.
      errors: for each line, what is wrong with it, or None.
    """

    states: Any
    legal: Bool[np.ndarray, "n A"]
    errors: list[str | None]


def read_batches(read_fn: Callable[[int], bytes], max_lines: int) -> Iterator[list[str]]:
    """Lines that are not blank, in batches of at most `max_lines`, as soon as they arrive.

    Args:
      read_fn: given a number of bytes, returns at most so many of those that are there, b"" at the end. With
        a file's `read1`, a program that writes a position and waits for its answer is served at once.
    """
    pending = b""
    # Windows editors begin a file with a mark.
    block = read_fn(_READ_BYTES).removeprefix(codecs.BOM_UTF8)
    while block:
        *whole, pending = (pending + block).split(b"\n")
        yield from _batches(whole, max_lines)
        block = read_fn(_READ_BYTES)
    yield from _batches([pending], max_lines)


def positions_of(game: Game, lines: Sequence[str]) -> Positions:
    """The states that lines such as `{"moves": [3, 3, 4]}` lead to from the initial state.

    For games with chance, actions and outcomes alternate.
    """
    errors: list[str | None] = [None] * len(lines)
    moves = {}
    for index, line in enumerate(lines):
        try:
            moves[index] = _moves(game, line)
        except UserError as error:
            errors[index] = str(error)
    if not moves:
        return Positions(None, np.zeros((0, game.num_actions), bool), errors)
    states, num_played, legal = _replayed(game, list(moves.values()))
    good = []
    for row, (index, played) in enumerate(moves.items()):
        errors[index] = _fault(game, played, int(num_played[row]), legal[row])
        if errors[index] is None:
            good.append(row)
    chosen = jax.tree.map(lambda leaf: leaf[np.array(good)], states) if good else None
    return Positions(chosen, legal[np.array(good, int)], errors)


Moves = list[tuple[int, int]]
"""Actions and their chance outcomes, 0 in games without chance."""


def _batches(lines: list[bytes], max_lines: int) -> Iterator[list[str]]:
    filled = [line.decode("utf-8", errors="replace") for line in lines if line.strip()]
    for start in range(0, len(filled), max_lines):
        yield filled[start : start + max_lines]


def _moves(game: Game, line: str) -> Moves:
    """The moves on a line; raises UserError where it has none."""
    form = '{"moves": [3, 3, 4]}' if game.num_outcomes == 1 else '{"moves": [action, outcome, ...]}'
    try:
        position = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"malformed JSON; write {form}") from None
    numbers = position.get("moves") if isinstance(position, dict) else None
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise UserError(f"no list of whole numbers under 'moves'; write {form}")
    if len(numbers) > _MAX_MOVES:
        raise UserError(f"there are {len(numbers):,} moves; at most {_MAX_MOVES} are read")
    if game.num_outcomes == 1:
        return [(number, 0) for number in numbers]
    if len(numbers) % 2:
        raise UserError(f"the last action has no outcome; {game.name} alternates action, outcome")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _replayed(game: Game, moves: list[Moves]) -> tuple[State, Int[np.ndarray, " n"], Bool[np.ndarray, "n A"]]:
    """States after as many moves as can be played, how many those are, and what is legal there."""
    num_steps, num_rows = _FEWEST_STEPS, 1
    # Few sizes, so that few programs are compiled.
    while num_steps < max(map(len, moves)):
        num_steps *= 2
    while num_rows < len(moves):
        num_rows *= 4
    table = np.full((num_rows, num_steps, 2), -1, np.int32)
    for row, played in enumerate(moves):
        for step, (action, outcome) in enumerate(played):
            table[row, step] = _clipped(action, game.num_actions), _clipped(outcome, game.num_outcomes)
    states, num_played, legal = jax.device_get(_replay(game, table))
    return jax.tree.map(lambda leaf: leaf[: len(moves)], (states, num_played, legal))


def _clipped(number: int, bound: int) -> int:
    """The number, or -1 if it is none of 0 to bound - 1, whatever its size."""
    return number if 0 <= number < bound else -1


@functools.partial(jax.jit, static_argnums=0)
def _replay(game: Game, moves: Int[Array, "n T 2"]) -> tuple[State, Int[Array, " n"], Bool[Array, "n A"]]:
    def step(
        carry: tuple[State, Int[Array, ""], Bool[Array, ""]], move: Int[Array, "2"]
    ) -> tuple[tuple[State, Int[Array, ""], Bool[Array, ""]], None]:
        state, num_played, playing = carry
        action, outcome = jnp.maximum(move, 0)
        known = jnp.all(move >= 0)
        legal = game.legal_actions(state)[action] & (game.outcome_probs(state, action)[outcome] > 0)
        playing = playing & known & legal
        after, _ = game.apply(state, action, outcome)
        state = jax.tree.map(lambda new, old: jnp.where(playing, new, old), after, state)
        return (state, num_played + playing, playing), None

    def replay_one(moves: Int[Array, "T 2"]) -> tuple[State, Int[Array, ""], Bool[Array, " A"]]:
        start = (game.init(), jnp.int32(0), jnp.bool_(True))
        (state, num_played, _), _ = jax.lax.scan(step, start, moves)
        return state, num_played, game.legal_actions(state)

    return jax.vmap(replay_one)(moves)


def _fault(game: Game, moves: Moves, num_played: int, legal: Bool[np.ndarray, " A"]) -> str | None:
    """What is wrong with a position of which `num_played` moves could be played."""
    if num_played == len(moves):
        return (
            None if legal.any() else f"the game is over after {num_played} moves; there is nothing to decide"
        )
    action, outcome = moves[num_played]
    which = f"action {action} (move {num_played + 1})"
    if not legal.any():
        return f"{which} comes after the end of the game; it is over after {num_played} moves"
    if not 0 <= action < game.num_actions:
        return f"{which} does not exist; actions are 0 to {game.num_actions - 1}"
    if not legal[action]:
        return f"{which} is illegal; legal are {', '.join(map(str, np.flatnonzero(legal)))}"
    return f"outcome {outcome} of {which} cannot happen; outcomes are 0 to {game.num_outcomes - 1}"
