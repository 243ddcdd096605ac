"""One iteration of training: play, remember, learn; and all that it depends on.

Random keys are folded from the seed and the iteration, so that a run can go on from anywhere.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from exit import replay as ring
from exit.devices import everywhere, halves, placed, using
from exit.evaluate import EvaluationConfig
from exit.fingerprint import fingerprints
from exit.game import Game
from exit.jitting import jitted
from exit.learner import LearnerConfig, LearnerMetrics, LearnerState, init_learner, learn, regrets_now
from exit.network import MLPConfig, NetworkConfig, Params, make_network, mirrors_of, num_images_of
from exit.programs import kept
from exit.reanalysis import ReanalysisConfig, choose, search_again
from exit.replay import Replay, ReplayConfig
from exit.search import SearchConfig
from exit.selfplay import Games, PlayFigures, SelfPlayConfig, Trajectory, initial_games, self_play
from exit.targets import Targets, example_of, make_targets


@dataclass(frozen=True)
class RunConfig:
    """Everything a run depends on.

    Attributes:
      num_iterations: of self-play and learning.
      overlap: learn from what was found before while the next searches are made: half of the devices (on a
        CPU, the cores) play and search again, and half learn. What they find is learnt from an iteration
        later, also where one device has to do both in turn. A fleet, whose actors play while its learner
        learns, takes no notice.
      return_weight: share of the game's return in the value target, against the search's value.
      final_return_weight: that share in the last iteration, moved to in equal steps; None keeps it. Values
        learnt from how long games end are true early and noisy; those of search the other way round.
      without_luck: leave out of the returns what chance, or a move that was only tried, brought beyond what
        search expected; see `exit.targets.make_targets`. For games of chance.
      report_every: iterations between reports, each with a measurement if the game is solved.
      checkpoint_every: iterations between checkpoints.
      keep_checkpoints: checkpoints kept.
      snapshots: keep the agent as it is after 1, 2, 4, 8, ... iterations, each as a small file.
      start_from: an agent's file, or the name of an agent that comes with the product, whose parameters
        the run starts from; None starts from random ones.
    """

    game: Game
    network: NetworkConfig = field(default_factory=MLPConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    self_play: SelfPlayConfig = field(default_factory=SelfPlayConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    reanalysis: ReanalysisConfig = field(default_factory=ReanalysisConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    num_iterations: int = 100
    overlap: bool = False
    return_weight: float = 0.5
    final_return_weight: float | None = None
    without_luck: bool = False
    report_every: int = 10
    checkpoint_every: int = 10
    keep_checkpoints: int = 3
    snapshots: bool = False
    start_from: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_iterations", "report_every", "checkpoint_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("return_weight", "final_return_weight"):
            if (share := getattr(self, name)) is not None and not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}; it must be in [0, 1]")
        for name in ("self_play", "reanalysis", "evaluation"):
            if not 0 <= (budget := getattr(self, name).budget) <= self.search.max_simulations:
                raise ValueError(
                    f"{name}.budget is {budget}; it must be in [0, {self.search.max_simulations}], "
                    "or raise search.max_simulations"
                )
        if (images := num_images_of(self.network)) > 1:
            mirrors_of(self.game, images)
        examples = self.self_play.num_examples
        if self.replay.capacity % examples:
            raise ValueError(
                f"replay.capacity is {self.replay.capacity}; it must be a multiple of the {examples} "
                "examples of one iteration (self_play.num_games * self_play.num_steps)"
            )
        if self.reanalysis.candidates > self.replay.capacity:
            raise ValueError(
                f"reanalysis asks for {self.reanalysis.candidates} positions of a replay of "
                f"{self.replay.capacity}; lower it, or raise replay.capacity"
            )


class RunState(NamedTuple):
    """Everything that changes while a run goes on.

    Attributes:
      games: what self-play goes on with.
      iteration: iterations done.
    """

    learner: LearnerState
    replay: Replay
    games: Games
    iteration: Array


def init_run(config: RunConfig) -> RunState:
    """The state before the first iteration."""
    key_params, key_games = jax.random.split(_key(config, 0))
    network = make_network(config.network, config.game)
    game = config.game
    return RunState(
        learner=init_learner(
            key_params, network=network, config=config.learner, total_updates=_total_updates(config)
        ),
        replay=ring.init(example_of(game), config.replay.capacity, tell_apart=config.replay.rarity > 0),
        games=initial_games(key_games, game=game, config=config.self_play),
        iteration=jnp.int32(0),
    )


def iterate(state: RunState, *, config: RunConfig) -> tuple[RunState, LearnerMetrics, PlayFigures]:
    """One iteration: play, remember, learn; the figures are of the learner's and of the games.

    The replay and the games of `state` are consumed.
    """
    if config.overlap:
        return _iterate_at_once(state, config)
    key_play, _ = _keys(config, state.iteration + 1)
    weight = return_weight_at(state.iteration, config=config)
    games, targets, figures = _play(
        state.games, state.learner.averaged_params, key_play, weight, config=of_playing(config)
    )
    replay = _remember(state.replay, targets, config=of_playing(config))
    state, metrics = update(state._replace(replay=replay, games=games), config=config)
    return state, metrics, figures


def _iterate_at_once(state: RunState, config: RunConfig) -> tuple[RunState, LearnerMetrics, PlayFigures]:
    """An iteration of which half the devices do the searches, in games and again, and half the updates.

    What the searches found is remembered after the updates.
    """
    nothing_yet = not int(state.iteration)
    searching, learning = halves() or (None, None)
    with using(searching):
        key_play, _ = _keys(config, placed(state.iteration) + 1)
        weight = return_weight_at(placed(state.iteration), config=config)
        games, params = placed((state.games, state.learner.averaged_params))
        games, targets, figures = _play(games, params, key_play, weight, config=of_playing(config))
    with using(learning):
        state = placed(state._replace(games=None))
        if nothing_yet:
            state = state._replace(replay=_remember(state.replay, placed(targets), config=of_playing(config)))
        counts_for = _counts_for(state.replay, config)
        again = _chosen(state, counts_for, config)
    with using(searching):
        found = _searched(placed(again), params, config)
    with using(learning):
        learner, replay, metrics = _learnt(state, counts_for, config)
        replay = _renewed(replay, again, placed(found), learner.params, config)
        if not nothing_yet:
            replay = _remember(replay, placed(targets), config=of_playing(config))
    state = RunState(learner, replay, games, state.iteration + 1)
    return state, metrics, figures


def of_playing(config: RunConfig) -> RunConfig:
    """The settings that self-play depends on, the others as in any run: what one compiles serves the next."""
    return replace(
        config,
        reanalysis=ReanalysisConfig(),
        learner=LearnerConfig(),
        num_iterations=1,
        overlap=False,
        return_weight=0.0,
        final_return_weight=None,
        report_every=1,
        checkpoint_every=1,
        keep_checkpoints=1,
        snapshots=False,
        start_from=None,
        seed=0,
    )


def play(
    games: Games, params: Params, rng_key: Array, *, config: RunConfig
) -> tuple[Games, Trajectory, PlayFigures]:
    """One iteration's self-play: the games to go on with, what was played, and figures of it."""
    network = make_network(config.network, config.game)
    return self_play(
        network.ready(params),
        rng_key,
        games,
        game=config.game,
        predict=network.predict,
        search_config=_searching(config, config.self_play.budget),
        config=config.self_play,
    )


