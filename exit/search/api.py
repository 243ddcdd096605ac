"""`search(...)`: improve the policy at a batch of states, each with its own simulation budget."""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from exit.devices import Team, can_divide, in_step, over_devices
from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search import side_by_side
from exit.search.config import SearchConfig, is_side_by_side, require_prefix_consistent
from exit.search.expand import legal_logits
from exit.search.forest import Forest, findings, num_rows, plant
from exit.search.grow import StopFn, grow
from exit.search.inside import Inside, most_mistaken, require_inside
from exit.search.node import Limits
from exit.search.noise import Noise, draw_noise, explored
from exit.search.remembering import forgotten, remembering
from exit.search.result import SearchResult, summarise
from exit.search.side_by_side import SideBySide, grow_side_by_side
from exit.search.worth import stop_at_price

T = TypeVar("T")


def search(
    params: Params,
    rng_key: Key[Array, ""],
    state: State,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
    price: Float[Array, ""] | float | None = None,
    stop_fn: StopFn | None = None,
    alike: bool = False,
) -> SearchResult:
    """Improve the policy at each state, each with its own simulation budget.

    Gumbel search with sequential halving (Danihelka et al. 2022, section 3), or PUCT (Silver et al. 2018).
    Deviations: the halving schedule is looked up by `budget`, so one program serves every budget; with
    `config.prove`, bounds are kept and what they decide is not simulated (after Winands et al. 2008, for
    bounds of any size). After chance, the value of an action is the expectation over all outcomes, each
    evaluated by the network when the action is first simulated.

    Args:
      params: of `predict`.
      rng_key: consumed.
      state: leaves have a leading batch axis B, which is spread over the local devices if it divides.
      budget: simulations per state, in [0, config.max_simulations]; 0 returns the prior. Under `jit`
        it cannot be checked and is clamped; `num_simulations` in the result tells what was spent.
      price: of a simulation, as a share of the distance between the game's value bounds: a state is thought
        about until one more is worth no more than this, or its budget is spent. Sequential halving should be
        `anytime`: what is planned for the whole budget means little before its end.
      stop_fn: another rule that ends the search of states before their budget is spent.
      alike: all budgets are the same, which lets a CPU search more states at once.

    Raises:
      ValueError: a concrete budget is out of range; names the field to raise. Or mctx is asked for what
        it cannot do: games of chance, `price`, `stop_fn`.
    """
    if price is not None:
        stop_fn = _either(stop_at_price(price, limits=Limits.of(game), config=config), stop_fn)
    if not isinstance(budget, Tracer):
        check_budget(np.asarray(budget), config.max_simulations)
    if config.use_mctx and (game.num_outcomes > 1 or stop_fn is not None):
        lacking = "price and stop_fn" if game.num_outcomes == 1 else f"games of chance such as {game.name}"
        raise ValueError(f"mctx cannot serve {lacking}; set search.use_mctx=False")
    budget = jnp.clip(jnp.asarray(budget, jnp.int32), 0, config.max_simulations)
    noise = draw_noise(rng_key, budget.shape[0], game.num_actions, config.policy)
    if config.use_mctx:
        search_fn = functools.partial(_search_with_mctx, game=game, predict=predict, config=config)
        result = over_devices(search_fn, params, (state, budget[:, None], noise), work=budget)
    else:
        batch = (state, budget[:, None], noise)
        rules = {"game": game, "predict": predict, "config": config, "stop_fn": stop_fn}
        result = _search(params, batch, alike=alike, **rules)
    return jax.tree.map(lambda leaf: leaf[:, 0], result)


