"""What a user of the library holds: a trained agent that acts at any budget."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from exit.acting import Budget, budget_of_each, make_act_fn
from exit.catalog import load_config, with_overrides
from exit.checkpoint import WarnFn, restore, restore_latest, steps
from exit.errors import UsageError
from exit.game import Game, State
from exit.loop import RunConfig, acting_template
from exit.network import NetworkConfig, Params, make_network
from exit.rundir import read_info, require_settings
from exit.search import SearchConfig, SearchResult

# The settings that decide how an agent plays; the others only decided how it was trained.
_ACTING = ("game.", "network.", "search.")


# Programs that this process has met a deadline with; the first call of each compiles, which is not charged.
_COMPILED: set[tuple[Game, NetworkConfig, SearchConfig, int]] = set()


@dataclass(frozen=True, eq=False)
class Agent:
    """A game, a network's parameters and a way to search.

    Attributes:
      config: of the run it was trained in.
      search: how it searches; `search.max_simulations` is the largest budget it takes.
      params: the averaged parameters.
      step: iteration of the checkpoint.
      run_dir: where it comes from.
    """

    config: RunConfig
    search: SearchConfig
    params: Params
    step: int
    run_dir: Path

    @property
    def game(self) -> Game:
        """The rules it plays by."""
        return self.config.game

    @classmethod
    def load(
        cls,
        run_dir: Path | str,
        step: int | None = None,
        max_simulations: int | None = None,
        warn_fn: WarnFn | None = None,
    ) -> "Agent":
        """The agent of a run.

        Args:
          step: iteration of a kept checkpoint; None takes the newest that is whole.
          max_simulations: capacity in place of the configured one.
          warn_fn: told of damaged checkpoints that were passed over.

        Raises:
          UsageError: the directory holds no run, or one of another configuration or version, or there
            is no such checkpoint.
          CheckpointError: no checkpoint can be read.
        """
        run_dir = Path(run_dir)
        info = read_info(run_dir)
        config = with_overrides(load_config(info.config_name), info.overrides)
        require_settings(run_dir, info, config, parts=_ACTING)
        template = {"acting": acting_template(config)}
        if step is None:
            found = restore_latest(
                run_dir, template, warn_fn=warn_fn or (lambda message: None), set_aside=False
            )
            if found is None:
                raise UsageError(
                    f"{run_dir} has no checkpoint yet; `xit train {info.config_name} --run-dir {run_dir}` "
                    "continues the run"
                )
            step, trees = found
        elif step in (kept := steps(run_dir)):
            trees = restore(run_dir, step, template)
        else:
            raise UsageError(f"{run_dir} has no checkpoint of iteration {step}; it keeps {kept}")
        search = config.search
        if max_simulations is not None:
            search = dataclasses.replace(search, max_simulations=max_simulations)
        return cls(config, search, jax.tree.map(jnp.asarray, trees["acting"]), step, run_dir)

    def act(
        self, state: State, budget: Budget | None = None, *, deadline_ms: float | int | None = None
    ) -> SearchResult:
        """Search one state or a batch of them, without exploration noise.

        Args:
          state: one position, or positions stacked along a leading axis.
          budget: simulations, one number or one for each state; 0 is pure reflex. With a deadline it is
            the most that is spent, and None then means the capacity.
          deadline_ms: stop thinking after this many milliseconds. The budget is doubled from 0 while
            the next search is expected to end in time, so the answer is never less than the reflex's;
            compilation is not charged.

        Returns:
          The result, with a leading axis only if `state` has one.

        Raises:
          UsageError: the budget is negative, over the capacity or not one for each state, the deadline
            is negative, or neither limit is given.
        """
        if budget is None and deadline_ms is None:
            raise UsageError("give a budget, a deadline_ms, or both")
        if deadline_ms is not None and not deadline_ms >= 0:
            raise UsageError(f"deadline_ms is {deadline_ms}; it must be 0 or more")
        single = np.ndim(jax.tree.leaves(state)[0]) == np.ndim(jax.tree.leaves(self.game.init())[0])
        states = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state) if single else state
        capacity = self.search.max_simulations
        most = budget_of_each(states, capacity if budget is None else budget, capacity)
        result = self._search(states, most) if deadline_ms is None else self._until(states, most, deadline_ms)
        return jax.tree.map(lambda leaf: leaf[0], result) if single else result

    def _search(self, states: State, budget: Int[np.ndarray, " B"]) -> SearchResult:
        network = make_network(self.config.network, self.game)
        act_fn = make_act_fn(self.params, game=self.game, network=network, config=self.search)
        return jax.block_until_ready(act_fn(states, budget))  # pyright: ignore[reportArgumentType]

    def _until(self, states: State, budget: Int[np.ndarray, " B"], deadline_ms: float | int) -> SearchResult:
        """The largest doubling of the budget that is expected to be searched in time."""
        begun = time.perf_counter()
        result = self._search(states, np.zeros_like(budget))
        program = (self.config.game, self.config.network, self.search, len(budget))
        if program not in _COMPILED:
            _COMPILED.add(program)
            begun = time.perf_counter()
        reach = 1
        while True:
            started = time.perf_counter()
            spent = 1e3 * (started - begun)
            if spent >= deadline_ms:
                return result
            result = self._search(states, np.minimum(budget, reach))
            took = 1e3 * (time.perf_counter() - started)
            if reach >= budget.max(initial=0) or spent + 3 * took > deadline_ms:
                return result
            reach *= 2
