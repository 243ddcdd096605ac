"""One iteration of training: play, remember, learn.

Random keys are folded from the seed and the iteration, so that a run can go on from anywhere.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from exit import replay as ring
from exit.devices import everywhere, halves, placed, using
from exit.diagnostics import PlayFigures, play_figures
from exit.fingerprint import fingerprints
from exit.jitting import jitted
from exit.learner import LearnerMetrics, LearnerState, init_learner, learn, regrets_now
from exit.network import Params, make_network
from exit.programs import kept
from exit.reanalysis import choose, search_again
from exit.replay import Replay
from exit.runconfig import (
    RunConfig,
    iteration_key,
    iteration_keys,
    of_playing,
    of_searching_again,
    return_weight_at,
    searching,
    total_updates,
)
from exit.selfplay import Games, Trajectory, initial_games, self_play
from exit.targets import Targets, example_of, make_targets


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
    key_params, key_games = jax.random.split(iteration_key(config, 0))
    network = make_network(config.network, config.game)
    game = config.game
    return RunState(
        learner=init_learner(
            key_params, network=network, config=config.learner, total_updates=total_updates(config)
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
    key_play, _ = iteration_keys(config, state.iteration + 1)
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
    searchers, learners = halves() or (None, None)
    with using(searchers):
        key_play, _ = iteration_keys(config, placed(state.iteration) + 1)
        weight = return_weight_at(placed(state.iteration), config=config)
        games, params = placed((state.games, state.learner.averaged_params))
        games, targets, figures = _play(games, params, key_play, weight, config=of_playing(config))
    with using(learners):
        state = placed(state._replace(games=None))
        if nothing_yet:
            state = state._replace(replay=_remember(state.replay, placed(targets), config=of_playing(config)))
        counts_for = _counts_for(state.replay, config)
        again = _chosen(state, counts_for, config)
    with using(searchers):
        found = _searched(placed(again), params, config)
    with using(learners):
        learner, replay, metrics = _learnt(state, counts_for, config)
        replay = _renewed(replay, again, placed(found), learner.params, config)
        if not nothing_yet:
            replay = _remember(replay, placed(targets), config=of_playing(config))
    state = RunState(learner, replay, games, state.iteration + 1)
    return state, metrics, figures


def play(games: Games, params: Params, rng_key: Array, *, config: RunConfig) -> tuple[Games, Trajectory]:
    """One iteration's self-play: the games to go on with, and what was played."""
    network = make_network(config.network, config.game)
    return self_play(
        network.ready(params),
        rng_key,
        games,
        game=config.game,
        predict=network.predict,
        search_config=searching(config, config.self_play.budget),
        config=config.self_play,
    )


def teach(played: Trajectory, return_weight: Array, *, config: RunConfig) -> tuple[Targets, PlayFigures]:
    """What is to be learnt from what was played, and figures of it."""
    targets = make_targets(played, return_weight=return_weight, without_luck=config.without_luck)
    return targets, play_figures(played, targets)


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
    if key_again is None or int(state.replay.window) < config.reanalysis.candidates:
        return None
    key_rows, key_search = jax.random.split(key_again)
    params, only = state.learner.averaged_params, of_searching_again(config)
    rows, examples = _choose(state.replay, params, key_rows, counts_for, config=only)
    return _Again(rows, examples, key_search, return_weight_at(state.iteration, config=config))


def _searched(again: _Again | None, params: Params, config: RunConfig) -> Targets | None:
    """What search says now of what was chosen, if anything was."""
    if again is None:
        return None
    only = of_searching_again(config)
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
        total_updates=total_updates(config),
        counts_for=counts_for,
    )


def _learning_keys(state: RunState, config: RunConfig) -> tuple[Array | None, Array]:
    """The coming iteration's keys of its re-analysis, where there is one, and of its updates."""
    _, key_learn = iteration_keys(config, state.iteration + 1)
    if not config.reanalysis.num_positions:
        return None, key_learn
    key_again, key_learn = jax.random.split(key_learn)
    return key_again, key_learn


@kept(static=("config",), donate=("games",))
def _play(
    games: Games, params: Params, rng_key: Array, return_weight: Array, *, config: RunConfig
) -> tuple[Games, Targets, PlayFigures]:
    """The games to go on with, and what an iteration's self-play teaches."""
    games, played = play(games, params, rng_key, config=config)
    targets, figures = teach(played, return_weight, config=config)
    return *everywhere((games, targets)), figures


@kept(static=("config",), donate=("replay",))
def _remember(replay: Replay, targets: Targets, *, config: RunConfig) -> Replay:
    return everywhere(remember(replay, targets, config=config))


def remember(replay: Replay, targets: Targets, *, config: RunConfig) -> Replay:
    """The replay with one iteration's examples in it."""
    told_apart = fingerprints(targets.state, game=config.game) if config.replay.rarity else None
    return ring.add(replay, targets, told_apart, first_window=config.replay.window)


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
        search_config=searching(config, config.reanalysis.budget or config.self_play.budget),
        return_weight=return_weight,
    )
    return everywhere(found)


@jitted(donate=("replay",))
def _renew(replay: Replay, rows: Int[Array, " n"], examples: Targets) -> Replay:
    return everywhere(ring.renew(replay, rows, examples))
