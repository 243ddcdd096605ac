"""The distillation loop: iterations, one after another, and what keeps a run alive.

A run is a function of its configuration: every random key is folded from the seed and the iteration, so
a run that was killed and continued ends bit for bit where an uninterrupted one does.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from exit.catalog import did_you_mean, trained_agent, trained_names
from exit.checkpoint import WarnFn, restore_latest, save, steps
from exit.clock import Clock
from exit.devices import everywhere, placed
from exit.errors import UsageError, UserError
from exit.evaluate import Figures, MeasureFn, critical_sample, measure_fn_of
from exit.iteration import RunConfig, RunState, init_run, iterate
from exit.learner import LearnerMetrics
from exit.logs import open_metrics, read_metrics
from exit.network import Params, knowing_images, make_network, num_images_of
from exit.portable import SUFFIX, Portable, load_portable, params_of, save_portable, snapshot_path
from exit.programs import kept
from exit.replay import composition
from exit.rundir import claim, read_info, settings_of
from exit.solve import exact_of

ReportFn = Callable[[Mapping[str, float | int | None]], None]
"""Told the figures of the run so far; see `train`."""

IterateFn = Callable[[RunState], tuple[RunState, LearnerMetrics, Mapping[str, Any]]]
"""One iteration: the state after it, and figures of the learner and of the games."""


class TrainingDiverged(UserError):
    """The loss is not finite; the last good checkpoint is kept."""


def train(
    config: RunConfig,
    run_dir: Path | str,
    *,
    config_name: str,
    overrides: tuple[str, ...] = (),
    report_fn: ReportFn | None = None,
    warn_fn: WarnFn | None = None,
    stop_iteration: int | None = None,
    stop_fn: Callable[[], bool] | None = None,
    iterate_fn: IterateFn | None = None,
) -> None:
    """Train in a directory, from the start or from where a run of the same configuration stopped.

    Args:
      config_name: name or path by which `exit.catalog.load_config` finds the configuration again.
      overrides: `a.b=value` settings already applied to `config`, kept for the same purpose.
      report_fn: told, every `report_every` iterations and before every checkpoint and snapshot, the figures
        that also go to `metrics.jsonl`: iteration, num_iterations, positions, positions_per_second, seconds,
        seconds_left (None until a second iteration tells), policy_loss, value_loss, grad_norm, learning_rate,
        update_ratio (these of the last iteration), those of `PlayFigures` and of `exit.replay.composition`;
        and, on a fixed sample of critical states, those of `exit.evaluate.measure_fn_of`, the two mistake
        rates being None where the game is not solved or has no such state.
      warn_fn: told, on one line, what went wrong and was got over.
      stop_iteration: stop after this iteration with a checkpoint, to be continued later.
      stop_fn: asked after every iteration; True stops in the same manner.
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
        iterate_fn, stop_fn = iterate_fn or _alone(config), stop_fn or (lambda: False)
        writer = open_metrics(run_dir, int(state.iteration))
        try:
            for metrics in _run(config, run_dir, state, last, measure, iterate_fn, stop_fn):
                writer.write(metrics)
                if report_fn is not None:
                    report_fn(metrics)
        finally:
            writer.close()


