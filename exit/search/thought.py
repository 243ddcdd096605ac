"""Thinking about one state for as long as one likes: a tree that is kept, continued and moved along."""

import functools
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from exit.game import Game, State
from exit.memory import available_bytes
from exit.network import Params, PredictFn
from exit.search.api import plant_at
from exit.search.config import SearchConfig, require_prefix_consistent
from exit.search.forest import Forest, by_rounds, findings, num_rows
from exit.search.grow import grow
from exit.search.halving import before_first
from exit.search.node import Limits
from exit.search.noise import Noise
from exit.search.result import SearchResult, summarise
from exit.search.tree import UNVISITED, Tree

_FIRST_ROWS = 512
"""Rows that a thought starts with; they double as it grows."""

_SHARE_OF_AVAILABLE = 0.8


class TooMuchThought(ValueError):
    """The tree would not fit in the memory allowed."""


@dataclass(frozen=True, eq=False)
class Thought:
    """What has been thought about one state; deterministic, a function of state, parameters and budget.

    Attributes:
      result: the answer so far, without a batch axis; `num_simulations` counts those that went through
        this state, also before it was reached.
      forest: the tree, a batch of one.
    """

    result: SearchResult
    forest: Forest


class Thinker(NamedTuple):
    """Who thinks: everything but the state.

    Attributes:
      config: a policy without noise whose first n simulations do not depend on the budget;
        `max_simulations` is not used.
      max_bytes: memory that a tree may fill; None is most of what is available.
    """

    params: Params
    game: Game
    predict: PredictFn
    config: SearchConfig
    max_bytes: int | None = None


def think(thinker: Thinker, state: State, budget: int) -> Thought:
    """Search one state (leaves without a batch axis) and keep the tree.

    Raises:
      ValueError: the policy plans for the whole budget, or the budget is negative.
      TooMuchThought: so many simulations do not fit in the memory allowed; nothing is allocated.
    """
    require_prefix_consistent(thinker.config)
    rows = max(_FIRST_ROWS, 2 * num_rows(1, 0, thinker.game, thinker.config))
    planted = _plant(
        thinker.params,
        jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state),
        rows=rows,
        game=thinker.game,
        predict=thinker.predict,
        config=thinker.config,
    )
    return _continue(thinker, planted, budget)


def think_more(thinker: Thinker, thought: Thought, budget: int) -> Thought:
    """Add simulations to a thought: n and then m are the same as n + m at once.

    Raises:
      ValueError: the budget is negative.
      TooMuchThought: so many simulations do not fit in the memory allowed; the thought is left as it is.
    """
    return _continue(thinker, thought.forest, budget)


def think_until(
    thinker: Thinker, state: State, budget: Int[np.ndarray, " B"], deadline_ms: float | int
) -> SearchResult:
    """Search a batch of states until the budget is spent or time is up; the answer is the best so far.

    The search is done in chunks, each as long as is expected to fit: the deadline is met but for what one
    chunk takes longer than those before it. The reflex is always computed. Compiling is not charged.

    Args:
      state: leaves have a leading batch axis B.
      budget: the most that is spent on each state.

    Raises:
      ValueError: the policy plans for the whole budget.
    """
    require_prefix_consistent(thinker.config)
    program = {"game": thinker.game, "predict": thinker.predict, "config": thinker.config}
    rows = num_rows(len(budget), int(budget.max(initial=0)), thinker.game, thinker.config)
    compiled = _grow_in_place._cache_size()
    begun = time.perf_counter()
    forest = _plant(thinker.params, state, rows=1 << (rows - 1).bit_length(), **program)
    forest, result = jax.block_until_ready(_grow_in_place(thinker.params, forest, 0 * budget, **program))
    if _grow_in_place._cache_size() > compiled:
        begun = time.perf_counter()
    reach, chunk, took = 0, 1, 0.0
    while reach < budget.max(initial=0):
        now = time.perf_counter()
        left = deadline_ms / 1e3 - (now - begun)
        # As much as is left, as far as the last chunk tells; at most twice as much as that.
        chunk = int(min(2 * chunk, chunk * left / took)) if took else chunk
        if left <= 0 or chunk < 1:
            break
        reach += chunk
        forest, result = jax.block_until_ready(
            _grow_in_place(thinker.params, forest, np.minimum(budget, reach), **program)
        )
        took = time.perf_counter() - now
    return result


def advance(thinker: Thinker, thought: Thought, action: int, outcome: int = 0) -> Thought:
    """The thought about the state after a move, with all that was found below it.

    Args:
      outcome: what chance made of the move; 0 in deterministic games.

    Raises:
      ValueError: the move is illegal, or the outcome cannot happen.
    """
    forest = jax.tree.map(np.asarray, thought.forest)
    root = int(forest.root[0])
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf[root]), forest.tree.nodes.state)
    _check_move(thinker.game, state, action, outcome)
    base = int(forest.tree.nodes.child[root, action])
    if base == UNVISITED:
        after, _ = thinker.game.apply(state, jnp.int32(action), jnp.int32(outcome))
        return think(thinker, after, 0)
    return _continue(thinker, _moved(forest, base + outcome, thinker.config), 0)


