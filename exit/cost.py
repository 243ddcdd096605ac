"""What thinking costs an agent: floating-point operations, and milliseconds on this machine."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from exit.acting import compiled_search
from exit.agent import Agent
from exit.evaluate import rows_of
from exit.game import State
from exit.network import in_single_precision, make_network

_BACKWARD = 2
"""What gradients cost beside the evaluation itself, in evaluations."""


class Flops(NamedTuple):
    """Floating-point operations, as XLA counts those of its compiled programs; a loop in them counts once.

    Attributes:
      evaluation: of one state by the network: all that the reflex costs.
      simulation: of one simulation, by network, rules and tree; what a search does before its first
        simulation and after its last is in it, and of the blocks of levels that a descent or a back-up goes
        through, one.
    """

    evaluation: float
    simulation: float

    def of_search(self, simulations: np.ndarray | float) -> np.ndarray | float:
        """Of a state with so many simulations."""
        return self.evaluation + self.simulation * simulations

    def of_training(self, positions: float, simulations: float, examples: float) -> float:
        """Of self-play with so many simulations a position, and of gradients of so many examples."""
        return positions * float(self.of_search(simulations)) + (1 + _BACKWARD) * self.evaluation * examples


def flops_of(agent: Agent) -> Flops:
    """Counts the operations of an agent's network and search, whatever the type that it multiplies in."""
    # XLA counts a number that is rounded as an operation, and kernels are rounded once for many searches.
    network, game = make_network(in_single_precision(agent.config.network), agent.game), agent.game
    observation = jnp.zeros((1, *game.observation_shape))
    evaluation = _count(jax.jit(network.predict).lower(agent.params, observation).compile())
    states = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], game.init())

    program = compiled_search(agent.params, states, game=game, network=network, config=agent.search)
    # The program evaluates the root, and then goes on simulating, which counts once.
    return Flops(evaluation, _count(program) - evaluation)


def _count(compiled: jax.stages.Compiled) -> float:
    analysis = compiled.cost_analysis()
    return float(analysis["flops"]) if analysis else float("nan")


def latencies(
    act_fn: Callable[[State, int], Any],
    states: State,
    budgets: Sequence[int],
    *,
    calls: int,
    progress_fn: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, "S calls"]:
    """Milliseconds of acting at one state, from the call to the answer, compilation excluded.

    Args:
      states: stacked; the calls go through them in turn.
      calls: at each budget.
    """
    num_states = len(jax.tree.leaves(states)[0])
    some = [rows_of(states, np.array([call % num_states])) for call in range(min(calls, num_states))]
    for budget in (0, 1):
        # Programs without a tree and with one.
        jax.block_until_ready(act_fn(some[0], budget))
    spent = np.zeros((len(budgets), calls))
    for index, budget in enumerate(budgets):
        for call in range(calls):
            begun = time.perf_counter()
            jax.block_until_ready(act_fn(some[call % len(some)], budget))
            spent[index, call] = 1e3 * (time.perf_counter() - begun)
            if progress_fn is not None:
                progress_fn(index * calls + call + 1, len(budgets) * calls)
    return spent