def acting_template(config: RunConfig) -> Params:
    """Shapes of what a checkpoint stores under `acting`: the averaged parameters."""
    return make_network(config.network, config.game).shapes()


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
    measure: MeasureFn,
    iterate_fn: IterateFn,
    stop_fn: Callable[[], bool],
) -> Iterator[dict[str, float | int | None]]:
    """Iterate to `last` or until told to stop, yielding figures; every checkpoint follows its report."""
    examples = config.self_play.num_examples
    rows = read_metrics(run_dir)
    earlier: Mapping[str, Any] | None = rows[-1] if rows else None
    clock = Clock(float(rows[-1]["seconds"] or 0.0) if rows else 0.0, int(state.iteration))
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
        ended = iteration == last or stop_fn()
        saves = iteration % config.checkpoint_every == 0 or ended
        snaps = config.snapshots and iteration.bit_count() == 1
        if iteration % config.report_every == 0 or saves or snaps:
            clock.pause()
            params = state.learner.averaged_params
            measured = measure(placed(params) if config.overlap else params, earlier)
            yield {
                "iteration": iteration,
                "num_iterations": config.num_iterations,
                "positions": iteration * examples,
                **clock.figures(iteration, num_iterations=config.num_iterations, examples=examples),
                **{name: _number(value) for name, value in {**learned._asdict(), **figures}.items()},
                **composition(state.replay),
                **measured,
            }
            earlier = measured
            clock.go_on()
        if snaps:
            params = state.learner.averaged_params
            save_portable(snapshot_path(run_dir, iteration), read_info(run_dir), iteration, params)
        if saves:
            trees = {"acting": state.learner.averaged_params, "run": state}
            save(run_dir, iteration, trees, keep=config.keep_checkpoints)
        if ended:
            return


def _alone(config: RunConfig) -> IterateFn:
    """Iterations of this process."""

    def iterate_here(state: RunState) -> tuple[RunState, LearnerMetrics, Mapping[str, Any]]:
        state, learned, figures = iterate(state, config=config)
        return state, learned, figures._asdict()

    return iterate_here


def _number(value: Any) -> float | int:
    """A figure in JSON's types; what is counted stays whole."""
    return value if isinstance(value, int) else float(value)


def _measurement(config: RunConfig, warn_fn: WarnFn) -> MeasureFn:
    """What measures parameters on a fixed sample of critical states."""
    if not config.evaluation.exact:
        return _nothing_measured
    try:
        sample = critical_sample(exact_of(config.game, warn_fn=warn_fn), config.evaluation.num_positions)
    except UserError as error:
        raise UserError(f"{error}; or train without exact figures: --set evaluation.exact=false") from error
    if not sample.moves.critical.any():
        return _nothing_measured
    return measure_fn_of(
        sample,
        game=config.game,
        network=make_network(config.network, config.game),
        config=config.search,
        budget=config.evaluation.budget,
    )


def _nothing_measured(params: Params, earlier: Mapping[str, Any] | None) -> Figures:
    """The figures of a game without exact values, or in which nothing can go wrong."""
    return {"reflex_mistake_rate": None, "search_mistake_rate": None}


def _start(config: RunConfig, run_dir: Path, warn_fn: WarnFn) -> RunState:
    """The newest whole checkpoint of the directory, or a fresh run."""
    template = jax.eval_shape(lambda: init_run(config))
    found = restore_latest(run_dir, {"run": template}, warn_fn=warn_fn, set_aside=True)
    if found is None:
        return everywhere(_with_start(_init_run(config=config), config))
    _, trees = found
    return everywhere(jax.tree.map(jnp.asarray, trees["run"]))


_init_run = kept(static=("config",))(init_run)


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
    if path.suffix != SUFFIX and not path.exists():
        advice = "`xit doctor` lists those that come with xit, and `xit export` makes a file of a run"
        raise UsageError(
            f"there is no agent {config.start_from}{did_you_mean(path.name, trained_names(), advice)}"
        )
    if path.is_dir():
        raise UsageError(f"{path} is a directory; `xit export {path} FILE.npz` makes a file to start from")
    start = _for_images(load_portable(path), num_images_of(config.network))
    return params_of(start, acting_template(config), path, settings_of(config))


def _for_images(start: Portable, num_images: int) -> Portable:
    """The agent for a network that knows so many mirror images, where its own is a perceptron of none."""
    settings = start.info.settings
    plain = settings.get("network.type") == "MLPConfig" and settings.get("network.images") in (None, 1)
    if num_images == 1 or not plain:
        return start
    return start._replace(leaves=knowing_images(start.leaves, num_images))
