"""What a user of the library holds: a trained agent that acts at any budget."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar

import jax
import numpy as np

from exit.acting import (
    AUTO_PRICE,
    Budget,
    budget_of_each,
    checked_limit,
    is_single,
    make_act_fn,
    make_curve_fn,
    make_thinker,
    whole_number,
)
from exit.checkpoint import WarnFn
from exit.errors import UsageError
from exit.foresight import BUDGETS, Foreseen, Foresight, foresee
from exit.game import Game, State
from exit.loop import RunConfig
from exit.network import Params, make_network
from exit.portable import SUFFIX, rounded, save_portable
from exit.rundir import RunInfo
from exit.search import (
    SearchConfig,
    SearchResult,
    Thinker,
    Thought,
    advance,
    think,
    think_more,
    think_until,
)
from exit.stored import stored

_LONG_MS = 400
"""From so long a deadline on, devices that share one state get further than one of them alone."""


@dataclass(frozen=True, eq=False)
class Agent:
    """A game, a network's parameters and a way to search.

    Attributes:
      config: of the run it was trained in.
      search: how it searches; `search.max_simulations` is the largest budget it takes.
      params: the averaged parameters.
      step: iteration that the parameters are of.
      info: what its run or its file says of how it was trained.
      source: the run directory or the file that it comes from.
      foresight: what it has learnt of its own searches (`xit foresee`); None if it has not.
    """

    config: RunConfig
    search: SearchConfig
    params: Params
    step: int
    info: RunInfo
    source: Path
    foresight: Foresight | None = None

    def __repr__(self) -> str:
        """One line: the game, where the agent comes from, and how far it may search."""
        return (
            f"<Agent of {self.game.name} from {self.source}, trained for {self.step:,} iterations; "
            f"budgets 0 to {self.search.max_simulations:,}>"
        )

    @property
    def game(self) -> Game:
        """The rules it plays by."""
        return self.config.game

    @classmethod
    def load(
        cls,
        source: Path | str,
        step: int | None = None,
        max_simulations: int | None = None,
        warn_fn: WarnFn | None = None,
    ) -> "Agent":
        """The agent of a run, of a file, or one that comes with the product.

        Args:
          source: a run directory, a `.npz` file that `save` wrote, or a name such as `connect_four` where
            there is no directory of that name.
          step: iteration of a kept checkpoint or snapshot; None takes the newest that is whole.
          max_simulations: capacity in place of the configured one.
          warn_fn: told of damaged checkpoints that were passed over.

        Raises:
          UsageError: there is no agent, or one of another configuration or version, or there is no such
            checkpoint.
          CheckpointError: no checkpoint can be read.
        """
        found = stored(Path(source), step, warn_fn or (lambda message: None))
        search = found.config.search
        if max_simulations is not None:
            search = dataclasses.replace(search, max_simulations=max_simulations)
        return cls(found.config, search, found.params, found.step, found.info, found.source, found.foresight)

    def save(self, path: Path | str, *, bfloat16: bool = False) -> Path:
        """Write the agent to one file of plain arrays, from which `load` makes it again.

        The game and the configuration are kept by name, not copied.

        Args:
          path: ends in `.npz`.
          bfloat16: round the parameters to that type, which halves the file; they stay float32, and
            computing is as before.

        Returns:
          The path written.

        Raises:
          UsageError: the path ends otherwise.
          UserError: it cannot be written; a file that was there is still whole.
        """
        path = Path(path)
        if path.suffix != SUFFIX:
            raise UsageError(f"{path} is no name for an agent's file; it must end in {SUFFIX}")
        params = rounded(self.params) if bfloat16 else self.params
        save_portable(path, self.info, self.step, params)
        return path

    def act(
        self,
        state: State,
        budget: Budget | str | None = None,
        *,
        deadline_ms: float | int | None = None,
        price: float | None = None,
    ) -> SearchResult:
        """Search one state or a batch of them, without exploration noise.

        Args:
          state: one position, or positions stacked along a leading axis.
          budget: simulations, one number or one for each state; 0 is pure reflex. With a deadline it is
            the most that is spent, and None then means the capacity. "auto" thinks about each state as
            long as it seems worth it, within the capacity; `num_simulations` tells how long that was.
          deadline_ms: stop thinking after this many milliseconds. Halving is then repeated as time
            allows, instead of planned for the whole budget; the answer is never less than the reflex's;
            compilation is not charged.
          price: what a simulation costs, as a share of the distance between the game's value bounds; each
            state is thought about until one more is worth no more (`exit.search.worth_of_thinking`).
            With a budget in numbers, that is the most that is spent. None is `AUTO_PRICE` where the
            budget is "auto", else no price.

        Returns:
          The result, with a leading axis only if `state` has one. With a price, an agent that has learnt
          what its searches find (`foresee`) also says what it had expected: `expected_gain`, beside what
          was spent, `num_simulations`, and what was found, `gain`.

        Raises:
          UsageError: the state is none of the game, the budget is negative, over the capacity or not one for
            each state, the deadline or the price is no number from 0, or no limit is given.
        """
        if budget is None and deadline_ms is None and price is None:
            raise UsageError("give a budget, a deadline_ms, a price, or several of them")
        if isinstance(budget, str):
            if budget != "auto":
                raise UsageError(f'budget is {budget!r}; give a number of simulations or "auto"')
            budget, price = None, AUTO_PRICE if price is None else price
        price, deadline_ms = checked_limit("price", price), checked_limit("deadline_ms", deadline_ms)
        single, states = self._batch(state)
        capacity = self.search.max_simulations
        most = budget_of_each(states, capacity if budget is None else budget, capacity)
        if deadline_ms is None:
            network = make_network(self.config.network, self.game)
            settings = {"game": self.game, "network": network, "config": self.search}
            act_fn = make_act_fn(self.params, **settings, price=price)
            result = jax.block_until_ready(act_fn(states, most))
        else:
            # Devices that share one state meet after every chunk, which in little time is most of it.
            shared = len(most) == 1 and deadline_ms >= _LONG_MS
            result = think_until(self._thinker(side_by_side=shared), states, most, deadline_ms, price)
        if price is not None:
            result = self._weighed(result, states, most)
        return _first(result) if single else result

    def curve(self, states: State, budgets: Sequence[int] | np.ndarray) -> SearchResult:
        """What one search of each state has found when each of several rising budgets is spent.

        Halving is repeated as in `think`, so that each look is what a search of that length answers.

        Args:
          states: stacked along a leading axis B.
          budgets: simulations, S of them, within the capacity.

        Returns:
          Results with leading axes `[S, B]`.

        Raises:
          UsageError: the budgets do not rise or are out of range, or there is no state.
        """
        if is_single(self.game, states):
            raise UsageError("`curve` takes a batch; stack the state along a leading axis")
        looks = np.asarray(budgets)
        if looks.ndim != 1 or not looks.size:
            raise UsageError(f"budgets is {budgets!r}; give a list of one or more")
        for budget in looks[:1], looks[-1:]:
            budget_of_each(states, int(whole_number("budget", budget[0])), self.search.max_simulations)
        if (np.diff(looks) < 0).any():
            raise UsageError(f"budgets {looks.tolist()} do not rise; sort them")
        network = make_network(self.config.network, self.game)
        curve_fn = make_curve_fn(self.params, game=self.game, network=network, config=self.search)
        return curve_fn(states, looks.astype(np.int32))

    def think(self, state: State, budget: int, *, room: int = 0, max_bytes: int | None = None) -> Thought:
        """Search one state, without a batch axis, and keep the tree.

        The answer is in `thought.result`. The budget may be of any size: the tree grows by doubling,
        each of which compiles the search once.

        Args:
          room: simulations that the tree has room for from the start, so that they compile it once.
          max_bytes: memory that the tree may fill; None is most of what is available.

        Raises:
          UsageError: the budget is negative or no whole number, the tree would not fit in the memory
            allowed, or it is not one state of the game.
        """
        if not is_single(self.game, state):
            raise UsageError("`think` takes one state at a time, without a leading axis")
        simulations = whole_number("budget", budget)
        return _asked(partial(think, room=room), self._thinker(max_bytes), state, simulations)

    def think_more(self, thought: Thought, budget: int, *, max_bytes: int | None = None) -> Thought:
        """Add simulations to a thought: n and then m give the same as n + m at once, up to rounding.

        Raises:
          UsageError: as `think`; the thought handed over stays as it is.
        """
        _require_thought(thought)
        return _asked(think_more, self._thinker(max_bytes), thought, whole_number("budget", budget))

    def advance(
        self, thought: Thought, action: SupportsIndex, outcome: SupportsIndex | None = None
    ) -> Thought:
        """The thought about the state after a move, and after what chance made of it: the tree below is kept.

        Args:
          outcome: what chance made of the move; None where there is but one thing that can happen.

        Raises:
          UsageError: the move is illegal or no whole number, or the outcome cannot happen or is not told.
        """
        _require_thought(thought)
        told = None if outcome is None else whole_number("outcome", outcome)
        return _asked(advance, self._thinker(), thought, whole_number("action", action), told)

    def _thinker(self, max_bytes: int | None = None, *, side_by_side: bool = True) -> Thinker:
        return make_thinker(
            self.params,
            game=self.game,
            network=make_network(self.config.network, self.game),
            config=self.search,
            side_by_side=side_by_side,
            max_bytes=max_bytes,
        )

    def foresee(self, state: State) -> Foreseen:
        """What searches are expected to find, without any: the price is one evaluation of the network.

        Args:
          state: one position, or positions stacked along a leading axis.

        Returns:
          In reward units, with a leading axis only if `state` has one.

        Raises:
          UsageError: the agent has not learnt what its searches find, or the state is none of the game.
        """
        if self.foresight is None:
            raise UsageError(f"{self.source} foresees nothing yet; `xit foresee {self.source}` teaches it")
        single, states = self._batch(state)
        network = make_network(self.config.network, self.game)
        found = foresee(self.foresight, self.params, states, game=self.game, network=network)
        return _first(found) if single else found

    def _batch(self, state: State) -> tuple[bool, State]:
        """Whether it is one state, and the batch of it or the batch that it is; UsageError if neither."""
        single = is_single(self.game, state)
        return single, jax.tree.map(lambda leaf: np.asarray(leaf)[None], state) if single else state

    def _weighed(self, result: SearchResult, states: State, most: np.ndarray) -> SearchResult:
        """The result with what was expected of it, if the agent foresees anything."""
        if self.foresight is None:
            return result
        gains = self.foresee(states).gains
        # What is foreseen for the next smaller search; the smallest stands for all below it.
        column = np.maximum(np.searchsorted(BUDGETS, most, side="right") - 1, 0)
        return result._replace(expected_gain=gains[np.arange(len(most)), column])


_Answer = TypeVar("_Answer", SearchResult, Foreseen)


@jax.jit
def _first(result: _Answer) -> _Answer:
    """The first of a batch; leaf by leaf it takes as long as a reflex."""
    return jax.tree.map(lambda leaf: leaf[0], result)


def _require_thought(thought: Any) -> None:
    if not isinstance(thought, Thought):
        raise UsageError(f"a {type(thought).__name__} is no thought; give what `think` returned")


def _asked(function: Callable[..., Thought], *arguments: Any) -> Thought:
    """What the function answers; what was wrong with the question as a usage error."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise UsageError(str(error)) from error
