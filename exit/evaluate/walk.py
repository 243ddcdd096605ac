"""Everything that can happen to an agent: it follows its policy while the opponent does anything."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from exit.game import Game
from exit.solve.coding import chunk_rows, initial_key
from exit.solve.expand import successors
from exit.solve.keys import Keys, SeenKeys, pack, positions, unpack
from exit.solve.space import Space
from exit.solve.threads import row_slices

PolicyFn = Callable[[UInt32[np.ndarray, "n K"]], Int[np.ndarray, " n"]]
"""The moves an agent plays at the states of these keys."""

_TOLERANCE = 1e-12
_MAX_SWEEPS = 100_000


class Edges(NamedTuple):
    """What may follow each position, in the order of positions, actions and outcomes.

    Attributes:
      source: index of the position.
      action, outcome: what leads on.
      prob: of the outcome.
      reward, discount: as in `Step`.
      target: index of the next position; -1 where the game is over.
    """

    source: Int[np.ndarray, " e"]
    action: Int[np.ndarray, " e"]
    outcome: Int[np.ndarray, " e"]
    prob: Float[np.ndarray, " e"]
    reward: Float[np.ndarray, " e"]
    discount: Float[np.ndarray, " e"]
    target: Int[np.ndarray, " e"]


class Walk(NamedTuple):
    """Every unfinished position that comes up while an agent plays one seat, the initial one first.

    Attributes:
      keys: of the positions, as `Game.encode` makes them.
      mine: whether the agent is to move there.
      played: the agent's move; -1 where the opponent is to move.
      ply: fewest moves that lead there.
      edges: what follows: the agent's one move, all of the opponent's.
      num_outcomes: of the game.
    """

    keys: UInt32[np.ndarray, "n K"]
    mine: Bool[np.ndarray, " n"]
    played: Int[np.ndarray, " n"]
    ply: Int[np.ndarray, " n"]
    edges: Edges
    num_outcomes: int

    @property
    def has_opponent(self) -> bool:
        """Whether the turn ever passes to another player."""
        return bool((self.edges.discount < 0).any())


class _Block(NamedTuple):
    """Positions of one ply with the same player to move, and what follows them."""

    keys: Keys
    mine: bool
    played: Int[np.ndarray, " n"]
    ply: int
    edges: Edges
    next_keys: Keys
    next_mine: Bool[np.ndarray, " e"]


def walk(
    game: Game,
    policy_fn: PolicyFn,
    *,
    moves_first: bool,
    max_positions: int,
    progress_fn: Callable[[int], None] | None = None,
) -> Walk | None:
    """Follows an agent from the initial position.

    Args:
      moves_first: whether the agent is the player to move there.
      max_positions: give up beyond so many.
      progress_fn: told how many positions were found.

    Returns:
      The positions, or None if there are too many.
    """
    seen = {True: SeenKeys(), False: SeenKeys()}
    frontier = {moves_first: initial_key(game)}
    blocks: list[_Block] = []
    ply = num_positions = 0
    while frontier:
        layer = []
        for mine, keys in frontier.items():
            seen[mine].add(keys)
            num_positions += len(keys)
            if num_positions > max_positions:
                return None
            layer.append(_expanded(game, keys, mine, ply, policy_fn, num_positions - len(keys)))
        blocks += layer
        if progress_fn is not None:
            progress_fn(num_positions)
        frontier = {mine: keys for mine in seen if len(keys := _new(layer, mine, seen[mine]))}
        ply += 1
    return _joined(blocks, game.num_outcomes)


def _expanded(game: Game, keys: Keys, mine: bool, ply: int, policy_fn: PolicyFn, first_index: int) -> _Block:
    """What follows these positions; targets are not known yet."""
    played = np.asarray(policy_fn(unpack(keys))) if mine else np.full(len(keys), -1)
    parts, chunk = [], chunk_rows(game, len(keys))
    for some in row_slices(len(keys), chunk):
        moves = successors(Space(game), keys[some], chunk)
        # States first, so that what follows each of them stands together.
        columns = moves.probs, moves.rewards, moves.discounts, moves.keys
        columns = [np.moveaxis(column, -1, 0) for column in columns]
        exists = columns[0] > 0
        if mine:
            exists &= (np.arange(game.num_actions) == played[some, None])[..., None]
        state, action, outcome = np.nonzero(exists)
        source = state + some.start + first_index
        parts.append((source, action, outcome, *(column[exists] for column in columns)))
    source, action, outcome, prob, reward, discount, next_keys = map(np.concatenate, zip(*parts, strict=True))
    edges = Edges(source, action, outcome, prob, reward, discount, np.full(len(source), -1))
    return _Block(keys, mine, played, ply, edges, next_keys, (discount > 0) == mine)


def _new(layer: list[_Block], mine: bool, seen: SeenKeys) -> Keys:
    """Distinct unfinished positions after a layer, with this player to move, that were not there before."""
    after = [block.next_keys[(block.next_mine == mine) & (block.edges.discount != 0)] for block in layer]
    keys = np.unique(np.concatenate(after))
    return keys[~seen.contains(keys)] if len(keys) else keys


def _joined(blocks: list[_Block], num_outcomes: int) -> Walk:
    """The blocks as one walk, each move's target looked up."""
    keys = np.concatenate([block.keys for block in blocks])
    sizes = [len(block.keys) for block in blocks]
    mine = np.repeat([block.mine for block in blocks], sizes)
    edges = Edges(
        *(np.concatenate(column) for column in zip(*(block.edges for block in blocks), strict=True))
    )
    next_keys = np.concatenate([block.next_keys for block in blocks])
    next_mine = np.concatenate([block.next_mine for block in blocks])
    for whose in (True, False):
        here = np.flatnonzero(mine == whose)
        asked = (next_mine == whose) & (edges.discount != 0)
        if len(here) and asked.any():
            order = here[np.argsort(keys[here])]
            edges.target[asked] = order[positions(keys[order], next_keys[asked])]
    return Walk(
        keys=unpack(keys),
        mine=mine,
        played=np.concatenate([block.played for block in blocks]),
        ply=np.repeat([block.ply for block in blocks], sizes),
        edges=edges,
        num_outcomes=num_outcomes,
    )