def _check_move(game: Game, state: State, action: int, outcome: int) -> None:
    legal = np.flatnonzero(game.legal_actions(state))
    if action not in legal:
        allowed = f"legal are {', '.join(map(str, legal))}" if legal.size else "the game is over"
        raise ValueError(f"action {action} is illegal here; {allowed}")
    possible = np.flatnonzero(game.outcome_probs(state, jnp.int32(action)) > 0)
    if outcome not in possible:
        raise ValueError(
            f"outcome {outcome} cannot follow action {action}; possible are {', '.join(map(str, possible))}"
        )


def _continue(thinker: Thinker, forest: Forest, budget: int) -> Thought:
    if budget < 0:
        raise ValueError(f"budget {budget} is negative; it must be at least 0")
    game, config = thinker.game, thinker.config
    # A root counts as a row, which a tree has already.
    needed = int(forest.tree.size) + num_rows(1, budget, game, config) - 1
    rows = forest.tree.nodes.parent.shape[0]
    if needed > rows:
        forest = _enlarged(forest, 1 << (needed - 1).bit_length(), thinker.max_bytes)
    forest, result = _grow_copy(
        thinker.params,
        forest,
        forest.spent + budget,
        game=game,
        predict=thinker.predict,
        config=config,
    )
    return Thought(jax.tree.map(lambda leaf: leaf[0], result), forest)


@functools.partial(jax.jit, static_argnames=("rows", "game", "predict", "config"))
def _plant(
    params: Params, state: State, *, rows: int, game: Game, predict: PredictFn, config: SearchConfig
) -> Forest:
    zeros = jnp.zeros((jax.tree.leaves(state)[0].shape[0], game.num_actions))
    return plant_at(params, state, Noise(zeros, zeros), rows, game=game, predict=predict, config=config)


def _grow(
    params: Params,
    forest: Forest,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> tuple[Forest, SearchResult]:
    limits = Limits.of(game)
    forest = grow(params, forest, budget, game=game, predict=predict, config=config)
    draw = jnp.zeros_like(forest.explore)
    return forest, summarise(findings(forest, limits), draw, limits=limits, config=config)


_grow_copy = jax.jit(_grow, static_argnames=("game", "predict", "config"))
# Writes into the forest that it is given, which is gone then.
_grow_in_place: Any = jax.jit(_grow, static_argnames=("game", "predict", "config"), donate_argnames="forest")


def _enlarged(forest: Forest, num_rows: int, max_bytes: int | None) -> Forest:
    """The same trees with room for `num_rows` rows; on the host, where nothing is compiled for it."""
    nodes = forest.tree.nodes
    row_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(nodes)) / nodes.parent.shape[0]
    if max_bytes is None:
        max_bytes = int(_SHARE_OF_AVAILABLE * available_bytes())
    # The grown tree lies beside the one handed over.
    if 2 * row_bytes * num_rows > max_bytes:
        fitting = 1 << max(0, int(max_bytes / (2 * row_bytes))).bit_length() - 1
        raise TooMuchThought(
            f"a tree of {num_rows:,} rows needs {2 * row_bytes * num_rows / 1e6:,.0f} MB, "
            f"{max_bytes / 1e6:,.0f} MB are allowed; {fitting:,} rows fit: think less or allow more memory"
        )

    def pad(leaf: Array) -> np.ndarray:
        larger = np.zeros((num_rows, *leaf.shape[1:]), leaf.dtype)
        larger[: leaf.shape[0]] = leaf
        return larger

    return forest._replace(tree=forest.tree._replace(nodes=jax.tree.map(pad, nodes)))


def _moved(forest: Forest, root: int, config: SearchConfig) -> Forest:
    """The subtree below a row of a forest of one tree, as NumPy arrays, in its first rows."""
    nodes = forest.tree.nodes
    kept = np.flatnonzero(_below(np.asarray(nodes.parent)[: int(forest.tree.size)], root))
    place = np.full(nodes.parent.shape[0] + 1, UNVISITED, np.int32)
    place[kept] = np.arange(len(kept))

    def pick(leaf: np.ndarray) -> np.ndarray:
        picked = np.zeros_like(leaf)
        picked[: len(kept)] = leaf[kept]
        return picked

    nodes = jax.tree.map(pick, nodes)
    # Row -1, which stands for nothing, is the last one of `place`, and stays what it is.
    parent, child, next_row = place[nodes.parent], place[nodes.child], place[nodes.next_row]
    parent[0], next_row[0] = -1, 0
    nodes = nodes._replace(parent=parent, child=child, next_row=next_row)
    num_actions = forest.explore.shape[-1]
    return forest._replace(
        tree=Tree(jnp.int32(len(kept)), nodes),
        root=np.zeros(1, np.int32),
        prior_logits=nodes.prior_logits[:1],
        explore=nodes.prior_logits[:1],
        spent=nodes.visits[:1].sum(axis=-1).astype(np.int32),
        halving=before_first(1, num_actions) if by_rounds(config) else None,
    )


def _below(parent: Int[np.ndarray, " N"], root: int) -> Bool[np.ndarray, " N"]:
    """Which rows lie below one of them, itself included."""
    below = np.zeros(len(parent), bool)
    below[root] = True
    while True:
        # A level at a time: a row lies below if its parent does.
        more = below | (below[parent] & (parent >= 0))
        if (more == below).all():
            return below
        below = more
