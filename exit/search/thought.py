"""Thinking about one state for as long as one likes: a tree that is kept, continued and moved along."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from exit.devices import Team, for_step, in_step, team_size
from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.programs import kept
from exit.search import side_by_side
from exit.search.api import plant_at, plant_side_by_side
from exit.search.config import SearchConfig, is_side_by_side, require_prefix_consistent
from exit.search.forest import Findings, Forest, findings, num_rows
from exit.search.grow import grow
from exit.search.grown import Grown, alone, dealt, enlarged, nodes_of, rows_used, tree_of
from exit.search.node import Limits
from exit.search.noise import Noise
from exit.search.result import SearchResult, summarise
from exit.search.side_by_side import SideBySide, grow_side_by_side
from exit.search.subtree import subtree
from exit.search.tree import UNVISITED
from exit.search.worth import worth_of_thinking

_FIRST_ROWS = 512
"""Rows that a thought starts with; they double as it grows."""


@dataclass(frozen=True, eq=False)
class Thought:
    """What has been thought about one state; deterministic, a function of state, parameters and budget.

    Attributes:
      result: the answer so far, without a batch axis; `num_simulations` counts those that went through
        this state, also before it was reached.
      tree: a batch of one; where actions are searched side by side, that of each device along a first
        axis of `tree.forest`.
    """

    result: SearchResult
    tree: Grown


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


def think(thinker: Thinker, state: State, budget: int, *, room: int = 0) -> Thought:
    """Search one state (leaves without a batch axis) and keep the tree.

    Args:
      room: simulations that the tree has room for from the start, before anything is compiled anew.

    Raises:
      ValueError: the policy plans for the whole budget, or the budget is negative.
      TooMuchThought: so many simulations do not fit in the memory allowed; nothing is allocated.
    """
    require_prefix_consistent(thinker.config)
    rows = max(_FIRST_ROWS, 2 * _num_rows(thinker, 1, 0))
    if room:
        rows = max(rows, 1 << (_num_rows(thinker, 1, room) - 1).bit_length())
    state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], state)
    return _continue(thinker, _plant(thinker.params, state, rows=rows, **_program(thinker)), budget)


def think_more(thinker: Thinker, thought: Thought, budget: int) -> Thought:
    """Add simulations to a thought: n and then m are the same as n + m at once.

    Bit for bit, but side by side only up to how the network rounds in batches of other widths.

    Raises:
      ValueError: the budget is negative.
      TooMuchThought: so many simulations do not fit in the memory allowed; the thought is left as it is.
    """
    return _continue(thinker, thought.tree, budget)


def think_until(
    thinker: Thinker,
    state: State,
    budget: Int[np.ndarray, " B"],
    deadline_ms: float | int,
    price: float | None = None,
) -> SearchResult:
    """Search a batch of states until the budget is spent or time is up; the answer is the best so far.

    The search is done in chunks, each as long as is expected to fit: the deadline is met but for what one
    chunk takes longer than those before it. The reflex is always computed. Compiling is not charged.

    Args:
      state: leaves have a leading batch axis B.
      budget: the most that is spent on each state.
      price: of a simulation, as `search` takes it; looked at after each chunk.

    Raises:
      ValueError: the policy plans for the whole budget.
    """
    require_prefix_consistent(thinker.config)

    def go_on(tree: Grown, reach: int) -> tuple[Grown, SearchResult]:
        arguments = _placed(thinker, tree, np.minimum(budget, reach))
        return jax.block_until_ready(_grow_in_place(*arguments, **_program(thinker)))

    def worthwhile(result: SearchResult) -> np.ndarray:
        """The budgets, of states that are not worth more thinking no more than was spent."""
        if price is None:
            return budget
        bounds = thinker.game.value_bounds
        return np.asarray(_worthwhile(result, budget, np.float32(price), bounds=bounds))

    compiled = _grow_in_place.num_programs() + _worthwhile.num_programs()
    begun = time.perf_counter()
    rows = _num_rows(thinker, len(budget), int(budget.max(initial=0)))
    tree = _plant(thinker.params, state, rows=1 << (rows - 1).bit_length(), **_program(thinker))
    tree, result = go_on(tree, 0)
    budget = worthwhile(result)
    if _grow_in_place.num_programs() + _worthwhile.num_programs() > compiled:
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
        tree, result = go_on(tree, reach)
        budget = worthwhile(result)
        took = time.perf_counter() - now
    return result


def advance(thinker: Thinker, thought: Thought, action: int, outcome: int | None = None) -> Thought:
    """The thought about the state after a move, with all that was found below it.

    Args:
      outcome: what chance made of the move; None where there is but one thing that can happen.

    Raises:
      ValueError: the move is illegal, or the outcome cannot happen or is not told.
    """
    tree = jax.tree.map(np.asarray, thought.tree)
    nodes, root = tree_of(tree, action)
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf[root]), nodes.state)
    outcome = _checked_outcome(thinker.game, state, action, outcome)
    base = int(nodes.child[root, action])
    if base == UNVISITED:
        after, _ = thinker.game.apply(state, jnp.int32(action), jnp.int32(outcome))
        return think(thinker, after, 0)
    below = subtree(nodes, base + outcome)
    if isinstance(tree, SideBySide):
        return _continue(thinker, dealt(tree, below), 0)
    return _continue(thinker, alone(tree, below, thinker.config), 0)


def _checked_outcome(game: Game, state: State, action: int, outcome: int | None) -> int:
    """The outcome, or the only one there is; ValueError where the move cannot be."""
    legal = np.flatnonzero(game.legal_actions(state))
    if action not in legal:
        allowed = f"legal are {', '.join(map(str, legal))}" if legal.size else "the game is over"
        raise ValueError(f"action {action} is illegal here; {allowed}")
    possible = np.flatnonzero(game.outcome_probs(state, jnp.int32(action)) > 0)
    allowed = f"possible are {', '.join(map(str, possible))}"
    if outcome is None:
        if possible.size > 1:
            raise ValueError(f"action {action} has several outcomes; tell which one happened, {allowed}")
        return int(possible[0])
    if outcome not in possible:
        raise ValueError(f"outcome {outcome} cannot follow action {action}; {allowed}")
    return outcome


def _continue(thinker: Thinker, tree: Grown, budget: int) -> Thought:
    if budget < 0:
        raise ValueError(f"budget {budget} is negative; it must be at least 0")
    # Roots count as rows, which a tree has already.
    needed = int(np.asarray(rows_used(tree)).max()) + _num_rows(thinker, 1, budget) - 1
    if needed > nodes_of(tree).parent.shape[-1]:
        tree = enlarged(tree, 1 << (needed - 1).bit_length(), thinker.max_bytes)
    # On the host, where nothing is compiled for it.
    spent = np.asarray(tree.node.visits).sum(axis=-1) if isinstance(tree, SideBySide) else tree.spent
    arguments = _placed(thinker, tree, np.asarray(spent).astype(np.int32) + np.int32(budget))
    tree, result = _grow_copy(*arguments, **_program(thinker))
    return Thought(result, tree)


def _program(thinker: Thinker) -> dict[str, Any]:
    return {"game": thinker.game, "predict": thinker.predict, "config": thinker.config}


def _num_rows(thinker: Thinker, num_states: int, budget: int) -> int:
    """Rows that are enough on each device that has a tree."""
    if is_side_by_side(thinker.config.policy):
        return side_by_side.num_rows(num_states, budget, team_size(), thinker.game)
    return num_rows(num_states, budget, thinker.game)


@kept(static=("rows", "game", "predict", "config"))
def _plant(
    params: Params, state: State, *, rows: int, game: Game, predict: PredictFn, config: SearchConfig
) -> Grown:
    zeros = jnp.zeros((jax.tree.leaves(state)[0].shape[0], game.num_actions))
    noise, program = Noise(zeros, zeros), {"game": game, "predict": predict, "config": config}
    if not is_side_by_side(config.policy):
        return plant_at(params, state, noise, rows, **program)

    def plant(team: Team, own: tuple[()], whole: tuple[Params, State]) -> tuple[Forest, SideBySide]:
        tree = plant_side_by_side(team, *whole, noise, rows, **program)
        return tree.forest, tree._replace(forest=None)

    forest, tree = in_step(plant, (), (params, state))
    return tree._replace(forest=forest)


def _placed(thinker: Thinker, tree: Grown, budget: Int[np.ndarray, " B"]) -> tuple[Params, Grown, Any]:
    """What a tree is grown with, on the devices that grow it."""
    if not isinstance(tree, SideBySide):
        return thinker.params, tree, budget
    forest, (params, rest, budget) = for_step(
        tree.forest, (thinker.params, tree._replace(forest=None), budget)
    )
    return params, rest._replace(forest=forest), budget


def _grow(
    params: Params,
    tree: Grown,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> tuple[Grown, SearchResult]:
    limits, program = Limits.of(game), {"game": game, "predict": predict, "config": config}

    def summary(found: Findings) -> SearchResult:
        return summarise(found, jnp.zeros_like(found.explore), limits=limits, config=config)

    if not isinstance(tree, SideBySide):
        tree = grow(params, tree, budget, **program)
        return tree, summary(findings(tree, limits))

    def go_on(team: Team, forest: Forest, whole: Any) -> tuple[Forest, tuple[SideBySide, SearchResult]]:
        params, rest, budget = whole
        tree = grow_side_by_side(team, params, rest._replace(forest=forest), budget, **program)
        result = summary(side_by_side.findings(tree, limits))
        return tree.forest, (tree._replace(forest=None), result)

    forest, (rest, result) = in_step(go_on, tree.forest, (params, tree._replace(forest=None), budget))
    return rest._replace(forest=forest), result


@kept(static=("bounds",))
def _worthwhile(
    result: SearchResult, budget: Int[Array, " B"], price: Float[Array, ""], *, bounds: tuple[float, float]
) -> Int[Array, " B"]:
    return jnp.where(worth_of_thinking(result, bounds) <= price, result.num_simulations, budget)


def _grow_one(params: Params, tree: Grown, budget: Int[Array, " 1"], **program: Any) -> Any:
    """As `_grow` for a single state; its result has no batch axis."""
    tree, result = _grow(params, tree, budget, **program)
    return tree, jax.tree.map(lambda leaf: leaf[0], result)


_grow_copy = kept(static=("game", "predict", "config"))(_grow_one)
# Writes into the tree that it is given, which is gone then.
_grow_in_place = kept(static=("game", "predict", "config"), donate=("tree",))(_grow)
