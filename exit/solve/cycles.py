"""Values of states that lead into cycles, approached from both sides.

At least and at most, the value of every state lies within `value_bounds`. Backing both bounds up keeps them
on their sides, whatever play without end is worth, and where every line of play loses weight or comes to an
end they meet: with discounts below 1, or with chance that ends the game in the long run.

Where they do not meet, players can go on forever. If no move on the way brings a reward, play without end
earns 0, and the game is a recursive game (H. Everett, Recursive games, 1957): a vector of values proves that
the player to move can get that much if backing it up does not lower it, and raises it wherever it is
positive. For then play gains, on average, whenever the vector promises something, cannot stay there
forever, and ends with what was promised, or never ends where nothing was. Such a vector, and its mirror
image for the other player, is searched for close to the values of long finite games. It proves draws by
repetition, and wins in games of chance in which a player may also wait.

Bounds hold up to the rounding of double precision.
"""

import numpy as np
from jaxtyping import Float, Int

from exit.errors import UserError
from exit.game import Game
from exit.solve.induction import Known
from exit.solve.memory import MemoryLimit
from exit.solve.moves import BackUp, Bounds, Moves, followed, moves_among, restricted
from exit.solve.progress import Report
from exit.solve.space import Space
from exit.solve.threads import row_slices

_WIDTH = 2e-11
"""How far bounds may be apart, of the greatest value, to count as one value."""

_NARROW, _WIDEST = 1e-9, 1e-6
"""How far bounds are tried to be brought together, and may be apart in the end, where play may be endless."""

_LOSSES = (0.1, 0.02, 4e-3, 8e-4, 1e-4)
"""By what part a value shrinks with every move that is waited for it."""

_SHRINKING = 1e-12
"""By what part of a value a proof stays away from it, for every move that it looks ahead."""

_ROUNDING = 1e-15
"""Moves of bounds by this part of the greatest value are none."""

_BLOCK_STATES = 1 << 12
_VISITS = 3
_MAX_SWEEPS = 100_000


def solve_cycles(
    space: Space, known: Known, states: Int[np.ndarray, " n"], limit: MemoryLimit, report: Report
) -> tuple[Float[np.ndarray, " n"], float]:
    """Values of some of the known states, the values of the others being right, and how wrong they may be.

    Args:
      states: in an order in which early ones tell much about later ones.

    Raises:
      TooLarge: moves do not fit in memory.
      UserError: values cannot be bounded.
    """
    game = space.game
    scale = max(map(abs, game.value_bounds))
    moves = moves_among(space, known, states, limit)
    bounds = np.repeat(np.array(game.value_bounds, np.float64)[:, None], len(states), axis=1)
    _tighten(BackUp(moves), bounds, _WIDTH * scale, report)
    _require_consistent(game, BackUp(moves), bounds, _WIDTH * scale)
    values = bounds.mean(axis=0)
    open_ = np.flatnonzero(bounds[1] - bounds[0] > _WIDTH * scale)
    if len(open_):
        inner = restricted(moves, bounds, open_)
        if inner.paid.any():
            raise UserError(
                f"{len(open_):,} states of {game.name} have no value: play may go on forever there and earn "
                "rewards; only a discount nearer to 0 than 1 or a move without reward bounds it"
            )
        values[open_], bounds[:, open_] = _endless(inner, bounds[:, open_], report)
    error_bound = float(np.maximum(bounds[1] - values, values - bounds[0]).max())
    if error_bound > _WIDEST * scale:
        raise UserError(
            f"values of {game.name}, in which positions repeat, are known to {error_bound:.3g} only; "
            f"{_WIDEST * scale:.3g} is asked for"
        )
    return values, error_bound


def _require_consistent(game: Game, back_up: BackUp, bounds: Bounds, slack: float) -> None:
    """Raises UserError where backing bounds up takes them past each other."""
    least, most = _everywhere(back_up, bounds)
    wrong = (least > bounds[1] + slack) | (most < bounds[0] - slack)
    if wrong.any():
        raise UserError(
            f"value_bounds {game.value_bounds} of {game.name} do not hold every return: a state that must be "
            f"worth {bounds[0, wrong][0]:.6g} to {bounds[1, wrong][0]:.6g} has moves worth "
            f"{least[wrong][0]:.6g} to {most[wrong][0]:.6g}"
        )


