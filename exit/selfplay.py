"""Self-play: many games at once under jit, each move chosen by search."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from exit.game import Game, State, is_terminal, random_state_of
from exit.network import Params, PredictFn
from exit.search import Inside, SearchConfig, search, search_with_inside

_FADING = 0.95
"""Of the regret in an archived position: what is left of it after a move more."""


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
      mistake_starts: share of new games that start instead where search lately saw the network's policy give
        much away in these games, or a random move further (Go-Exploit with an archive of mistakes; Trudeau
        and Bowling 2023).
      sample_fraction: share of moves drawn from the improved policy; the others are the search's own choice.
      from_trees: as many examples again from inside the trees that searches grow: of the positions of a move
        of all games that search has proven, those where the network's policy gives most away.
      random_moves: share of moves drawn evenly from the legal ones instead, once the position has been
        searched: games then go where neither the policy nor its samples lead. The return of what follows
        such a move is no part of the targets before it.
    """

    num_games: int = 256
    num_steps: int = 8
    budget: int = 32
    max_random_plies: int = 0
    random_starts: float = 0.0
    mistake_starts: float = 0.0
    sample_fraction: float = 0.25
    random_moves: float = 0.0
    from_trees: bool = False

    @property
    def num_examples(self) -> int:
        """Positions searched in one iteration."""
        return self.num_games * self.num_steps

    @property
    def num_remembered(self) -> int:
        """Examples of one iteration."""
        return self.num_examples * (2 if self.from_trees else 1)

    def __post_init__(self) -> None:
        for name in ("num_games", "num_steps", "budget"):
            if getattr(self, name) < 1:
                raise ValueError(f"self_play.{name} is {getattr(self, name)}; it must be at least 1")
        if self.max_random_plies < 0:
            raise ValueError(f"self_play.max_random_plies is {self.max_random_plies}; it must be 0 or more")
        for name in ("random_starts", "mistake_starts", "sample_fraction", "random_moves"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"self_play.{name} is {getattr(self, name)}; it must be in [0, 1]")


class Games(NamedTuple):
    """B games between two moves, and an archive of mistakes, a position for each game.

    Attributes:
      state: unfinished positions to go on from.
      mistake: where search saw the network's policy give most away in the game of this number and those
        before it; None unless new games start there, as is `regret`.
      regret: how much that was, in reward units; it fades with every move since.
    """

    state: State
    mistake: State | None
    regret: Float[Array, " B"] | None


class Trajectory(NamedTuple):
    """T moves of each of B games, time first; values to the player to move at that time.

    Attributes:
      state: positions searched.
      action_weights: the search's improved policy.
      value: the search's value of the state.
      regrets: what each action gives away, as of `SearchResult`.
      prior: the reflex policy over legal actions.
      prior_value: the network's.
      lower: proven bound below the state's exact value.
      upper: proven bound above it; equal to `lower` where the search has solved the state.
      reward: brought by the move played.
      discount: signed, of the move played; 0 where the game ended.
      tried: whether the move was drawn evenly from the legal ones.
      num_simulations: spent on the position.
      inside: positions from inside the trees, B of every time; None where they are not asked for.
    """

    state: State
    action_weights: Float[Array, "T B A"]
    value: Float[Array, "T B"]
    regrets: Float[Array, "T B A"]
    prior: Float[Array, "T B A"]
    prior_value: Float[Array, "T B"]
    lower: Float[Array, "T B"]
    upper: Float[Array, "T B"]
    reward: Float[Array, "T B"]
    discount: Float[Array, "T B"]
    tried: Bool[Array, "T B"]
    num_simulations: Int[Array, "T B"]
    inside: Inside | None = None


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


def initial_games(rng_key: Key[Array, ""], *, game: Game, config: SelfPlayConfig) -> Games:
    """B games that begin as of `initial_states`, with no mistake made yet."""
    state = initial_states(rng_key, game=game, config=config)
    if not config.mistake_starts:
        return Games(state, None, None)
    return Games(state, jax.tree.map(jnp.copy, state), jnp.zeros(config.num_games))


def self_play(
    params: Params,
    rng_key: Key[Array, ""],
    games: Games,
    *,
    game: Game,
    predict: PredictFn,
    search_config: SearchConfig,
    config: SelfPlayConfig,
) -> tuple[Games, Trajectory]:
    """Play T moves in each of B games; a finished game is replaced by a new start.

    Args:
      rng_key: consumed.

    Returns:
      The games to go on with, and what was played.
    """
    budget = jnp.full(config.num_games, config.budget)

    def step(games: Games, key_step: Key[Array, ""]) -> tuple[Games, Trajectory]:
        keys = jax.random.split(key_step, 7)
        key_search, key_sampled, key_action, key_outcome, key_starts, key_random, key_mistakes = keys
        state = games.state
        rules = {"game": game, "predict": predict, "config": search_config}
        if config.from_trees:
            result, inside = search_with_inside(params, key_search, state, budget, **rules)
        else:
            result, inside = search(params, key_search, state, budget, alike=True, **rules), None
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
            regrets=result.regrets,
            prior=result.prior,
            prior_value=result.prior_value,
            lower=result.lower,
            upper=result.upper,
            reward=brought.reward,
            discount=brought.discount,
            tried=tried,
            num_simulations=result.num_simulations,
            inside=inside,
        )
        starts = initial_states(key_starts, game=game, config=config)
        if games.mistake is not None:
            games = _with_mistakes(games, jnp.sum(played.prior * played.regrets, axis=-1))
            starts = _some_at_mistakes(key_mistakes, starts, games, game=game, config=config)
        return games._replace(state=_where(over, starts, next_state)), played

    return jax.lax.scan(step, games, jax.random.split(rng_key, config.num_steps))


def _with_mistakes(games: Games, regret: Float[Array, " B"]) -> Games:
    """The games with these regrets of their positions in the archive, where they are the greatest."""
    assert games.mistake is not None
    assert games.regret is not None
    before = _FADING * games.regret
    worse = regret > before
    return games._replace(
        mistake=_where(worse, games.state, games.mistake), regret=jnp.where(worse, regret, before)
    )


def _some_at_mistakes(
    rng_key: Key[Array, ""], starts: State, games: Games, *, game: Game, config: SelfPlayConfig
) -> State:
    """Starts, of which a share is in the archive, drawn in proportion to its regrets, or a move further."""
    assert games.mistake is not None
    assert games.regret is not None
    key_chosen, key_rows, key_moves = jax.random.split(rng_key, 3)
    rows = jax.random.categorical(key_rows, jnp.log(games.regret), shape=(config.num_games,))
    mistakes = jax.tree.map(lambda leaf: leaf[rows], games.mistake)
    further = jax.vmap(lambda key, state: _moved(key, state, game=game))(
        jax.random.split(key_moves, config.num_games), mistakes
    )
    # Before the first mistake there is nothing to choose from.
    share = jnp.where(jnp.any(games.regret > 0), config.mistake_starts, 0.0)
    return _where(jax.random.bernoulli(key_chosen, share, rows.shape), further, starts)


def _moved(rng_key: Key[Array, ""], state: State, *, game: Game) -> State:
    """In half of the cases the state after a random move, unless that ends the game; else the state."""
    key_moves, key_action, key_outcome = jax.random.split(rng_key, 3)
    action = _draw(key_action, game.legal_actions(state))
    outcome = _draw(key_outcome, game.outcome_probs(state, action))
    after, _ = game.apply(state, action, outcome)
    stays = is_terminal(game, after) | jax.random.bernoulli(key_moves)
    return jax.tree.map(lambda old, new: jnp.where(stays, old, new), state, after)


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
