"""Self-play: many games at once under jit, each move chosen by search."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from exit.game import Game, State, is_terminal, random_state_of
from exit.network import Params, PredictFn
from exit.search import SearchConfig, SearchResult, search


@dataclass(frozen=True)
class SelfPlayConfig:
    """How to play.

    Attributes:
      num_games: games played side by side, B.
      num_steps: moves of each game in one iteration, T; unfinished games go on in the next.
      budget: simulations a move.
      max_random_plies: a new game starts after a number of uniformly random plies drawn from [0, this],
        so that the network meets positions that good play avoids.
      random_starts: share of new games that start from a random state of the game's own drawing instead
        (exploring starts; Sutton & Barto 2018, section 5.3): for games in which random play ends soon or
        meets one kind of state only.
      sample_fraction: share of moves drawn from the improved policy; the others are the search's own choice.
      random_moves: share of moves drawn evenly from the legal ones instead, once the position has been
        searched: games then go where neither the policy nor its samples lead. The return of what follows
        such a move is no part of the targets before it.
    """

    num_games: int = 256
    num_steps: int = 8
    budget: int = 32
    max_random_plies: int = 0
    random_starts: float = 0.0
    sample_fraction: float = 0.25
    random_moves: float = 0.0

    @property
    def num_examples(self) -> int:
        """Positions searched in one iteration."""
        return self.num_games * self.num_steps

    def __post_init__(self) -> None:
        for name in ("num_games", "num_steps", "budget"):
            if getattr(self, name) < 1:
                raise ValueError(f"self_play.{name} is {getattr(self, name)}; it must be at least 1")
        if self.max_random_plies < 0:
            raise ValueError(f"self_play.max_random_plies is {self.max_random_plies}; it must be 0 or more")
        for name in ("random_starts", "sample_fraction", "random_moves"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"self_play.{name} is {getattr(self, name)}; it must be in [0, 1]")


class Trajectory(NamedTuple):
    """T moves of each of B games, time first; values to the player to move at that time.

    Attributes:
      state: positions searched.
      action_weights: the search's improved policy.
      value: the search's value of the state.
      qvalues: the search's of each action.
      prior: the reflex policy over legal actions.
      prior_value: the network's.
      lower: proven bound below the state's exact value.
      upper: proven bound above it; equal to `lower` where the search has solved the state.
      reward: brought by the move played.
      discount: signed, of the move played; 0 where the game ended.
      tried: whether the move was drawn evenly from the legal ones.
    """

    state: State
    action_weights: Float[Array, "T B A"]
    value: Float[Array, "T B"]
    qvalues: Float[Array, "T B A"]
    prior: Float[Array, "T B A"]
    prior_value: Float[Array, "T B"]
    lower: Float[Array, "T B"]
    upper: Float[Array, "T B"]
    reward: Float[Array, "T B"]
    discount: Float[Array, "T B"]
    tried: Bool[Array, "T B"]


class PlayFigures(NamedTuple):
    """Means over the positions of one iteration.

    Attributes:
      entropy: of the reflex policy, nats.
      top_weight: share of the improved policy that is on its favourite move.
      overridden: share of positions whose favourite move is another than the reflex's.
      value_surprise: distance of the network's value from the search's, reward units.
      proven: share of positions that search solved.
      simulations: spent on a position.
    """

    entropy: Float[Array, ""]
    top_weight: Float[Array, ""]
    overridden: Float[Array, ""]
    value_surprise: Float[Array, ""]
    proven: Float[Array, ""]
    simulations: Float[Array, ""]


def initial_states(rng_key: Key[Array, ""], *, game: Game, config: SelfPlayConfig) -> State:
    """A start for each of B games, never a finished one: the initial state after random plies, or any state.

    Raises:
      ValueError: random states are asked for, and the game draws none.
    """

    def start(rng_key: Key[Array, ""]) -> State:
        key_plies, key_moves = jax.random.split(rng_key)
        num_plies = jax.random.randint(key_plies, (), 0, config.max_random_plies + 1)

        def random_move(ply: Int[Array, ""], state: State) -> State:
            key_action, key_outcome = jax.random.split(jax.random.fold_in(key_moves, ply))
            action = _draw(key_action, game.legal_actions(state))
            outcome = _draw(key_outcome, game.outcome_probs(state, action))
            next_state, _ = game.apply(state, action, outcome)
            keep = is_terminal(game, next_state) | (ply >= num_plies)
            return jax.tree.map(lambda new, old: jnp.where(keep, old, new), next_state, state)

        return jax.lax.fori_loop(0, config.max_random_plies, random_move, game.init())

    def start_anywhere(rng_key: Key[Array, ""]) -> State:
        key_start, key_state, key_chosen = jax.random.split(rng_key, 3)
        drawn, played = random_state_of(game, key_state), start(key_start)
        anywhere = jax.random.bernoulli(key_chosen, config.random_starts)
        return jax.tree.map(lambda a, b: jnp.where(anywhere, a, b), drawn, played)

    if config.random_starts > 0:
        return jax.vmap(start_anywhere)(jax.random.split(rng_key, config.num_games))
    return jax.vmap(start)(jax.random.split(rng_key, config.num_games))


def self_play(
    params: Params,
    rng_key: Key[Array, ""],
    state: State,
    *,
    game: Game,
    predict: PredictFn,
    search_config: SearchConfig,
    config: SelfPlayConfig,
) -> tuple[State, Trajectory, PlayFigures]:
    """Play T moves in each of B games from unfinished states; a finished game is replaced by a new start.

    Args:
      rng_key: consumed.
      state: B unfinished positions.

    Returns:
      The B positions to go on from, what was played, and figures of it.
    """
    budget = jnp.full(config.num_games, config.budget)

    def step(state: State, key_step: Key[Array, ""]) -> tuple[State, tuple[Trajectory, PlayFigures]]:
        keys = jax.random.split(key_step, 6)
        key_search, key_sampled, key_action, key_outcome, key_starts, key_random = keys
        result = search(params, key_search, state, budget, game=game, predict=predict, config=search_config)
        sampled = _draw(key_action, result.action_weights)
        explore = jax.random.bernoulli(key_sampled, config.sample_fraction, (config.num_games,))
        action = jnp.where(explore, sampled, result.action)
        tried = jnp.zeros_like(explore)
        if config.random_moves > 0:
            key_tried, key_anything = jax.random.split(key_random)
            tried = jax.random.bernoulli(key_tried, config.random_moves, tried.shape)
            action = jnp.where(tried, _draw(key_anything, jax.vmap(game.legal_actions)(state)), action)
        outcome = _draw(key_outcome, jax.vmap(game.outcome_probs)(state, action))
        next_state, brought = jax.vmap(game.apply)(state, action, outcome)
        over = jax.vmap(lambda s: is_terminal(game, s))(next_state)
        played = Trajectory(
            state=state,
            action_weights=result.action_weights,
            value=result.value,
            qvalues=result.qvalues,
            prior=result.prior,
            prior_value=result.prior_value,
            lower=result.lower,
            upper=result.upper,
            reward=brought.reward,
            discount=brought.discount,
            tried=tried,
        )
        starts = initial_states(key_starts, game=game, config=config)
        return _where(over, starts, next_state), (played, _figures(result))

    state, (played, figures) = jax.lax.scan(step, state, jax.random.split(rng_key, config.num_steps))
    return state, played, jax.tree.map(jnp.mean, figures)


def _figures(result: SearchResult) -> PlayFigures:
    favourite = jnp.argmax(result.action_weights, axis=-1)
    return PlayFigures(
        entropy=-jnp.mean(jnp.sum(result.prior * jnp.log(jnp.maximum(result.prior, 1e-30)), axis=-1)),
        top_weight=jnp.mean(jnp.max(result.action_weights, axis=-1)),
        overridden=jnp.mean(favourite != jnp.argmax(result.prior, axis=-1)),
        value_surprise=jnp.mean(jnp.abs(result.value - result.prior_value)),
        proven=jnp.mean(result.lower == result.upper),
        simulations=jnp.mean(result.num_simulations.astype(jnp.float32)),
    )


def _draw(
    rng_key: Key[Array, ""], weights: Float[Array, "... A"] | Bool[Array, "... A"]
) -> Int[Array, "..."]:
    """Indices drawn in proportion to the weights."""
    return jax.random.categorical(rng_key, jnp.log(weights.astype(jnp.float32))).astype(jnp.int32)


def _where(condition: Bool[Array, " B"], chosen: State, other: State) -> State:
    """Batched states, by condition."""
    return jax.tree.map(
        lambda a, b: jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b), chosen, other
    )