def _tighten(back_up: BackUp, bounds: Bounds, width: float, report: Report) -> None:
    """Moves bounds towards each other, in place, until they are close or do not move any more."""
    blocks = row_slices(back_up.num_states, _BLOCK_STATES)
    for sweep in range(_MAX_SWEEPS):
        moved = max(_tighten_block(back_up, bounds, rows, width) for rows in blocks)
        closed = bounds[1] - bounds[0] <= width
        report.done("approach", sweep, int(closed.sum()))
        if moved <= width * _ROUNDING / _WIDTH or closed.all():
            return


def _tighten_block(back_up: BackUp, bounds: Bounds, rows: slice, width: float) -> float:
    """How far the bounds of one block of states moved."""
    furthest = 0.0
    for _ in range(_VISITS):
        low, high = bounds[:, rows]
        if (high - low <= width).all():
            break
        least, most = back_up(bounds, rows)
        tighter = np.stack([np.maximum(low, least), np.minimum(high, most)])
        moved = float(np.abs(tighter - bounds[:, rows]).max())
        bounds[:, rows] = tighter
        furthest = max(furthest, moved)
        if moved <= width:
            break
    return furthest


def _endless(moves: Moves, outer: Bounds, report: Report) -> tuple[Float[np.ndarray, " n"], Bounds]:
    """Values and their proofs where play without end earns 0, within bounds that are proven already."""
    scale = float(np.abs(outer).max())
    values, best, bounds = np.zeros(outer.shape[1]), outer.mean(axis=0), outer
    for loss in _LOSSES:
        # Who loses something with every move does not wait for long, and what is best then is best for
        # all smaller losses, if they are small enough (D. Gillette 1957): so it is best without any.
        impatient = BackUp(moves, 1 - loss)
        values = _settled_values(impatient, values, scale, report)
        pair = np.stack([values, values])
        actions = impatient.qvalues(pair, slice(None)).mean(axis=0).argmax(axis=0)
        followers = BackUp(followed(moves, actions))
        found = np.clip(_settled_values(followers, np.zeros(len(values)), scale, report), *outer)
        proven = _proven(BackUp(moves), found, outer, report)
        if (proven[1] - proven[0]).max() < (bounds[1] - bounds[0]).max():
            best, bounds = found, proven
        if (bounds[1] - bounds[0]).max() <= _NARROW * scale:
            break
    return best, bounds


def _settled_values(
    back_up: BackUp, values: Float[np.ndarray, " n"], scale: float, report: Report
) -> Float[np.ndarray, " n"]:
    """Values after so many moves more that another one makes no difference."""
    for sweep in range(_MAX_SWEEPS):
        after = _everywhere(back_up, np.stack([values, values])).mean(axis=0)
        moved, values = float(np.abs(after - values).max()), after
        report.done("settle", sweep, back_up.num_states)
        if moved <= scale * _ROUNDING:
            break
    return values


def _proven(back_up: BackUp, values: Float[np.ndarray, " n"], outer: Bounds, report: Report) -> Bounds:
    """Bounds that prove themselves, as close to some values as such bounds are."""
    bounds, scale = np.stack([values, values]), float(np.abs(outer).max())
    for sweep in range(_MAX_SWEEPS):
        least, most = _everywhere(back_up, bounds)
        # Shrinking what is promised to either side makes the promise strict, as the proof asks for.
        least = np.where(least > 0, least * (1 - _SHRINKING), least)
        most = np.where(most < 0, most * (1 - _SHRINKING), most)
        wider = np.clip(np.stack([np.minimum(bounds[0], least), np.maximum(bounds[1], most)]), *outer)
        moved, bounds = float(np.abs(wider - bounds).max()), wider
        report.done("prove", sweep, back_up.num_states)
        if moved <= scale * _ROUNDING:
            return bounds
    return outer


def _everywhere(back_up: BackUp, bounds: Bounds) -> Bounds:
    blocks = row_slices(back_up.num_states, _BLOCK_STATES)
    return np.concatenate([back_up(bounds, rows) for rows in blocks], axis=1)
