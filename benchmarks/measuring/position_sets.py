"""Sets of 6x7 Connect Four positions on which an agent is measured, each made from a seed.

`random`: after uniformly random play. `strong`: from games of players who win as soon and lose as late as
they can, but for a random move now and then. `astray`: after random play, where an alpha-beta search of
five plies that sees nothing but lines moves wrongly. Then six sets named by stage and difficulty as in
the tutorial of J. Laurent's AlphaZero.jl: `begin` up to 14 stones, `middle` up to 28, `end` above; `easy`
if the game is over in fewer than 14 plies of perfect play, `medium` in fewer than 28, `hard` in more.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt32, UInt64

from exit.evaluate import Yardstick
from exit.solve import Exact, ExactMoves, states_of
from games.connect_four import ConnectFour

Moves = tuple[int, ...]

MAIN_SETS = ("random", "strong", "astray")
STAGED_SETS = ("begin-easy", "middle-easy", "end-easy", "begin-medium", "middle-medium", "begin-hard")

_ROWS, _COLUMNS = 6, 7
_MAX_RANDOM_PLIES = 34
_DEVIATION = 0.2
"""Share of random moves in strong play."""
_PER_STRONG_GAME = 8
_ALPHA_BETA_PLIES = 5
_CENTRE_FIRST = (3, 2, 4, 1, 5, 0, 6)
_STAGES = {"begin": (0, 14), "middle": (15, 28), "end": (29, 41)}
_DIFFICULTIES = {"easy": (1, 13), "medium": (14, 27), "hard": (28, 42)}


def load_or_make(
    name: str,
    exact_fn: Callable[[], Exact],
    folder: Path,
    num: int,
    *,
    say: Callable[[str], None] = print,
) -> Yardstick:
    """A set with the exact values of all its moves, from its file or made and written there.

    The files are lists of moves, as `xit bench --positions` reads them, with the value of each column to the
    player to move, null where it is full: a machine without the solver can use them too.

    Args:
      exact_fn: the solver, asked for only where there is no file.
      num: positions. Those of `MAIN_SETS` are all critical; the others are any, as in their source.
      say: told in one line what takes long.
    """
    path = folder / f"{name}-{num}.jsonl"
    if not path.exists():
        exact = exact_fn()
        say(f"making {num} positions of the set {name} with {exact.solver}")
        positions = _make(name, exact, num)
        qvalues = exact.moves_fn(_keys_of(positions)).qvalues
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_text("".join(map(_line, positions, qvalues)))
        partial.rename(path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    keys = _keys_of([tuple(row["moves"]) for row in rows])
    qvalues = np.array([[-np.inf if value is None else value for value in row["values"]] for row in rows])
    values, legal = qvalues.max(axis=1), qvalues != -np.inf
    moves = ExactMoves(values, qvalues, legal & (qvalues == values[:, None]), legal)
    return Yardstick(states_of(ConnectFour(), keys), moves)


def _line(moves: Moves, qvalues: Float[np.ndarray, " A"]) -> str:
    values = [None if value == -np.inf else int(value) for value in qvalues]
    return json.dumps({"moves": moves, "values": values}) + "\n"


def _make(name: str, exact: Exact, num: int) -> list[Moves]:
    rng = np.random.default_rng([len(name), *name.encode()])
    if name in STAGED_SETS:
        return _distinct(_staged(rng, *name.split("-")), num)
    if name == "random":
        return _critical(_random_positions(rng), exact, num)
    if name == "strong":
        return _critical(_strong_positions(rng), exact, num)
    if name == "astray":
        return _critical(_random_positions(rng), exact, num, _astray)
    raise ValueError(f"there is no set {name}; there are {', '.join(MAIN_SETS + STAGED_SETS)}")


# Games ------------------------------------------------------------------------------------------------


def _random_positions(rng: np.random.Generator) -> Iterator[Moves]:
    """Unfinished positions after 0 to 34 random moves, each number as often."""
    while True:
        wanted = int(rng.integers(0, _MAX_RANDOM_PLIES + 1))
        # The number of moves is kept until a game lasts as long, or late positions would be rare.
        while (moves := _random_game(rng, wanted)) is None:
            pass
        yield moves


def _random_game(rng: np.random.Generator, num_plies: int) -> Moves | None:
    """So many random moves; None if the game ended before or with them."""
    board, moves = _library().BoardCore(), []
    for _ in range(num_plies):
        moves.append(int(rng.choice(board.legalMoves(False, False))))
        board.play(moves[-1])
        if board.hasWin() or not board.movesLeft():
            return None
    return tuple(moves)


def _strong_positions(rng: np.random.Generator) -> Iterator[Moves]:
    """Unfinished positions from games of the solver against itself, a fifth of the moves random."""
    while True:
        board, moves, seen = _library().BoardCore(), [], []
        while not board.hasWin() and board.movesLeft():
            seen.append(tuple(moves))
            legal = board.legalMoves(False, False)
            if rng.random() < _DEVIATION:
                moves.append(int(rng.choice(legal)))
            else:
                moves.append(int(rng.choice(_best_moves(tuple(moves)))))
            board.play(moves[-1])
        yield from (seen[at] for at in rng.permutation(len(seen))[:_PER_STRONG_GAME])


@functools.lru_cache(maxsize=100_000)
def _best_moves(moves: Moves) -> Int[np.ndarray, " n"]:
    """Those that win soonest or lose latest."""
    board = _board_of(moves)
    legal = np.array(board.legalMoves(False, False))
    scores = np.array([_engine().scoreMove(board, move, -1) for move in legal])
    return legal[scores == scores.max()]


def _staged(rng: np.random.Generator, stage: str, difficulty: str) -> Iterator[Moves]:
    """Positions after random play of a number of stones, the game's end a number of plies away."""
    first, last = _STAGES[stage]
    soonest, latest = _DIFFICULTIES[difficulty]
    while True:
        moves = _random_game(rng, int(rng.integers(first, last + 1)))
        if moves is not None and soonest <= _plies_left(moves) <= latest:
            yield moves


