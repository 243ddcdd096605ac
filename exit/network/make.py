"""Networks, made: a trunk, its heads, and what they are as pure functions."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from exit.game import Game, observed_value_bounds_of
from exit.network.config import ConvConfig, MLPConfig, NetworkConfig
from exit.network.sequence import Memory, SequenceTrunk, events_to_come
from exit.network.trunks import ConvTrunk, MLPTrunk
from exit.programs import named

Params = Any
"""A nested dict of arrays."""

PredictFn = Callable[[Params, Float[Array, "B ..."]], tuple[Float[Array, "B A"], Float[Array, " B"]]]
"""`predict(params, observation) -> (prior_logits, value)`; value is the return to the player to move."""


class Recurrence(NamedTuple):
    """How a network over histories is asked event by event; `Memory` is what it keeps of a batch of them.

    Attributes:
      remember: `remember(params, observation) -> memory` of whole histories.
      step: `step(params, memory, event) -> memory`, one event more, `[B, columns]`.
      read: `read(params, memory, observation) -> (prior_logits, value)`; of the observation it sees only how
        many events are to come.
    """

    remember: Callable[[Params, Float[Array, "B T columns"]], Memory]
    step: Callable[[Params, Memory, Float[Array, "B columns"]], Memory]
    read: Callable[
        [Params, Memory, Float[Array, "B T columns"]], tuple[Float[Array, "B A"], Float[Array, " B"]]
    ]


@dataclass(frozen=True)
class HistoryPredict:
    """The `PredictFn` of a network over histories: it reads them in full, and can do so by events."""

    predict: PredictFn
    recurrence: Recurrence

    def __call__(
        self, params: Params, observation: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        return self.predict(params, observation)


def recurrence_of(predict: PredictFn) -> Recurrence | None:
    """How a network is asked event by event; None unless it is one over histories."""
    return predict.recurrence if isinstance(predict, HistoryPredict) else None


class Network(NamedTuple):
    """A network's pure functions.

    Attributes:
      shapes: `shapes() -> params`, of which only shapes and types are known.
      init: `init(rng_key) -> params`; the key is consumed.
      predict: `PredictFn`; batched, outputs float32 whatever the compute type. Logits of illegal
        actions are not masked: the network does not know the rules.
      activations: `activations(params, observation)`: what each layer makes of a batch, by its name,
        `[B, ...]`, in the order in which they follow each other; compiled programs sort dictionaries.
    """

    shapes: Callable[[], Params]
    init: Callable[[Key[Array, ""]], Params]
    predict: PredictFn
    activations: Callable[[Params, Float[Array, "B ..."]], dict[str, Float[Array, "B ..."]]]


class _PolicyValueNet(nnx.Module):
    """A trunk with a policy head and a value head squashed into what the rules leave open of the value."""

    def __init__(self, config: NetworkConfig, game: Game, rngs: nnx.Rngs):
        dtype = jnp.dtype(jnp.bfloat16 if config.bfloat16 else jnp.float32)
        shape = game.observation_shape
        if isinstance(config, MLPConfig):
            self.trunk = MLPTrunk(config, shape, dtype, rngs)
        elif isinstance(config, ConvConfig):
            self.trunk = ConvTrunk(config, shape, dtype, rngs)
        else:
            self.trunk = SequenceTrunk(config, shape, dtype, rngs)
        num_features = self.trunk.num_features
        # Heads start at zero: an untrained reflex is uniform and values every state at the middle.
        zeros = nnx.initializers.zeros_init()
        self.policy = nnx.Linear(num_features, game.num_actions, kernel_init=zeros, rngs=rngs)
        self.value_hidden = nnx.Linear(num_features, 64, dtype=dtype, rngs=rngs)
        self.value = nnx.Linear(64, 1, kernel_init=zeros, rngs=rngs)
        self.game = game

    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.answer(self.trunk.layers(observation)["features"], observation)

    def answer(self, x: jax.Array, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Prior logits and value by features; the observation tells the bounds of the value."""
        low, high = jax.vmap(lambda seen: observed_value_bounds_of(self.game, seen))(observation)
        logit = self.value(nnx.relu(self.value_hidden(x)).astype(jnp.float32))[:, 0]
        return self.policy(x.astype(jnp.float32)), low + (high - low) * jax.nn.sigmoid(logit)


@functools.cache
def make_network(config: NetworkConfig, game: Game) -> Network:
    """The network of these sizes for a game; equal arguments give the same functions: programs are reused.

    Raises:
      ValueError: the game's observations have another shape than the kind of network needs.
    """

    def build(rngs: nnx.Rngs) -> _PolicyValueNet:
        return _PolicyValueNet(config, game, rngs)

    abstract = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graph, abstract_state = nnx.split(abstract)

    def shapes() -> Params:
        return nnx.to_pure_dict(abstract_state)

    def init(rng_key: Key[Array, ""]) -> Params:
        return nnx.to_pure_dict(nnx.state(build(nnx.Rngs(rng_key))))

    def net_of(params: Params) -> _PolicyValueNet:
        state = jax.tree.map(lambda leaf: leaf, abstract_state)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)

    def predict(
        params: Params, observation: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        return net_of(params)(observation)

    def activations(params: Params, observation: Float[Array, "B ..."]) -> dict[str, Float[Array, "B ..."]]:
        return net_of(params).trunk.layers(observation)

    for function in (shapes, init, predict, activations):
        named(function, config, game)
    if isinstance(abstract.trunk, SequenceTrunk):
        recurrence = Recurrence(*(named(part, config, game) for part in _recurrence(net_of)))
        return Network(shapes, init, HistoryPredict(predict, recurrence), activations)
    return Network(shapes, init, predict, activations)


def _recurrence(net_of: Callable[[Params], Any]) -> Recurrence:
    """The recurrence of the networks that parameters make."""

    def remember(params: Params, observation: Float[Array, "B T columns"]) -> Memory:
        return net_of(params).trunk.reader.remember(observation)

    def step(params: Params, memory: Memory, event: Float[Array, "B columns"]) -> Memory:
        return net_of(params).trunk.reader.step(memory, event)

    def read(
        params: Params, memory: Memory, observation: Float[Array, "B T columns"]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        net = net_of(params)
        found = net.trunk.read(memory, events_to_come(observation))
        return net.answer(found["features"], observation)

    return Recurrence(remember, step, read)
