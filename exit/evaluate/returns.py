"""What a policy earns, exactly: the expectation over everything that it and chance may do.

Only positions that the policy can come to are looked at, each once. Their values follow from those of the
positions after them, in one backward pass where positions come in an order, in repeated ones where they
come back (value iteration for a fixed policy; M. Puterman, 1994, section 6.3).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from exit.errors import UserError
from exit.game import BaselineFn, Game
from exit.solve import Exact, states_of
from exit.solve.coding import chunk_rows, initial_key
from exit.solve.expand import Successors, followers, successors
from exit.solve.keys import Keys, SeenKeys, positions, unpack
from exit.solve.space import Space
from exit.solve.threads import map_rows

MixedPolicyFn = Callable[[UInt32[np.ndarray, "n K"]], Int[np.ndarray, " n"] | Float[np.ndarray, "n A"]]
"""What is played in the states of these keys: actions, or the chance of each action."""

MAX_POSITIONS = 20_000_000

_TOLERANCE = 1e-14
_MAX_SWEEPS = 100_000
_SUM_TOLERANCE = 1e-6


class Earned(NamedTuple):
    """What a policy earns.

    Attributes:
      value: expected return from the initial position, to the player whose policy it is.
      num_positions: unfinished ones that can come up.
    """

    value: float
    num_positions: int


class _Block(NamedTuple):
    """Positions of one ply with the same player to move, and where they lead.

    Attributes:
      keys: of the positions.
      mine: whether the policy's own player is to move.
      rewards: expected from the move, to the player who makes it.
      source: place in the block of the position that each transition starts from.
      weight: of the next position's value: its probability, negative where the turn passes.
      next_keys, next_mine: the next position.
    """

    keys: Keys
    mine: bool
    rewards: Float[np.ndarray, " n"]
    source: Int[np.ndarray, " e"]
    weight: Float[np.ndarray, " e"]
    next_keys: Keys
    next_mine: Bool[np.ndarray, " e"]


def expected_return(
    game: Game,
    policy_fn: MixedPolicyFn,
    *,
    opponent_fn: MixedPolicyFn | None = None,
    moves_first: bool = True,
    max_positions: int = MAX_POSITIONS,
) -> Earned:
    """The exact expected return of a policy, which may draw its actions by chance.

    Args:
      policy_fn: asked once for every unfinished position that can come up.
      opponent_fn: what the other player does; None plays the policy against itself.
      moves_first: whether the policy has the first move, which tells whose return is meant.
      max_positions: more are refused.

    Raises:
      UserError: too many positions come up.
      ValueError: chances that do not sum to one, or an illegal action with a chance above 0.
    """
    blocks: list[_Block] = []
    seen = {True: SeenKeys(), False: SeenKeys()}
    frontier = {moves_first or opponent_fn is None: initial_key(game)}
    num_positions = 0
    while frontier:
        layer = []
        for mine, keys in frontier.items():
            num_positions += len(keys)
            if num_positions > max_positions:
                raise UserError(
                    f"a policy for {game.name} can come to more than {max_positions:,} positions; "
                    "allow more with max_positions, or choose a smaller game"
                )
            seen[mine].add(keys)
            chosen = np.asarray((policy_fn if mine or opponent_fn is None else opponent_fn)(unpack(keys)))
            layer.append(_expanded(game, keys, mine, chosen, alone=opponent_fn is None))
        blocks += layer
        frontier = {mine: keys for mine in seen if len(keys := _new(layer, mine, seen[mine]))}
    value = _initial_value(blocks)
    return Earned(value if moves_first else -value, num_positions)


def policy_of(game: Game, baseline_fn: BaselineFn) -> MixedPolicyFn:
    """A policy that is given by states as one that is asked by keys."""
    return lambda keys: np.asarray(baseline_fn(states_of(game, keys)), np.float64)


def perfect_policy(exact: Exact) -> MixedPolicyFn:
    """The first of the best moves."""
    return lambda keys: exact.moves_fn(keys).optimal.argmax(axis=1)


def gap_closed(value: float, *, baseline: float, optimal: float) -> float:
    """How much of what a baseline gives away a policy does not: 0 as good as the baseline, 1 perfect.

    Raises:
      ValueError: the baseline is perfect itself.
    """
    if not optimal > baseline:
        raise ValueError(
            f"there is no gap to close: the baseline earns {baseline:.9g}, perfect play {optimal:.9g}"
        )
    return (value - baseline) / (optimal - baseline)


def _expanded(game: Game, keys: Keys, mine: bool, chosen: np.ndarray, *, alone: bool) -> _Block:
    """What follows positions in which actions, or the chance of each, are chosen."""
    chunk = chunk_rows(game, len(keys))

    def some(rows: slice) -> tuple[np.ndarray, ...]:
        if chosen.ndim == 1:
            moves, chances = followers(Space(game), keys[rows], chosen[rows], chunk), None
        else:
            moves, chances = successors(Space(game), keys[rows], chunk), chosen[rows].T
        return _transitions(game, moves, chances, rows.start)

    columns = zip(*map_rows(some, len(keys), chunk), strict=True)
    rewards, source, weight, next_keys = map(np.concatenate, columns)
    next_mine = np.full(len(weight), True) if alone else (weight > 0) == mine
    return _Block(keys, mine, rewards, source, weight, next_keys, next_mine)


def _transitions(
    game: Game, moves: Successors, chances: Float[np.ndarray, "A n"] | None, first: int
) -> tuple[np.ndarray, ...]:
    """Expected rewards, and the transitions among positions that go on: source, weight and next key.

    Args:
      chances: of the actions; None where there is but one.
      first: place of the first position in its block.
    """
    if chances is None:
        chances = np.ones(moves.legal.shape)
    if not (chances >= 0).all() or (np.abs(chances.sum(axis=0) - 1) > _SUM_TOLERANCE).any():
        raise ValueError(f"a policy for {game.name} gives chances that do not sum to one")
    if (chances[~moves.legal] > 0).any():
        raise ValueError(f"a policy for {game.name} plays an illegal action")
    probs = chances[:, None] * moves.probs
    rewards = np.where(probs > 0, probs * moves.rewards, 0.0).sum(axis=(0, 1))
    goes_on = (probs > 0) & (moves.discounts != 0)
    weight = probs[goes_on] * moves.discounts[goes_on]
    return rewards, first + np.nonzero(goes_on)[2], weight, moves.keys[goes_on]


def _new(layer: list[_Block], mine: bool, seen: SeenKeys) -> Keys:
    """Distinct positions after a layer, with this player to move, that were not there before."""
    keys = np.unique(np.concatenate([block.next_keys[block.next_mine == mine] for block in layer]))
    return keys[~seen.contains(keys)] if len(keys) else keys


def _initial_value(blocks: list[_Block]) -> float:
    """Value of the first position, to the player to move there."""
    starts = np.cumsum([0, *(len(block.keys) for block in blocks)])
    targets = _targets(blocks, starts)
    values, scale = np.zeros(starts[-1]), 0.0
    # Where play may go on without end, it earns nothing more: values are approached from 0.
    for _ in range(_MAX_SWEEPS):
        moved = 0.0
        for block, target, start in reversed(list(zip(blocks, targets, starts[:-1], strict=True))):
            gains = np.bincount(block.source, block.weight * values[target], len(block.keys))
            after, here = block.rewards + gains, slice(start, start + len(block.keys))
            moved = max(moved, float(np.abs(after - values[here]).max()))
            values[here] = after
        scale = max(scale, moved)
        if moved <= _TOLERANCE * scale:
            break
    return float(values[0])


def _targets(blocks: list[_Block], starts: Int[np.ndarray, " _"]) -> list[Int[np.ndarray, " e"]]:
    """Which position each transition of each block leads to."""
    targets = [np.zeros(len(block.weight), np.int64) for block in blocks]
    for mine in (True, False):
        own = [index for index, block in enumerate(blocks) if block.mine == mine]
        if not own:
            continue
        keys = np.concatenate([blocks[index].keys for index in own])
        places = np.concatenate([np.arange(starts[index], starts[index + 1]) for index in own])
        order = np.argsort(keys)
        keys, places = keys[order], places[order]
        for block, target in zip(blocks, targets, strict=True):
            asked = block.next_mine == mine
            target[asked] = places[positions(keys, block.next_keys[asked])]
    return targets
