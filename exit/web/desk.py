"""One agent that a page may ask: its positions, its trees, and the exact values of its game."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from exit.agent import Agent
from exit.coherence import Coherence, coherence, deepest
from exit.errors import UserError
from exit.network import make_network
from exit.rundir import settings_of
from exit.search import Thought
from exit.solve import Exact, ExactMoves
from exit.web.position import Book, Position, stride_of

ROOM = 4096
"""Simulations that a tree has room for before a larger program must be compiled."""

_TREES_KEPT = 48
_TREE_BYTES = 1 << 30
_COHERENCE_LEAVES = 2048


@dataclass(eq=False)
class Desk:
    """An agent, and what is remembered for those who ask it.

    Attributes:
      name: by which it is asked for; never a path.
      exact: exact values, once they are known.
      no_exact: why there are none.
      is_warm: whether its search has been compiled.
    """

    name: str
    agent: Agent
    exact: Exact | None = None
    no_exact: str | None = "exact values are still being computed"
    is_warm: bool = False
    book: Book = field(init=False)
    _trees: "OrderedDict[tuple[int, ...], Thought]" = field(init=False, default_factory=OrderedDict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _exact_lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.book = Book(self.agent.game)

    def described(self) -> dict[str, Any]:
        """What a page is told of the agent, in JSON's types."""
        game = self.agent.game
        return {
            "name": self.name,
            "game": game.name,
            "settings": settings_of(game),
            "chance": game.num_outcomes > 1,
            # Where two play for each other's loss, bounds are symmetric.
            "single": game.value_bounds[0] != -game.value_bounds[1],
            "value_bounds": list(game.value_bounds),
            "capacity": self.agent.search.max_simulations,
            "step": self.agent.step,
            "solver": None if self.exact is None else self.exact.solver,
            "no_exact": self.no_exact if self.exact is None else None,
            "is_run": self.agent.source.is_dir(),
        }

    def thought(self, position: Position, most: int | None = None) -> Thought:
        """What is known of a position: its tree, what an earlier tree held below it, or the reflex alone.

        Args:
          most: simulations that it may have at most; a tree that has more is left for later.
        """
        kept = self._kept(position.moves)
        if kept is None and (kept := self._from_before(position)) is not None:
            self.keep(position, kept)
        if kept is None or (most is not None and int(kept.result.num_simulations) > most):
            return self.agent.think(_on_device(position), 0, room=ROOM, max_bytes=_TREE_BYTES)
        return kept

    def keep(self, position: Position, thought: Thought) -> None:
        """Remembers a tree, unless a larger one is known."""
        with self._lock:
            known = self._trees.get(position.moves)
            if known is None or known.result.num_simulations <= thought.result.num_simulations:
                self._trees[position.moves] = thought
            self._trees.move_to_end(position.moves)
            while len(self._trees) > _TREES_KEPT:
                self._trees.popitem(last=False)

    def more(self, thought: Thought, budget: int) -> Thought:
        """The thought with so many more simulations, its answer ready."""
        thought = self.agent.think_more(thought, budget, max_bytes=_TREE_BYTES)
        jax.block_until_ready(thought.result)
        self.is_warm = True
        return thought

    def exact_moves(self, position: Position) -> ExactMoves:
        """Exact values of one position, as a batch of one; raises UserError where there are none."""
        if self.exact is None:
            raise UserError(f"no exact values: {self.no_exact}")
        key = np.asarray(self.agent.game.encode(_on_device(position)))[None]
        # Libraries that solve are made for one caller at a time.
        with self._exact_lock:
            return self.exact.moves_fn(key)

    def coherence(self, position: Position) -> Coherence:
        """What the network says of one unfinished position and of its successors."""
        game = self.agent.game
        states = jax.tree.map(lambda leaf: np.asarray(leaf)[None], position.state)
        depth = min(2, deepest(game, _COHERENCE_LEAVES))
        predict = make_network(self.agent.config.network, game).predict
        return coherence(self.agent.params, states, game=game, predict=predict, max_depth=depth)

    def _kept(self, moves: tuple[int, ...]) -> Thought | None:
        with self._lock:
            return self._trees.get(moves)

    def _from_before(self, position: Position) -> Thought | None:
        """The part of the tree one move earlier that lies below that move, if it was searched."""
        if position.before is None or (before := self._kept(position.before.moves)) is None:
            return None
        move = position.moves[len(position.before.moves) :]
        if not int(before.result.visit_counts[move[0]]):
            return None
        return self.agent.advance(before, move[0], move[1] if stride_of(self.agent.game) == 2 else 0)


def _on_device(position: Position) -> Any:
    return jax.tree.map(jax.numpy.asarray, position.state)