def _plies_left(moves: Moves) -> int:
    """Until the end of the game, if both win as soon and lose as late as they can."""
    board, engine = _board_of(moves), _engine()
    score = engine.negamax(board, alpha=-1000, beta=1000, depth=0)
    return int(engine.scoreToMovesLeft(score, board)) if score else board.movesLeft()


# Sets ---------------------------------------------------------------------------------------------------


def _distinct(positions: Iterable[Moves], num: int) -> list[Moves]:
    """The first so many positions that differ as boards."""
    found: dict[object, Moves] = {}
    for moves in positions:
        found.setdefault(_board_of(moves).uid(), moves)
        if len(found) == num:
            break
    return list(found.values())


def _critical(
    positions: Iterator[Moves],
    exact: Exact,
    num: int,
    chosen_fn: Callable[[list[Moves], Any], Bool[np.ndarray, " n"]] | None = None,
) -> list[Moves]:
    """The first so many critical positions that differ and that `chosen_fn` chooses."""
    found: dict[object, Moves] = {}
    while len(found) < num:
        some = _distinct(positions, num)
        exact_moves = exact.moves_fn(_keys_of(some))
        wanted = exact_moves.critical
        if chosen_fn is not None:
            wanted = wanted & chosen_fn(some, exact_moves)
        for at in np.flatnonzero(wanted):
            found.setdefault(_board_of(some[at]).uid(), some[at])
    return list(found.values())[:num]


def _astray(positions: list[Moves], exact_moves: Any) -> Bool[np.ndarray, " n"]:
    """Where the alpha-beta search's move is a mistake."""
    boards = np.array([_bits_of(moves) for moves in positions], np.uint64)
    action = _alpha_beta(boards[:, 0], boards[:, 1])
    return ~exact_moves.optimal[np.arange(len(positions)), action]


# An alpha-beta search of few plies: as minimax, for many boards at once ---------------------------------

_STRIDE = _ROWS + 1
_BOTTOM = np.uint64(sum(1 << _STRIDE * column for column in range(_COLUMNS)))


