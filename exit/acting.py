"""Parameters made to act, without exploration noise, behind one compiled program; and what may be asked."""

import operator
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from exit.errors import UsageError
from exit.game import Game, State
from exit.network import Network, Params, PredictFn
from exit.programs import kept
from exit.search import (
    Gumbel,
    SearchConfig,
    SearchResult,
    Thinker,
    check_budget,
    search,
    search_curve,
    without_noise,
)

Budget = int | np.ndarray | Int[Array, " B"]
"""Simulations, one number for all states or one for each."""


AUTO_PRICE = 0.01
"""What a simulation costs where nothing else is said, as a share of the distance between the value bounds."""


def make_act_fn(
    params: Params, *, game: Game, network: Network, config: SearchConfig, price: float | None = None
) -> Callable[[State, Budget], SearchResult]:
    """`act(states, budget)` of these parameters, deterministic: no noise at the root.

    The same game, network, configuration and number of states share one compiled program, whatever the
    parameters, budgets and prices; and a smaller one, without a tree, where nothing is to be simulated.

    Args:
      price: of a simulation, as `search` takes it; halving is then repeated instead of planned ahead.
    """
    params = network.ready(params)
    quiet = without_noise(config) if price is None else _prefix_consistent(config, side_by_side=False)

    def act(states: State, budget: Budget) -> SearchResult:
        budgets = budget_of_each(states, budget, quiet.max_simulations)
        # A tree for large budgets takes longer to lay out than a reflex to answer.
        allowed = quiet if budgets.any() else replace(quiet, max_simulations=0)
        return _search(params, states, budgets, price, game=game, predict=network.predict, config=allowed)

    return act


def compiled_search(
    params: Params, states: State, *, game: Game, network: Network, config: SearchConfig
) -> jax.stages.Compiled:
    """The program that acts at these states, for those who want to know what is in it."""
    budgets = np.zeros(jax.tree.leaves(states)[0].shape[0], np.int32)
    options = {"game": game, "predict": network.predict, "config": without_noise(config)}
    return _search.lower(network.ready(params), states, budgets, None, **options).compile()


def make_curve_fn(
    params: Params, *, game: Game, network: Network, config: SearchConfig
) -> Callable[[State, Int[np.ndarray, " S"]], SearchResult]:
    """`curve(states, budgets)` of these parameters: one search, looked at as each budget is spent, `[S, B]`.

    Halving is repeated instead of planned ahead, so that the looks are what shorter searches would answer.
    """
    params = network.ready(params)
    quiet = _prefix_consistent(config, side_by_side=False)

    def curve(states: State, budgets: Int[np.ndarray, " S"]) -> SearchResult:
        return _curve(params, states, budgets, game=game, predict=network.predict, config=quiet)

    return curve


def make_thinker(
    params: Params,
    *,
    game: Game,
    network: Network,
    config: SearchConfig,
    side_by_side: bool,
    max_bytes: int | None = None,
) -> Thinker:
    """These parameters thinking on: the same search, its halving repeated instead of planned ahead.

    Args:
      side_by_side: search the root's actions side by side, if the policy can; for single states.
      max_bytes: memory that a tree may fill; None is most of what is available.
    """
    quiet = _prefix_consistent(config, side_by_side=side_by_side)
    return Thinker(network.ready(params), game, network.predict, quiet, max_bytes)


def _prefix_consistent(config: SearchConfig, *, side_by_side: bool) -> SearchConfig:
    """The same search without noise, able to end at any time."""
    quiet = replace(without_noise(config), use_mctx=False)
    if isinstance(quiet.policy, Gumbel):
        quiet = replace(quiet, policy=replace(quiet.policy, anytime=True, side_by_side=side_by_side))
    return quiet


def budget_of_each(states: State, budget: Budget, max_simulations: int) -> Int[np.ndarray, " B"]:
    """The budget of every state of a batch.

    Raises:
      UsageError: it is no whole number, or not one for each state, or out of range; or there is no state.
    """
    budgets, num_states = np.asarray(budget), jax.tree.leaves(states)[0].shape[0]
    if not num_states:
        raise UsageError("there is no state to act at; give at least one")
    if not np.issubdtype(budgets.dtype, np.integer):
        what = f"an array of {budgets.dtype}" if budgets.ndim else repr(budget)
        raise UsageError(f"budget is {what}; give whole numbers")
    if budgets.shape not in ((), (num_states,)):
        raise UsageError(
            f"budget has shape {budgets.shape} for {num_states} states; give one, or one for each"
        )
    try:
        check_budget(budgets, max_simulations)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return np.broadcast_to(budgets, (num_states,)).astype(np.int32)


@kept(static=("game", "predict", "config"))
def _search(
    params: Params,
    states: State,
    budgets: Int[Array, " B"],
    price: Float[Array, ""] | float | None,
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SearchResult:
    # Without noise the key decides nothing.
    key = jax.random.key(0)
    return search(params, key, states, budgets, game=game, predict=predict, config=config, price=price)


@kept(static=("game", "predict", "config"))
def _curve(
    params: Params,
    states: State,
    budgets: Int[Array, " S"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SearchResult:
    return search_curve(params, jax.random.key(0), states, budgets, game=game, predict=predict, config=config)


def is_single(game: Game, state: State) -> bool:
    """Whether it is one state, without a leading axis; UsageError if it is no state of the game at all."""
    structure, shapes = _shapes_of(game)
    leaves, found = jax.tree.flatten(state)
    given = [np.shape(leaf) for leaf in leaves]
    if found == structure:
        if given == shapes:
            return True
        if [shape[1:] for shape in given] == shapes and len({shape[:1] for shape in given}) == 1:
            return False
    raise UsageError(
        f"this is no state of {game.name}; give one such as its `init` and `apply` return, or several "
        "stacked along a leading axis"
    )


@cache
def _shapes_of(game: Game) -> tuple[Any, list[tuple[int, ...]]]:
    """The structure of one state, and the shapes of its leaves."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(game.init))
    return structure, [leaf.shape for leaf in leaves]


def checked_limit(name: str, limit: Any) -> float | None:
    """A limit from 0 as a float, None for none; UsageError for anything else, several numbers too."""
    if limit is None:
        return None
    if isinstance(limit, str) or np.ndim(limit) or not np.isreal(limit):
        raise UsageError(f"{name} is {limit!r}; it must be one number for all states")
    if not limit >= 0:
        raise UsageError(f"{name} is {limit}; it must be 0 or more")
    return float(limit)


def whole_number(name: str, number: Any) -> int:
    """A number given as an int or as an array of one; UsageError for anything else."""
    try:
        return operator.index(number)
    except TypeError as error:
        raise UsageError(f"{name} is {number!r}; give a whole number") from error