def best_reply(walk: Walk) -> float:
    """Value of the initial position, to the player to move there, against an opponent's best response.

    Where positions repeat, play that never ends earns nothing more.
    """
    edges = walk.edges
    goes_on = edges.target >= 0
    of_action = np.flatnonzero(_changes(edges.source) | _changes(edges.action))
    of_position = np.flatnonzero(_changes(edges.source[of_action]))
    values = np.zeros(len(walk.mine))
    for _ in range(_MAX_SWEEPS):
        returns = edges.reward + np.where(goes_on, edges.discount * values[edges.target], 0.0)
        qvalues = np.add.reduceat(edges.prob * returns, of_action)
        # The agent has but one move, so that the best one is the opponent's choice alone.
        before, values = values, np.maximum.reduceat(qvalues, of_position)
        if np.abs(values - before).max() <= _TOLERANCE:
            break
    return float(values[0])


def _changes(column: np.ndarray) -> Bool[np.ndarray, " n"]:
    """True where an entry differs from the one before it."""
    first = np.ones(len(column), bool)
    first[1:] = column[1:] != column[:-1]
    return first


def line_to(walk: Walk, index: int) -> list[int]:
    """Moves that lead to a position, as `xit act` reads them: with chance, actions and outcomes alternate."""
    line: list[int] = []
    while index:
        # Every position but the first was found by a move from the ply before it.
        into = np.flatnonzero(walk.edges.target == index)
        edge = into[np.argmin(walk.ply[walk.edges.source[into]])]
        action, outcome = int(walk.edges.action[edge]), int(walk.edges.outcome[edge])
        line = [action, *([outcome] if walk.num_outcomes > 1 else []), *line]
        index = int(walk.edges.source[edge])
    return line


def recalled(keys: UInt32[np.ndarray, "n K"], actions: Int[np.ndarray, " n"]) -> PolicyFn:
    """The policy that was decided on before; every position that it is asked for must be among the keys."""
    packed = pack(keys)
    order = np.argsort(packed)
    known, moves = packed[order], actions[order]
    return lambda asked: moves[positions(known, pack(asked))]
