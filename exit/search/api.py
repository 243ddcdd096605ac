"""`search(...)`: improve the policy at a batch of states, each with its own simulation budget."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.search import mctx_tree
from exit.search.config import SearchConfig
from exit.search.expand import legal_logits
from exit.search.grow import Forest, grow, num_rows, plant
from exit.search.node import Limits
from exit.search.noise import Noise, draw_noise, explored
from exit.search.result import SearchResult, findings, summarise
from exit.search.spread import over_devices


def search(
    params: Params,
    rng_key: Key[Array, ""],
    state: State,
    budget: Int[Array, " B"],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
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

    Raises:
      ValueError: a concrete budget is out of range; names the field to raise. Or mctx is to search a game
        of chance.
    """
    if not isinstance(budget, Tracer):
        check_budget(np.asarray(budget), config.max_simulations)
    if config.use_mctx and game.num_outcomes > 1:
        raise ValueError(f"{game.name} has chance outcomes; search.use_mctx serves deterministic games only")
    budget = jnp.clip(jnp.asarray(budget, jnp.int32), 0, config.max_simulations)
    noise = draw_noise(rng_key, budget.shape[0], game.num_actions, config.policy)
    search_fn = _search_with_mctx if config.use_mctx else _search
    search_fn = functools.partial(search_fn, game=game, predict=predict, config=config)
    return over_devices(search_fn, params, (state, budget, noise))


def _search(
    params: Params,
    batch: tuple[State, Int[Array, " B"], Noise],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SearchResult:
    state, budget, noise = batch
    rows = num_rows(budget.shape[0], config.max_simulations, game, config)
    forest = plant_at(params, state, noise, rows, game=game, predict=predict, config=config)
    forest = grow(params, forest, budget, game=game, predict=predict, config=config)
    limits = Limits.of(game)
    return summarise(findings(forest, limits), noise.move, limits=limits, config=config)


def _search_with_mctx(
    params: Params,
    batch: tuple[State, Int[Array, " B"], Noise],
    *,
    game: Game,
    predict: PredictFn,
    config: SearchConfig,
) -> SearchResult:
    state, budget, noise = batch
    prior_logits, value = evaluate(params, state, game=game, predict=predict)
    found = mctx_tree.run(
        params, state, prior_logits, value, explored(prior_logits, noise, config.policy), budget,
        game=game, predict=predict, config=config,
    )
    return summarise(found, noise.move, limits=Limits.of(game), config=config)


def evaluate(
    params: Params, state: State, *, game: Game, predict: PredictFn
) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
    """Logits over legal actions and value of each state, by the network; 0 where the game is over."""
    legal_actions = jax.vmap(game.legal_actions)(state)
    prior_logits, value = predict(params, jax.vmap(game.observe)(state))
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
) -> Forest:
    """Trees of nothing but these states, with room for `rows` rows in all."""
    prior_logits, value = evaluate(params, state, game=game, predict=predict)
    explore = explored(prior_logits, noise, config.policy)
    return plant(state, prior_logits, value, explore, rows, game=game, config=config)


def check_budget(budget: np.ndarray, max_simulations: int) -> None:
    """Raise ValueError unless every budget is in [0, max_simulations]."""
    if budget.size and budget.min() < 0:
        raise ValueError(f"budget {budget.min()} is negative; it must be in [0, {max_simulations}]")
    if budget.size and budget.max() > max_simulations:
        raise ValueError(
            f"budget {budget.max()} is over the capacity of {max_simulations} simulations; "
            "raise search.max_simulations or ask for less"
        )
