"""The reflex as a function of observations, and what it plays in many states."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from exit.agent import Agent
from exit.game import Game, State
from exit.network import PredictFn, make_network
from exit.solve import states_of

NetworkFn = Callable[[Float[np.ndarray, "B ..."]], tuple[Float[np.ndarray, "B A"], Float[np.ndarray, " B"]]]
"""`network(observations) -> (prior_logits, value)`, on the host, of any number of states."""

_CHUNK = 4096


def predict_of(agent: Agent) -> PredictFn:
    """The agent's network, its parameters still an argument."""
    return make_network(agent.config.network, agent.game).predict


def network_fn_of(agent: Agent) -> NetworkFn:
    """The agent's network as it is run by JAX."""
    predict = jax.jit(predict_of(agent))

    def network_fn(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, value = jax.device_get(predict(agent.params, observations))
        return np.asarray(logits), np.asarray(value)

    return network_fn


def reflex_moves(game: Game, keys: UInt32[np.ndarray, "n K"], network_fn: NetworkFn) -> Int[np.ndarray, " n"]:
    """The legal action of the greatest prior in each state, as `Agent.act` plays it at budget 0."""
    parts = [np.zeros(0, np.int64)]
    # Every batch but the last has the same size, so that a compiled network is compiled twice at most.
    for start in range(0, len(keys), _CHUNK):
        states = states_of(game, keys[start : start + _CHUNK])
        observations, legal = jax.device_get(_seen(game, states))
        logits, _ = network_fn(np.asarray(observations))
        parts.append(np.where(legal, logits, -np.inf).argmax(axis=1))
    return np.concatenate(parts)


@functools.partial(jax.jit, static_argnames="game")
def _seen(game: Game, states: State) -> tuple[Float[Array, "n ..."], Bool[Array, "n A"]]:
    """Observations and legal actions."""
    return jax.vmap(lambda state: (game.observe(state), game.legal_actions(state)))(states)