def update(state: RunState, *, config: RunConfig) -> tuple[RunState, LearnerMetrics]:
    """One iteration's re-analysis and learning, from the replay as it is.

    The replay of `state` is consumed; the iteration is over.
    """
    counts_for = _counts_for(state.replay, config)
    again = _chosen(state, counts_for, config)
    if again is not None:
        found = _searched(again, state.learner.averaged_params, config)
        state = state._replace(replay=_renew(state.replay, again.rows, found))
    learner, replay, metrics = _learnt(state, counts_for, config)
    return state._replace(learner=learner, replay=replay, iteration=state.iteration + 1), metrics


class _Again(NamedTuple):
    """What is searched again in an iteration.

    Attributes:
      rows: where the examples are in the replay.
      return_weight: as of `make_targets`.
    """

    rows: Int[Array, " n"]
    examples: Targets
    rng_key: Key[Array, ""]
    return_weight: Array


def _counts_for(replay: Replay, config: RunConfig) -> Float[Array, " capacity"] | None:
    """What each example counts for; None where all count alike."""
    return _rarities(replay, config.replay.rarity) if config.replay.rarity else None


def _chosen(
    state: RunState, counts_for: Float[Array, " capacity"] | None, config: RunConfig
) -> _Again | None:
    """What the coming iteration searches again; None where nothing, or while the replay holds too little."""
    key_again, _ = _learning_keys(state, config)
    if key_again is None or int(state.replay.size) < config.reanalysis.candidates:
        return None
    key_rows, key_search = jax.random.split(key_again)
    params, only = state.learner.averaged_params, _of_searching_again(config)
    rows, examples = _choose(state.replay, params, key_rows, counts_for, config=only)
    return _Again(rows, examples, key_search, return_weight_at(state.iteration, config=config))


def _searched(again: _Again | None, params: Params, config: RunConfig) -> Targets | None:
    """What search says now of what was chosen, if anything was."""
    if again is None:
        return None
    only = _of_searching_again(config)
    return _search_again(again.examples, params, again.rng_key, again.return_weight, config=only)


