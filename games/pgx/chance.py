"""What Pgx games draw by chance, told as outcomes.

Pgx draws inside `step` and `init` with a random key and does not say what might have come. Here it is said,
game by game, and of each outcome a key is known that draws it, so that the rules remain Pgx's own.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from games.pgx.layout import PgxEnvState


class Opening(NamedTuple):
    """Draws before the first move, stage by stage from stage 1 on; stage 0 is the game itself.

    Attributes:
      shown: what a state shows before the draw of each stage, leaves `[S, ...]`; only action 0 is legal.
      probs: of each outcome of a stage.
      drawn: what it shows after the draw, leaves `[S, C, ...]`.
      next_stage: the stage after the draw.
    """

    shown: PgxEnvState
    probs: Float[np.ndarray, "S C"]
    drawn: PgxEnvState
    next_stage: Int[np.ndarray, "S C"]


class Chance(NamedTuple):
    """The chance outcomes of a game.

    Attributes:
      probs_fn: `probs(state, action)`, of each outcome.
      seeds_fn: `seeds(state, action)`: of each outcome, the seed of a key with which `step` draws it.
      opening: what is drawn before the first move.
    """

    num_outcomes: int
    probs_fn: Callable[[PgxEnvState, Int[Array, ""]], Float[Array, " C"]]
    seeds_fn: Callable[[PgxEnvState, Int[Array, ""]], Int[Array, " C"]]
    opening: Opening


def key_of(seed: int | Int[Array, "..."]) -> Key[Array, "..."]:
    """The random key of a seed, whatever kind of keys is the default."""
    return jax.random.key(seed, impl="threefry2x32")


def _seeds_of(found: Int[np.ndarray, "n E"], wanted: Int[np.ndarray, "m E"]) -> Int[np.ndarray, " m"]:
    """The first row of `found`, which is a seed, that equals each row wanted."""
    drawn, first = np.unique(found, axis=0, return_index=True)
    seeds = dict(zip(map(tuple, drawn.tolist()), first.tolist(), strict=True))
    return np.array([seeds[tuple(row)] for row in wanted.tolist()], np.int32)


def _blank(env: Any, *axes: int) -> PgxEnvState:
    """NumPy states with these leading axes, all zero but that action 0 is legal."""
    state = jax.tree.map(
        lambda leaf: np.zeros((*axes, *leaf.shape), leaf.dtype), jax.eval_shape(env.init, key_of(0))
    )
    state.legal_action_mask[..., 0] = True
    return state


def _after_first_action(env: Any, seed: Int[Array, ""], **fields: Array) -> PgxEnvState:
    """The state that action 0 leads to from a blank one with some fields set."""
    state = jax.tree.map(jnp.asarray, _blank(env)).replace(**fields)
    return env.step(state, jnp.int32(0), key_of(seed))


def _quickly(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns for stacked arguments, as NumPy arrays; what runs once is not optimised."""
    compiled = jax.jit(jax.vmap(function), compiler_options={"xla_backend_optimization_level": 0})
    return jax.tree.map(np.asarray, compiled(*arguments))


_ROLLS = np.array([(low, high) for low in range(6) for high in range(low, 6)], np.int32)
_ROLL_PROBS = np.where(_ROLLS[:, 0] == _ROLLS[:, 1], 1 / 36, 2 / 36)
_FIRST_ROLL_PROBS = np.where(_ROLLS[:, 0] == _ROLLS[:, 1], 0, 1 / 15)
_STAYS = np.eye(len(_ROLLS))[0]
_NUM_ROLL_SEEDS = 1 << 12


def backgammon(env: Any) -> Chance:
    """An outcome is a roll of two dice, the lower one first: 1-1, 1-2, ..., 6-6.

    Dice are rolled when the turn passes; a move that leaves dice to play has the one outcome 0. The first
    roll is never a double, and who rolled the higher die, the player to move from the beginning on, plays it.
    """

    def roll(seed: Int[Array, ""]) -> tuple[PgxEnvState, Array]:
        # Whatever the position, action 0 passes the turn.
        return env.init(key_of(seed)), _after_first_action(env, seed)._dice

    starts, rolls = _quickly(roll, np.arange(_NUM_ROLL_SEEDS))
    seeds = _seeds_of(rolls, _ROLLS)
    # Doubles do not come; in their place any roll will do.
    first_rolls = np.where(_FIRST_ROLL_PROBS[:, None] > 0, _ROLLS, _ROLLS[1])
    first_seeds = _seeds_of(
        np.column_stack([starts._dice, starts.current_player]), np.pad(first_rolls, ((0, 0), (0, 1)))
    )
    drawn = jax.tree.map(lambda leaf: leaf[None, first_seeds], starts)
    shown = _blank(env, 1).replace(_board=starts._board[:1], _playable_dice=np.full((1, 4), -1, np.int32))

    def probs(state: PgxEnvState, action: Int[Array, ""]) -> Float[Array, " C"]:
        passes = env.step(state, action, key_of(0)).current_player != state.current_player
        return jnp.where(passes, jnp.asarray(_ROLL_PROBS), jnp.asarray(_STAYS))

    opening = Opening(shown, _FIRST_ROLL_PROBS[None], drawn, np.zeros((1, len(_ROLLS)), np.int32))
    return Chance(len(_ROLLS), probs, lambda state, action: jnp.asarray(seeds), opening)


