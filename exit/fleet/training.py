"""A run whose games are played by a fleet: the single-machine loop, with another source of games."""

import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from exit.checkpoint import WarnFn, steps
from exit.devices import everywhere
from exit.evaluate import rows_of
from exit.fleet.batch import Batch, Weights
from exit.fleet.cluster import ActorGroup, FleetConfig
from exit.fleet.joining import joined
from exit.fleet.ledger import Ledger
from exit.fleet.player import host_copy, make_player
from exit.fleet.staleness import Disagreement, Staleness, disagreement, looked_at
from exit.iteration import RunState, remember, update
from exit.learner import LearnerMetrics
from exit.logs import read_metrics
from exit.loop import ReportFn, train
from exit.network import Params, make_network
from exit.replay import Replay
from exit.runconfig import RunConfig, of_playing
from exit.rundir import read_info, require_settings
from exit.targets import Targets

if TYPE_CHECKING:
    from exit.fleet.crew import Crew


def train_on_fleet(
    config: RunConfig,
    run_dir: Path | str,
    *,
    fleet: FleetConfig,
    config_name: str,
    overrides: tuple[str, ...] = (),
    report_fn: ReportFn | None = None,
    warn_fn: WarnFn | None = None,
    stop_iteration: int | None = None,
    stop_fn: Callable[[], bool] | None = None,
    stage_fn: Callable[[str], None] | None = None,
) -> None:
    """Train as `exit.loop.train` does, in the same directories, on games that actors play.

    An iteration is a batch of games from any actor and the updates that follow it, so that as many
    updates are done for an example as on one machine: actors that are faster wait for the learner. A
    run may go on without a fleet, or with another one. Which batch comes when is not repeatable.

    Reports also have the figures of `Ledger`, `Crew` and `Staleness`, `weights_age` (iterations of learning
    that the weights which played the batch were behind), `play_seconds` (that the actor took) and
    `learn_seconds` (that taking in the batch and the updates took).

    Args:
      stage_fn: told what the run waits for before its first games.

    Raises:
      UserError: as `train` does; what an actor raised; or there is no Ray.
    """
    run_dir, warn = Path(run_dir), warn_fn or (lambda message: None)
    stage = stage_fn or (lambda text: None)
    if steps(run_dir):
        # Ray takes seconds to start; what is wrong with a run shows before.
        require_settings(run_dir, read_info(run_dir), config)
    stage("starting Ray" if fleet.address == "auto" else f"joining Ray at {fleet.address}")
    # Ray comes first: its processes are forked from this one, which threads of JAX would disturb.
    with joined(fleet) as groups, contextlib.ExitStack() as stack:
        stage("compiling, then starting actors")
        iterations = _Iterations(config, run_dir, groups, fleet, warn, stage, stack)
        train(
            config,
            run_dir,
            config_name=config_name,
            overrides=overrides,
            report_fn=report_fn,
            warn_fn=warn_fn,
            stop_iteration=stop_iteration,
            stop_fn=stop_fn,
            iterate_fn=iterations,
        )


class _Iterations:
    """Iterations on batches from a crew, which is hired with the first and let go with the stack."""

    def __init__(
        self,
        config: RunConfig,
        run_dir: Path,
        groups: tuple[ActorGroup, ...],
        fleet: FleetConfig,
        warn_fn: WarnFn,
        stage_fn: Callable[[str], None],
        stack: contextlib.ExitStack,
    ) -> None:
        self._config, self._run_dir, self._groups, self._fleet = config, run_dir, groups, fleet
        self._warn, self._stage, self._stack = warn_fn, stage_fn, stack
        self._staleness = Staleness()

    def __call__(self, state: RunState) -> tuple[RunState, LearnerMetrics, Mapping[str, Any]]:
        version, params = int(state.iteration), state.learner.averaged_params
        batch = self._crew.next_batch(Weights(version, host_copy(params)))
        begun = time.perf_counter()
        if len(batch.values):
            self._staleness.add(version - batch.version, disagreement_of(batch, params, config=self._config))
        replay = with_batch(state.replay, batch.leaves, config=self._config)
        state, metrics = jax.block_until_ready(update(state._replace(replay=replay), config=self._config))
        figures = {
            **batch.figures,
            **self._ledger.figures(),
            **self._crew.figures(),
            **self._staleness.figures(),
            "weights_age": version - batch.version,
            "play_seconds": batch.seconds,
            "learn_seconds": time.perf_counter() - begun,
        }
        return state, metrics, figures

    @functools.cached_property
    def _ledger(self) -> Ledger:
        """The accounts, from where the last report that the run keeps left them."""
        rows = read_metrics(self._run_dir)
        return Ledger.from_report(rows[-1]) if rows else Ledger()

    @functools.cached_property
    def _crew(self) -> "Crew":
        # Only now, with Ray joined: what it binds to is decided before it is imported.
        from exit.fleet.actors import carry_along
        from exit.fleet.crew import Crew

        carry_along(type(self._config.game).__module__)
        crew = Crew(
            functools.partial(make_player, config=self._config),
            self._groups,
            fleet=self._fleet,
            ledger=self._ledger,
            warn_fn=self._warn,
            stage_fn=self._stage,
        )
        self._stack.callback(crew.close)
        return crew


def disagreement_of(batch: Batch, params: Params, *, config: RunConfig) -> Disagreement:
    """How far what a batch's own weights said of its states disagrees with these parameters."""
    game = config.game
    # Of the targets the states come first.
    structure = jax.tree.structure(jax.eval_shape(game.init))
    states = jax.tree.unflatten(structure, batch.leaves[: structure.num_leaves])
    some = rows_of(states, looked_at(game, config.self_play.num_examples))
    predict = make_network(config.network, game).predict
    return disagreement(batch.values, params, some, game=game, predict=predict)


def with_batch(replay: Replay, leaves: list[np.ndarray], *, config: RunConfig) -> Replay:
    """The replay with the leaves of a batch in it; the one given is consumed."""
    targets: Targets = jax.tree.unflatten(jax.tree.structure(replay.examples), leaves)
    return _with_batch(replay, jax.tree.map(jnp.asarray, targets), config=of_playing(config))


@functools.partial(jax.jit, donate_argnums=0, static_argnames="config")
def _with_batch(replay: Replay, targets: Targets, *, config: RunConfig) -> Replay:
    return everywhere(remember(replay, targets, config=config))