def _alpha_beta(mine: UInt64[np.ndarray, " n"], theirs: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The move of a search that knows a line within its plies, and of equal ones the most central."""
    values = [
        np.where(_can_play(mine, theirs, column), _after(mine, theirs, column, _ALPHA_BETA_PLIES), -2)
        for column in _CENTRE_FIRST
    ]
    return np.array(_CENTRE_FIRST)[np.argmax(values, axis=0)]


def _value(mine: np.ndarray, theirs: np.ndarray, num_plies: int) -> np.ndarray:
    """Value to the player to move; 0 if nothing is decided within the plies or the board is full."""
    if not num_plies:
        return np.zeros(len(mine), np.int8)
    value = np.full(len(mine), -2, np.int8)
    for column in range(_COLUMNS):
        playable = np.flatnonzero(_can_play(mine, theirs, column) & (value < 1))
        value[playable] = np.maximum(
            value[playable], _after(mine[playable], theirs[playable], column, num_plies)
        )
    return np.where(value == -2, 0, value).astype(np.int8)


def _after(mine: np.ndarray, theirs: np.ndarray, column: int, num_plies: int) -> np.ndarray:
    """Value of a move to the one who makes it."""
    stone = (mine | theirs) + np.uint64(1 << _STRIDE * column)
    after = mine | (stone & np.uint64(((1 << _ROWS) - 1) << _STRIDE * column) & ~theirs)
    value = np.ones(len(mine), np.int8)
    rest = np.flatnonzero(~_has_line(after))
    value[rest] = -_value(theirs[rest], after[rest], num_plies - 1)
    return value


def _can_play(mine: np.ndarray, theirs: np.ndarray, column: int) -> Bool[np.ndarray, " n"]:
    return (mine | theirs) & np.uint64(1 << (_STRIDE * column + _ROWS - 1)) == 0


def _has_line(board: np.ndarray) -> Bool[np.ndarray, " n"]:
    found = np.zeros(len(board), bool)
    for direction in (1, _STRIDE - 1, _STRIDE, _STRIDE + 1):
        pairs = board & (board >> np.uint64(direction))
        found |= (pairs & (pairs >> np.uint64(2 * direction))) != 0
    return found


# Boards of move lists -----------------------------------------------------------------------------------


def _bits_of(moves: Moves) -> tuple[int, int]:
    """Stones of the player to move and of the other."""
    heights, boards = [0] * _COLUMNS, [0, 0]
    for ply, column in enumerate(moves):
        boards[ply % 2] |= 1 << (_STRIDE * column + heights[column])
        heights[column] += 1
    return boards[len(moves) % 2], boards[(len(moves) + 1) % 2]


def _keys_of(positions: Sequence[Moves]) -> UInt32[np.ndarray, "n K"]:
    """Keys of the positions, as the game encodes them."""
    most = _ROWS * _COLUMNS
    padded = np.array([[*moves, *[-1] * (most - len(moves))] for moves in positions], np.int32)
    return np.asarray(_encoded(jnp.asarray(padded)))


@jax.jit
def _encoded(actions: Int[jax.Array, "n T"]) -> jax.Array:
    game = ConnectFour()

    def play(state: Any, action: jax.Array) -> tuple[Any, None]:
        after, _ = game.apply(state, jnp.maximum(action, 0), jnp.int32(0))
        return jax.tree.map(lambda new, old: jnp.where(action >= 0, new, old), after, state), None

    return jax.vmap(lambda row: game.encode(jax.lax.scan(play, game.init(), row)[0]))(actions)


def _board_of(moves: Moves) -> Any:
    board = _library().BoardCore()
    for move in moves:
        board.play(move)
    return board


def _library() -> Any:
    from bitbully import bitbully_core

    return bitbully_core


@functools.cache
def _engine() -> Any:
    """The solver with the opening book that also tells how soon a game is won."""
    from bitbully_databases import BitBullyDatabases

    return _library().BitBullyCore(Path(BitBullyDatabases.get_database_path("12-ply-dist")))