def search_with_inside(
    params: Params,
    rng_key: Key[Array, ""],
    state: State,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> tuple[SearchResult, Inside]:
    """What `search` finds with budgets that are `alike`, and B positions from inside the trees.

    They are proven, and those where the network's policy gives most away; where fewer are proven, some are
    states searched. Every device chooses among the trees that it grew.

    Raises:
      ValueError: the search keeps no positions that it has proven.
    """
    require_inside(config)
    budget = jnp.clip(jnp.asarray(budget, jnp.int32), 0, config.max_simulations)
    noise = draw_noise(rng_key, budget.shape[0], game.num_actions, config.policy)
    state, game, predict = remembering(params, state, game=game, predict=predict)
    search_fn = functools.partial(_with_inside, game=game, predict=predict, config=config)
    return over_devices(search_fn, params, (state, budget, noise), work=budget)


def _with_inside(
    params: Params,
    batch: tuple[State, Int[Array, " B"], Noise],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> tuple[SearchResult, Inside]:
    state, budget, noise = batch
    limits, limit = Limits.of(game), config.max_simulations
    rows = num_rows(budget.shape[0], limit, game)
    rules = {"game": game, "predict": predict, "config": config}
    forest = plant_at(params, state, noise, rows, max_visits=limit, **rules)
    forest = grow(params, forest, budget, alike=True, **rules)
    result = summarise(findings(forest, limits), noise.move, limits=limits, config=config)
    roots = Inside(forgotten(state), result)
    return result, most_mistaken(forest, roots, limits=limits, config=config)


def _either(first: StopFn, second: StopFn | None) -> StopFn:
    return first if second is None else lambda found: first(found) | second(found)


def search_curve(
    params: Params,
    rng_key: Key[Array, ""],
    state: State,
    budgets: Int[Array, " S"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SearchResult:
    """What searches of several budgets find, for the cost of the longest: snapshots of one search.

    Args:
      rng_key: consumed.
      state: leaves have a leading batch axis B.
      budgets: simulations per state, rising, each in [0, config.max_simulations].

    Returns:
      Results with leading axes `[S, B]`, equal to those of `search` with each budget and the same key.

    Raises:
      ValueError: the policy plans for the whole budget, so that its snapshots are not what it would do
        with less (see `prefix_consistent`); or concrete budgets are out of range or do not rise.
    """
    require_prefix_consistent(config)
    if not isinstance(budgets, Tracer):
        check_budget(np.asarray(budgets), config.max_simulations)
        if np.any(np.diff(np.asarray(budgets)) < 0):
            raise ValueError(f"budgets {list(np.asarray(budgets))} do not rise; sort them")
    num_states = jax.tree.leaves(state)[0].shape[0]
    noise = draw_noise(rng_key, num_states, game.num_actions, config.policy)
    budgets = jnp.clip(jnp.asarray(budgets, jnp.int32), 0, config.max_simulations)
    budgets = jnp.broadcast_to(budgets, (num_states, budgets.shape[0]))
    batch = (state, budgets, noise)
    result = _search(params, batch, game=game, predict=predict, config=config, stop_fn=None)
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 1, 0), result)


def _search(
    params: Params,
    batch: tuple[State, Int[Array, "B S"], Noise],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
    stop_fn: StopFn | None,
    alike: bool = False,
) -> SearchResult:
    """Results `[B, S]` of one search, looked at when each of S rising budgets is spent.

    Many states are divided among the devices; the actions of few may be.
    """
    state, budgets, noise = batch
    state, game, predict = remembering(params, state, game=game, predict=predict)
    batch = (state, budgets, noise)
    settings = {"game": game, "predict": predict, "config": config, "stop_fn": stop_fn}
    if not is_side_by_side(config.policy):
        search_fn = functools.partial(_one_after_another, alike=alike, **settings)
    elif not can_divide(budgets.shape[0]):
        return in_step(functools.partial(_side_by_side, **settings), (), (params, batch))[1]
    else:

        def search_fn(params: Params, batch: tuple[State, Int[Array, "B S"], Noise]) -> SearchResult:
            return in_step(functools.partial(_side_by_side, **settings), (), (params, batch))[1]

    return over_devices(search_fn, params, batch, work=budgets[:, -1])


def _one_after_another(
    params: Params,
    batch: tuple[State, Int[Array, "B S"], Noise],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
    stop_fn: StopFn | None,
    alike: bool,
) -> SearchResult:
    state, budgets, noise = batch
    limits = Limits.of(game)
    rows = num_rows(budgets.shape[0], config.max_simulations, game)
    limit = config.max_simulations
    forest = plant_at(params, state, noise, rows, game=game, predict=predict, config=config, max_visits=limit)

    def go_on(forest: Forest, budget: Int[Array, " B"]) -> tuple[Forest, SearchResult]:
        rules = {"game": game, "predict": predict, "config": config, "stop_fn": stop_fn}
        forest = grow(params, forest, budget, alike=alike, **rules)
        return forest, summarise(findings(forest, limits), noise.move, limits=limits, config=config)

    return _looked_at(go_on, forest, budgets)


def _side_by_side(
    team: Team,
    own: tuple[()],
    whole: tuple[Params, tuple[State, Int[Array, "B S"], Noise]],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
    stop_fn: StopFn | None,
) -> tuple[tuple[()], SearchResult]:
    params, (state, budgets, noise) = whole
    limits = Limits.of(game)
    rows = side_by_side.num_rows(budgets.shape[0], config.max_simulations, team.count, game)
    trees = plant_side_by_side(team, params, state, noise, rows, game=game, predict=predict, config=config)

    def go_on(trees: SideBySide, budget: Int[Array, " B"]) -> tuple[SideBySide, SearchResult]:
        trees = grow_side_by_side(
            team, params, trees, budget, game=game, predict=predict, config=config, stop_fn=stop_fn
        )
        found = side_by_side.findings(trees, limits)
        return trees, summarise(found, noise.move, limits=limits, config=config)

    return own, _looked_at(go_on, trees, budgets)


def _looked_at(
    go_on: Callable[[T, Int[Array, " B"]], tuple[T, SearchResult]], trees: T, budgets: Int[Array, "B S"]
) -> SearchResult:
    """Results `[B, S]` when each of the budgets is spent."""
    if budgets.shape[1] == 1:
        return jax.tree.map(lambda leaf: leaf[:, None], go_on(trees, budgets[:, 0])[1])
    _, results = jax.lax.scan(go_on, trees, budgets.T)
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), results)