_NUM_CELLS = 16
_TILE_PROBS = np.array([0.9, 0.1])  # of a 2 and of a 4, which a board holds as 1 and 2
_NUM_TILE_SEEDS = 1 << 12
_NUM_START_SEEDS = 1 << 17


def _tile_probs(num_empty: int) -> Float[np.ndarray, "32"]:
    """Of outcome 2 r + t: the tile t, 0 for a 2 and 1 for a 4, on the r-th empty cell."""
    on_board = np.arange(_NUM_CELLS)[:, None] < num_empty
    return (on_board * _TILE_PROBS / num_empty).reshape(-1)


def _tile_seeds(env: Any) -> Int[np.ndarray, "15 32"]:
    """Of each number of empty cells, from 1 on, and each outcome: a seed that draws it."""
    cells = np.arange(_NUM_CELLS)
    num_tiles = _NUM_CELLS - 1 - np.arange(_NUM_CELLS - 1)
    # Rows without gaps and without equal neighbours, which do not move to the left.
    boards = np.where(cells < num_tiles[:, None], 1 + cells % 2, 0).astype(np.int32)
    seeds = jnp.arange(_NUM_TILE_SEEDS)

    def new_tile(board: Int[Array, "16"], seed: Int[Array, ""]) -> Int[Array, "2"]:
        after = _after_first_action(env, seed, _board=board)._board
        cell = jnp.argmax(after != board)
        return jnp.stack([cell, after[cell]])

    found = _quickly(lambda board: jax.vmap(functools.partial(new_tile, board))(seeds), boards)
    rank, tile = np.divmod(np.arange(2 * _NUM_CELLS), 2)
    rows = []
    for tiles, drawn in zip(num_tiles, found, strict=True):
        # An outcome on a cell that is not empty does not come; in its place any cell will do.
        cell = np.minimum(tiles + rank, _NUM_CELLS - 1)
        rows.append(_seeds_of(drawn, np.stack([cell, tile + 1], axis=1)))
    return np.stack(rows)


def _start_boards() -> tuple[Int[np.ndarray, "32 16"], Int[np.ndarray, "32 32 16"]]:
    """Boards after the first tile, and after the second, by outcome."""
    first = np.zeros((2 * _NUM_CELLS, _NUM_CELLS), np.int32)
    rank, tile = np.divmod(np.arange(2 * _NUM_CELLS), 2)
    first[np.arange(2 * _NUM_CELLS), rank] = tile + 1
    both = np.repeat(first[:, None], 2 * _NUM_CELLS, axis=1)
    for outcome, board in enumerate(first):
        empty = np.flatnonzero(board == 0)
        both[outcome, np.arange(2 * _NUM_CELLS), empty[np.minimum(rank, len(empty) - 1)]] = tile + 1
    return first, both


def play_2048(env: Any) -> Chance:
    """Outcome 2 r + t is a new tile on the r-th empty cell, row by row: a 2 if t is 0, a 4 if it is 1.

    The two tiles of the beginning are drawn one after the other.
    """
    seeds = _tile_seeds(env)
    probs_of = np.stack([_tile_probs(num_empty) for num_empty in range(1, _NUM_CELLS)])

    def num_empty(state: PgxEnvState, action: Int[Array, ""]) -> Int[Array, ""]:
        """Empty cells between move and draw, less 1."""
        after = env.step(state, action, key_of(0))
        return jnp.minimum(jnp.sum(after._board == 0), len(seeds) - 1)

    return Chance(
        2 * _NUM_CELLS,
        lambda state, action: jnp.asarray(probs_of)[num_empty(state, action)],
        lambda state, action: jnp.asarray(seeds)[num_empty(state, action)],
        _first_tiles(env),
    )


def _first_tiles(env: Any) -> Opening:
    """Stage 1 draws the first tile, stage 2 + o the second one after outcome o."""
    starts = _quickly(lambda seed: env.init(key_of(seed)), np.arange(_NUM_START_SEEDS))
    first, both = _start_boards()
    seeds = _seeds_of(starts._board, both.reshape(-1, _NUM_CELLS)).reshape(both.shape[:2])
    boards = np.concatenate([np.zeros_like(first[:1]), first])
    shown = _blank(env, len(boards)).replace(_board=boards)
    return Opening(
        shown=shown,
        probs=np.stack([_tile_probs(_NUM_CELLS), *[_tile_probs(_NUM_CELLS - 1)] * len(first)]),
        drawn=jax.tree.map(
            lambda before, start: np.concatenate([before[None, 1:], start[seeds]]), shown, starts
        ),
        next_stage=np.concatenate([2 + np.arange(len(first))[None], np.zeros_like(seeds)]),
    )


CHANCE: Mapping[str, Callable[[Any], Chance]] = {"2048": play_2048, "backgammon": backgammon}
"""What describes the chance of a game, by the name of the game."""
