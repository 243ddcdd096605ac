"""The distillation loop: self-play, replay, learner, and what keeps a run alive.

A run is a function of its configuration: every random key is folded from the seed and the iteration, so
a run that was killed and continued ends bit for bit where an uninterrupted one does.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from exit import replay as ring
from exit.acting import make_act_fn
from exit.catalog import trained_agent
from exit.checkpoint import WarnFn, restore_latest, save, steps
from exit.clock import Clock
from exit.devices import everywhere
from exit.errors import UsageError, UserError
from exit.evaluate import EvaluationConfig, Yardstick, critical_sample, decide, mistakes
from exit.game import Game, State
from exit.learner import LearnerConfig, LearnerMetrics, LearnerState, init_learner, learn
from exit.logs import open_metrics, read_metrics
from exit.network import MLPConfig, NetworkConfig, Params, make_network
from exit.portable import load_portable, params_of, save_portable, snapshot_path
from exit.replay import Replay, ReplayConfig
from exit.rundir import claim, read_info
from exit.search import SearchConfig
from exit.selfplay import PlayFigures, SelfPlayConfig, Trajectory, initial_states, self_play
from exit.solve import exact_of
from exit.targets import Targets, make_targets

ReportFn = Callable[[Mapping[str, float | int | None]], None]
"""Told the figures of the run so far; see `train`."""


@dataclass(frozen=True)
class RunConfig:
    """Everything a run depends on.

    Attributes:
      num_iterations: of self-play and learning.
      return_weight: share of the game's return in the value target, against the search's value.
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
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    num_iterations: int = 100
    return_weight: float = 0.5
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
        if not 0.0 <= self.return_weight <= 1.0:
            raise ValueError(f"return_weight is {self.return_weight}; it must be in [0, 1]")
        for name, budget in (("self_play", self.self_play.budget), ("evaluation", self.evaluation.budget)):
            if not 0 <= budget <= self.search.max_simulations:
                raise ValueError(
                    f"{name}.budget is {budget}; it must be in [0, {self.search.max_simulations}], "
                    "or raise search.max_simulations"
                )
        examples = self.self_play.num_examples
        if self.replay.capacity % examples:
            raise ValueError(
                f"replay.capacity is {self.replay.capacity}; it must be a multiple of the {examples} "
                "examples of one iteration (self_play.num_games * self_play.num_steps)"
            )


class RunState(NamedTuple):
    """Everything that changes while a run goes on.

    Attributes:
      games: the positions that self-play goes on from.
      iteration: iterations done.
    """

    learner: LearnerState
    replay: Replay
    games: State
    iteration: Array


IterateFn = Callable[[RunState], tuple[RunState, LearnerMetrics, Mapping[str, Any]]]
"""One iteration: the state after it, and figures of the learner and of the games."""


class TrainingDiverged(UserError):
    """The loss is not finite; the last good checkpoint is kept."""


def init_run(config: RunConfig) -> RunState:
    """The state before the first iteration."""
    key_params, key_games = jax.random.split(_key(config, 0))
    network = make_network(config.network, config.game)
    game = config.game
    example = Targets(game.init(), jnp.zeros(game.num_actions), jnp.float32(0))
    return RunState(
        learner=init_learner(
            key_params, network=network, config=config.learner, total_updates=_total_updates(config)
        ),
        replay=ring.init(example, config.replay.capacity),
        games=initial_states(key_games, game=game, config=config.self_play),
        iteration=jnp.int32(0),
    )


def iterate(state: RunState, *, config: RunConfig) -> tuple[RunState, LearnerMetrics, PlayFigures]:
    """One iteration: play, remember, learn; the figures are of the learner's and of the games.

    The replay and the games of `state` are consumed.
    """
    key_play, _ = _keys(config, state.iteration + 1)
    games, replay, figures = _play_and_remember(
        state.games, state.replay, state.learner.averaged_params, key_play, config=config
    )
    state, metrics = update(state._replace(replay=replay, games=games), config=config)
    return state, metrics, figures


def play(
    games: State, params: Params, rng_key: Array, *, config: RunConfig
) -> tuple[State, Trajectory, PlayFigures]:
    """One iteration's self-play: positions to go on from, what was played, and figures of it."""
    return self_play(
        params,
        rng_key,
        games,
        game=config.game,
        predict=make_network(config.network, config.game).predict,
        search_config=_self_play_search(config),
        config=config.self_play,
    )


def update(state: RunState, *, config: RunConfig) -> tuple[RunState, LearnerMetrics]:
    """One iteration's learning, from a replay that holds what was played in it; the iteration is over."""
    _, key_learn = _keys(config, state.iteration + 1)
    learner, metrics = learn(
        state.learner,
        key_learn,
        state.replay,
        game=config.game,
        network=make_network(config.network, config.game),
        config=config.learner,
        total_updates=_total_updates(config),
    )
    return state._replace(learner=learner, iteration=state.iteration + 1), metrics


