"""Re-analysis: old positions searched again, with the network of today (Schrittwieser et al. 2021).

What was played is kept; what should have been said of it is brought up to date.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from exit.coherence import MAX_LEAVES, backups, num_leaves
from exit.game import Game, State
from exit.network import Params, PredictFn
from exit.replay import Replay, draw, rows_at, rows_in_window
from exit.search import SearchConfig, search
from exit.targets import Targets


@dataclass(frozen=True)
class ReanalysisConfig:
    """What is searched again in every iteration.

    Attributes:
      num_positions: searched again; 0 for none. Begins once `num_candidates` examples are drawn from.
      num_candidates: drawn from the replay, evenly over what it holds, for `priority` to choose from; 0 for
        four times `num_positions`, or for as many where any will do.
      priority: which of them: "uniform", any; "age", those searched longest ago; "incoherence", those whose
        value target is furthest from the backup of the present network's values at depth 1; "regret",
        drawn from all there are in proportion to what the network's policy gives away by what search found,
        which `learner.focus` keeps up to date.
      budget: simulations of each search; 0 for as many as a move of self-play has.
    """

    num_positions: int = 0
    num_candidates: int = 0
    priority: Literal["uniform", "age", "incoherence", "regret"] = "uniform"
    budget: int = 0

    def __post_init__(self) -> None:
        for name in ("num_positions", "num_candidates", "budget"):
            if getattr(self, name) < 0:
                raise ValueError(f"reanalysis.{name} is {getattr(self, name)}; it must be 0 or more")
        if 0 < self.num_candidates < self.num_positions:
            raise ValueError(
                f"reanalysis.num_candidates is {self.num_candidates}; it must be at least "
                f"reanalysis.num_positions, {self.num_positions}, or 0"
            )

    @property
    def candidates(self) -> int:
        """How many are drawn."""
        chosen = self.priority in ("age", "incoherence")
        return self.num_candidates or self.num_positions * (4 if chosen else 1)


def choose(
    replay: Replay,
    params: Params,
    rng_key: Key[Array, ""],
    *,
    game: Game,
    predict: PredictFn,
    config: ReanalysisConfig,
    counts_for: Float[Array, " capacity"] | None = None,
) -> tuple[Int[Array, " n"], Targets]:
    """What to search again of a replay that holds `config.candidates` examples: rows, and what they hold.

    Args:
      rng_key: consumed.
      counts_for: what each example counts for (`exit.replay.rarities`) where they are drawn by regret; None
        for alike.
    """
    rows = _rows(replay, params, rng_key, game=game, predict=predict, config=config, counts_for=counts_for)
    return rows, rows_at(replay, rows)


def search_again(
    examples: Targets,
    params: Params,
    rng_key: Key[Array, ""],
    *,
    game: Game,
    predict: PredictFn,
    search_config: SearchConfig,
    return_weight: Float[Array, ""] | float,
) -> Targets:
    """What to say of n positions now, searched to the whole of `search_config.max_simulations`.

    The policy target becomes what search now improves the policy to. The value target keeps the share
    `return_weight` of what it was and takes the rest from search, within what search has proven: how the game
    ended counts for less each time a position is searched again, and for nothing less where the weight is 1.

    Args:
      rng_key: consumed.
      return_weight: the share that `make_targets` was given.
    """
    budget = jnp.full(len(examples.value), search_config.max_simulations)
    rules = {"game": game, "predict": predict, "config": search_config}
    found = search(params, rng_key, examples.state, budget, alike=True, **rules)
    mixed = return_weight * examples.value + (1.0 - return_weight) * found.value
    return Targets(
        state=examples.state,
        action_weights=found.action_weights,
        value=jnp.clip(mixed, found.lower, found.upper),
        solved=found.lower == found.upper,
        regrets=found.regrets,
        regret=found.regret,
    )


def _rows(
    replay: Replay,
    params: Params,
    rng_key: Key[Array, ""],
    *,
    game: Game,
    predict: PredictFn,
    config: ReanalysisConfig,
    counts_for: Float[Array, " capacity"] | None,
) -> Int[Array, " n"]:
    """Which rows of a replay that holds enough are searched again; only by regret may one come twice."""
    if config.priority == "regret":
        return draw(replay, rng_key, config.num_positions, focus=1.0, counts_for=counts_for)
    key_drawn, key_order = jax.random.split(rng_key)
    drawn = rows_in_window(replay, _evenly(key_drawn, config.candidates, replay.window))
    if config.priority == "uniform":
        return jax.random.permutation(key_order, drawn)[: config.num_positions]
    if config.priority == "age":
        urgency = replay.age[drawn].astype(jnp.float32)
    else:
        state = jax.tree.map(lambda leaf: leaf[drawn], replay.examples.state)
        urgency = jnp.abs(replay.examples.value[drawn] - _backup(params, state, game=game, predict=predict))
    return drawn[jax.lax.top_k(urgency, config.num_positions)[1]]


def _evenly(rng_key: Key[Array, ""], num: int, size: Int[Array, ""]) -> Int[Array, " num"]:
    """Different numbers in [0, size), one from each of `num` equal parts."""
    # The first parts are one larger where it does not divide.
    step, rest = size // num, size % num
    part = jnp.arange(num)
    first = part * step + jnp.minimum(part, rest)
    width = step + (part < rest)
    return first + jax.random.randint(rng_key, (num,), 0, width)


def _backup(params: Params, state: State, *, game: Game, predict: PredictFn) -> Float[Array, " n"]:
    """The best of the action values that the successors' values back up to."""

    def one(state: State) -> Float[Array, ""]:
        alone = jax.tree.map(lambda leaf: leaf[None], state)
        return backups(params, alone, game=game, predict=predict, max_depth=1)[2].max()

    return jax.lax.map(one, state, batch_size=max(1, MAX_LEAVES // num_leaves(game, 1)))