def _search_with_mctx(
    params: Params,
    batch: tuple[State, Int[Array, "B 1"], Noise],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SearchResult:
    """The same of one budget, by the reference."""
    state, budget, noise = batch
    prior_logits, value = evaluate(params, state, game=game, predict=predict)
    # Few ask for it, and it takes a while to import.
    from exit.search import mctx_tree

    found = mctx_tree.run(
        params,
        state,
        prior_logits,
        value,
        explored(prior_logits, noise, config.policy),
        budget[:, 0],
        game=game,
        predict=predict,
        config=config,
    )
    result = summarise(found, noise.move, limits=Limits.of(game), config=config)
    return jax.tree.map(lambda leaf: leaf[:, None], result)


def evaluate(
    params: Params, state: State, *, game: Game, predict: PredictFn
) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
    """Logits over legal actions and value of each state, by the network; 0 where the game is over."""
    legal_actions = jax.vmap(game.legal_actions)(state)
    # What is remembered of a root is known before it is asked for.
    prior_logits, value, *_ = predict(params, jax.vmap(game.observe)(state))
    return legal_logits(prior_logits, legal_actions), jnp.where(jnp.any(legal_actions, axis=-1), value, 0.0)


def plant_at(
    params: Params,
    state: State,
    noise: Noise,
    rows: int,
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
    max_visits: int | None = None,
) -> Forest:
    """Trees of nothing but these states, with room for `rows` rows in all; the rest as in `plant`."""
    prior_logits, value = evaluate(params, state, game=game, predict=predict)
    explore = explored(prior_logits, noise, config.policy)
    settings = {"rows": rows, "game": game, "config": config, "max_visits": max_visits}
    return plant(state, prior_logits, value, explore, **settings)


def plant_side_by_side(
    team: Team,
    params: Params,
    state: State,
    noise: Noise,
    rows: int,
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SideBySide:
    """The same, a tree for each root action, with room for `rows` rows on each device."""
    prior_logits, value = evaluate(params, state, game=game, predict=predict)
    explore = explored(prior_logits, noise, config.policy)
    return side_by_side.plant(team, state, prior_logits, value, explore, rows, game=game, config=config)


def check_budget(budget: np.ndarray, max_simulations: int) -> None:
    """Raise ValueError unless every budget is in [0, max_simulations]."""
    if budget.size and budget.min() < 0:
        raise ValueError(f"budget {budget.min()} is negative; it must be in [0, {max_simulations}]")
    if budget.size and budget.max() > max_simulations:
        raise ValueError(
            f"budget {budget.max()} is over the capacity of {max_simulations} simulations; "
            "ask for less, or raise search.max_simulations, as `Agent.load(..., max_simulations="
            f"{budget.max()})` does"
        )