def _renewed(
    replay: Replay, again: _Again | None, found: Targets | None, params: Params, config: RunConfig
) -> Replay:
    """The replay with what was found, if anything was, and with what these parameters give away by it."""
    if again is None or found is None:
        return replay
    # Search knew the network of before the updates, which made a point of these positions: with what that
    # gave away they would be drawn again and again.
    network = make_network(config.network, config.game)
    regret = regrets_now(params, found, game=config.game, network=network)
    return _renew(replay, again.rows, found._replace(regret=regret))


def _learnt(
    state: RunState, counts_for: Float[Array, " capacity"] | None, config: RunConfig
) -> tuple[LearnerState, Replay, LearnerMetrics]:
    """What `exit.learner.learn` gives for the coming iteration."""
    return learn(
        state.learner,
        _learning_keys(state, config)[-1],
        state.replay,
        game=config.game,
        network=make_network(config.network, config.game),
        config=config.learner,
        total_updates=_total_updates(config),
        counts_for=counts_for,
    )


def _learning_keys(state: RunState, config: RunConfig) -> tuple[Array | None, Array]:
    """The coming iteration's keys of its re-analysis, where there is one, and of its updates."""
    _, key_learn = _keys(config, state.iteration + 1)
    if not config.reanalysis.num_positions:
        return None, key_learn
    key_again, key_learn = jax.random.split(key_learn)
    return key_again, key_learn


def _of_searching_again(config: RunConfig) -> RunConfig:
    """As `of_playing`, of what re-analysis depends on."""
    return replace(of_playing(config), reanalysis=config.reanalysis)


def return_weight_at(iteration: Array | int, *, config: RunConfig) -> Array:
    """The share of the game's return in the targets of the iteration that follows so many."""
    last = config.return_weight if config.final_return_weight is None else config.final_return_weight
    done = iteration / max(config.num_iterations - 1, 1)
    return jnp.float32(config.return_weight + (last - config.return_weight) * done)


@kept(static=("config",), donate=("games",))
def _play(
    games: Games, params: Params, rng_key: Array, return_weight: Array, *, config: RunConfig
) -> tuple[Games, Targets, PlayFigures]:
    """The games to go on with, and what an iteration's self-play teaches."""
    games, played, figures = play(games, params, rng_key, config=config)
    targets = make_targets(played, return_weight=return_weight, without_luck=config.without_luck)
    return *everywhere((games, targets)), figures


@kept(static=("config",), donate=("replay",))
def _remember(replay: Replay, targets: Targets, *, config: RunConfig) -> Replay:
    return everywhere(remember(replay, targets, config=config))


def remember(replay: Replay, targets: Targets, *, config: RunConfig) -> Replay:
    """The replay with one iteration's examples in it."""
    told_apart = fingerprints(targets.state, game=config.game) if config.replay.rarity else None
    return ring.add(replay, targets, told_apart)


@functools.partial(jax.jit, static_argnames="power")
def _rarities(replay: Replay, power: float) -> Float[Array, " capacity"]:
    return everywhere(ring.rarities(replay, power))


@kept(static=("config",))
def _choose(
    replay: Replay,
    params: Params,
    rng_key: Array,
    counts_for: Float[Array, " capacity"] | None,
    *,
    config: RunConfig,
) -> tuple[Int[Array, " n"], Targets]:
    """Rows of the replay to search again, and what they hold."""
    network = make_network(config.network, config.game)
    return everywhere(
        choose(
            replay,
            network.ready(params),
            rng_key,
            game=config.game,
            predict=network.predict,
            config=config.reanalysis,
            counts_for=counts_for,
        )
    )


@kept(static=("config",))
def _search_again(
    examples: Targets, params: Params, rng_key: Array, return_weight: Array, *, config: RunConfig
) -> Targets:
    """What search says of these examples' positions now."""
    network = make_network(config.network, config.game)
    found = search_again(
        examples,
        network.ready(params),
        rng_key,
        game=config.game,
        predict=network.predict,
        search_config=_searching(config, config.reanalysis.budget or config.self_play.budget),
        return_weight=return_weight,
    )
    return everywhere(found)


@jitted(donate=("replay",))
def _renew(replay: Replay, rows: Int[Array, " n"], examples: Targets) -> Replay:
    return everywhere(ring.renew(replay, rows, examples))


def _key(config: RunConfig, iteration: Array | int) -> Array:
    """The key of an iteration; 0 is the start."""
    return jax.random.fold_in(jax.random.key(config.seed), iteration)


def _keys(config: RunConfig, iteration: Array) -> tuple[Array, Array]:
    """The keys of an iteration's games and of its learning."""
    key_play, key_learn = jax.random.split(_key(config, iteration))
    return key_play, key_learn


def _total_updates(config: RunConfig) -> int:
    return config.num_iterations * config.learner.num_updates


def _searching(config: RunConfig, budget: int) -> SearchConfig:
    """Search with room for so many simulations and no more."""
    return replace(config.search, max_simulations=budget)
