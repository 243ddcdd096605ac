"""Compiled searches that the tests of search share."""

import functools
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from exit.game import Game, State
from exit.network import Params, make_network
from exit.search import PUCT, Gumbel, SearchConfig, SearchResult, search, without_noise
from tests.tiny import NET, random_params, random_states

BATCH = 12
CAPACITY = 64


class Rig(NamedTuple):
    """A compiled search over batches of `BATCH` states of a game, noise at the root included."""

    game: Game
    params: Params
    states: State
    traces: list[int]
    run_fn: Any

    def run(self, budget: Any, *, states: State | None = None, params: Params | None = None) -> SearchResult:
        states = self.states if states is None else states
        budgets = jnp.broadcast_to(jnp.asarray(budget, jnp.int32), (BATCH,))
        return self.run_fn(self.params if params is None else params, jax.random.key(7), states, budgets)


def predict_of(game: Game, params: Params, observation: Array) -> tuple[Array, Array]:
    """What the rigs' network says."""
    return make_network(NET, game).predict(params, observation)


DEFAULT = SearchConfig(max_simulations=CAPACITY)
UNPROVEN = replace(DEFAULT, prove=False)
QUIET = without_noise(DEFAULT)

POLICIES = {
    "gumbel": Gumbel(),
    "anytime": Gumbel(anytime=True),
    "side by side": Gumbel(side_by_side=True),
    "anytime side by side": Gumbel(anytime=True, side_by_side=True),
    "puct": PUCT(),
}


QUICKLY = {"xla_backend_optimization_level": 0}
"""Compiler options for what runs so little that optimising it would take most of the time."""


@functools.cache
def rig_of(game: Game, config: SearchConfig = DEFAULT) -> Rig:
    """A rig for a game, compiled once a process."""
    traces: list[int] = []

    def counting_predict(
        params: Params, observation: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        traces.append(1)
        return predict_of(game, params, observation)

    run_fn = jax.jit(
        functools.partial(search, game=game, predict=counting_predict, config=config),
        compiler_options=QUICKLY,
    )
    return Rig(game, random_params(game), random_states(game, BATCH, 7, seed=1), traces, run_fn)