@functools.partial(jax.jit, static_argnames="config", donate_argnums=(0, 1))
def _play_and_remember(
    games: State, replay: Replay, params: Params, rng_key: Array, *, config: RunConfig
) -> tuple[State, Replay, PlayFigures]:
    """Positions to go on from and the replay after an iteration's self-play."""
    games, played, figures = play(games, params, rng_key, config=config)
    replay = ring.add(replay, make_targets(played, return_weight=config.return_weight))
    return *everywhere((games, replay)), figures


def train(
    config: RunConfig,
    run_dir: Path | str,
    *,
    config_name: str,
    overrides: tuple[str, ...] = (),
    report_fn: ReportFn | None = None,
    warn_fn: WarnFn | None = None,
    stop_iteration: int | None = None,
    iterate_fn: IterateFn | None = None,
) -> None:
    """Train in a directory, from the start or from where a run of the same configuration stopped.

    Args:
      config_name: name or path by which `exit.catalog.load_config` finds the configuration again.
      overrides: `a.b=value` settings already applied to `config`, kept for the same purpose.
      report_fn: told, every `report_every` iterations and before every checkpoint and snapshot, the figures
        that also go to `metrics.jsonl`: iteration, num_iterations, positions, positions_per_second, seconds,
        seconds_left, policy_loss, value_loss, grad_norm, learning_rate (these of the last iteration),
        those of `PlayFigures`, replay_size, target_age (iterations since an example was played, mean over the
        replay), reflex_mistake_rate, search_mistake_rate (of a fixed sample of critical states; None where
        the game is not solved or has none).
      warn_fn: told, on one line, what went wrong and was got over.
      stop_iteration: stop after this iteration with a checkpoint, to be continued later.
      iterate_fn: an iteration; `iterate` if left out. Its figures are reported with the others.

    Raises:
      UsageError: the directory holds a run of another configuration or version.
      UserError: the directory cannot be written, another process trains in it, or the disk is full.
      TrainingDiverged: the loss is not finite.
    """
    run_dir = Path(run_dir)
    warn = warn_fn or (lambda message: None)
    _require_runnable(config)
    if not steps(run_dir):
        # A run that goes on needs its start no more.
        _start_params(config)
    with claim(run_dir, config, config_name=config_name, overrides=overrides):
        state = _start(config, run_dir, warn)
        measure = _measurement(config, warn)
        last = config.num_iterations if stop_iteration is None else min(stop_iteration, config.num_iterations)
        writer = open_metrics(run_dir, int(state.iteration))
        try:
            for metrics in _run(config, run_dir, state, last, measure, iterate_fn or _alone(config)):
                writer.write(metrics)
                if report_fn is not None:
                    report_fn(metrics)
        finally:
            writer.close()


def acting_template(config: RunConfig) -> Params:
    """Shapes of what a checkpoint stores under `acting`: the averaged parameters."""
    return jax.eval_shape(lambda: make_network(config.network, config.game).init(jax.random.key(0)))


def _require_runnable(config: RunConfig) -> None:
    """Raise UsageError where network, search and game do not fit each other, before anything is written."""
    try:
        jax.eval_shape(lambda: init_run(config))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _run(
    config: RunConfig,
    run_dir: Path,
    state: RunState,
    last: int,
    measure: "_MeasureFn",
    iterate_fn: IterateFn,
) -> Iterator[dict[str, float | int | None]]:
    """Iterate to `last`, yielding figures; every checkpoint follows the report of its iteration."""
    examples = config.self_play.num_examples
    clock = Clock(_seconds_so_far(run_dir), int(state.iteration))
    for iteration in range(int(state.iteration) + 1, last + 1):
        state, learned, figures = iterate_fn(state)
        if not np.isfinite([learned.policy_loss, learned.value_loss, learned.grad_norm]).all():
            raise TrainingDiverged(
                f"the loss is not finite at iteration {iteration} (update {int(state.learner.num_updates)}); "
                f"checkpoints of earlier iterations are kept in {run_dir}; start again in another --run-dir "
                f"with learner.learning_rate below {config.learner.learning_rate:g}"
            )
        if iteration == clock.iterations + 1:
            clock.end_first()
        ended = iteration == last
        saves = iteration % config.checkpoint_every == 0 or ended
        snaps = config.snapshots and iteration.bit_count() == 1
        if iteration % config.report_every == 0 or saves or snaps:
            clock.pause()
            reflex, searching = measure(state.learner.averaged_params)
            yield {
                "iteration": iteration,
                "num_iterations": config.num_iterations,
                "positions": iteration * examples,
                **clock.figures(iteration, num_iterations=config.num_iterations, examples=examples),
                **{name: _number(value) for name, value in {**learned._asdict(), **figures}.items()},
                "replay_size": int(state.replay.size),
                "target_age": _target_age(int(state.replay.size), iteration, config),
                "reflex_mistake_rate": reflex,
                "search_mistake_rate": searching,
            }
            clock.go_on()
        if snaps:
            params = state.learner.averaged_params
            save_portable(snapshot_path(run_dir, iteration), read_info(run_dir), iteration, params)
        if saves:
            trees = {"acting": state.learner.averaged_params, "run": state}
            save(run_dir, iteration, trees, keep=config.keep_checkpoints)


def _alone(config: RunConfig) -> IterateFn:
    """Iterations of this process."""

    def iterate_here(state: RunState) -> tuple[RunState, LearnerMetrics, Mapping[str, Any]]:
        state, learned, figures = iterate(state, config=config)
        return state, learned, figures._asdict()

    return iterate_here


def _number(value: Any) -> float | int:
    """A figure in JSON's types; what is counted stays whole."""
    return value if isinstance(value, int) else float(value)


_MeasureFn = Callable[[Params], tuple[float | None, float | None]]


def _measurement(config: RunConfig, warn_fn: WarnFn) -> _MeasureFn:
    """What tells the mistake rates of parameters on a fixed sample of critical states."""
    if not config.evaluation.exact:
        return lambda params: (None, None)
    try:
        sample = critical_sample(exact_of(config.game, warn_fn=warn_fn), config.evaluation.num_positions)
    except UserError as error:
        raise UserError(f"{error}; or train without exact figures: --set evaluation.exact=false") from error
    if not sample.moves.critical.any():
        return lambda params: (None, None)
    return functools.partial(_mistake_rates, sample=sample, config=config)


def _mistake_rates(params: Params, *, sample: Yardstick, config: RunConfig) -> tuple[float, float]:
    """Critical mistake rates of the reflex and of search at the evaluation budget."""
    act_fn = make_act_fn(
        params, game=config.game, network=make_network(config.network, config.game), config=config.search
    )
    reflex, searching = (
        mistakes(decide(act_fn, sample.states, budget), sample.moves)
        for budget in (0, config.evaluation.budget)
    )
    return float(np.mean(reflex)), float(np.mean(searching))


def _start(config: RunConfig, run_dir: Path, warn_fn: WarnFn) -> RunState:
    """The newest whole checkpoint of the directory, or a fresh run."""
    template = jax.eval_shape(lambda: init_run(config))
    found = restore_latest(run_dir, {"run": template}, warn_fn=warn_fn, set_aside=True)
    if found is None:
        return everywhere(_with_start(jax.jit(init_run, static_argnames="config")(config), config))
    _, trees = found
    return everywhere(jax.tree.map(jnp.asarray, trees["run"]))


def _with_start(state: RunState, config: RunConfig) -> RunState:
    """A fresh run with the parameters that it is to start from."""
    start = _start_params(config)
    if start is None:
        return state
    params = jax.tree.map(jnp.asarray, start)
    return state._replace(learner=state.learner._replace(params=params, averaged_params=params))


def _start_params(config: RunConfig) -> Params | None:
    """The parameters that a run is to start from; None for random ones.

    Raises:
      UsageError: there is no such agent, or it has another network or plays another game.
    """
    if config.start_from is None:
        return None
    path = trained_agent(config.start_from) or Path(config.start_from)
    return params_of(load_portable(path), acting_template(config), path)


def _seconds_so_far(run_dir: Path) -> float:
    rows = read_metrics(run_dir)
    return float(rows[-1]["seconds"] or 0.0) if rows else 0.0


def _key(config: RunConfig, iteration: Array | int) -> Array:
    """The key of an iteration; 0 is the start."""
    return jax.random.fold_in(jax.random.key(config.seed), iteration)


def _keys(config: RunConfig, iteration: Array) -> tuple[Array, Array]:
    """The keys of an iteration's games and of its learning."""
    key_play, key_learn = jax.random.split(_key(config, iteration))
    return key_play, key_learn


def _target_age(replay_size: int, iteration: int, config: RunConfig) -> float:
    """Mean age of the examples in the replay, in iterations; those of this one have age 0."""
    held = min(iteration, replay_size // config.self_play.num_examples)
    return (held - 1) / 2


def _total_updates(config: RunConfig) -> int:
    return config.num_iterations * config.learner.num_updates


def _self_play_search(config: RunConfig) -> SearchConfig:
    """Search with room for the self-play budget and no more."""
    return replace(config.search, max_simulations=config.self_play.budget)
