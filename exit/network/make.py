"""Networks as pure functions. What computes them is made when it is first needed, with flax."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from exit.devices import on_cpu
from exit.game import Game
from exit.jitting import named
from exit.network.config import ConvConfig, MLPConfig, NetworkConfig, num_images_of
from exit.network.history import Memory, events_to_come
from exit.programs import remembered

if TYPE_CHECKING:
    from exit.network.modules import Modules

Params = Any
"""A nested dict of arrays."""

LAST_LAYERS = ("policy", "value")
"""Parameters, by their names, of the layers that give logits and value, in float32 always."""

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
      ready: `ready(params) -> params`, what `predict` would round at every call rounded already; for callers
        that ask often. Predictions stay the same.
      activations: `activations(params, observation)`: what each layer makes of a batch, by its name,
        `[B, ...]`, in the order in which they follow each other; compiled programs sort dictionaries.
      num_images: mirror images that it values alike, whose features its layers hold one after the other.
    """

    shapes: Callable[[], Params]
    init: Callable[[Key[Array, ""]], Params]
    predict: PredictFn
    ready: Callable[[Params], Params]
    activations: Callable[[Params, Float[Array, "B ..."]], dict[str, Float[Array, "B ..."]]]
    num_images: int = 1


@functools.cache
def make_network(config: NetworkConfig, game: Game) -> Network:
    """The network of these sizes for a game; equal arguments give the same functions: programs are reused.

    Its functions raise ValueError where the game's observations have another shape than this kind of network
    needs, or the game has fewer mirror images than the network is to know.
    """

    @functools.cache
    def modules() -> "Modules":
        # Flax takes a second to import, and who runs programs that were kept has no use for it.
        from exit.network.modules import Modules

        return Modules(config, game)

    def shapes() -> Params:
        return remembered("shapes", lambda: modules().shapes(), config, game)

    def init(rng_key: Key[Array, ""]) -> Params:
        return modules().init(rng_key)

    def predict(
        params: Params, observation: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        return modules().of(params)(observation)

    def ready(params: Params) -> Params:
        if not (isinstance(config, MLPConfig) and config.bfloat16 and on_cpu()):
            return params
        return jax.tree_util.tree_map_with_path(_rounded, params)

    def activations(params: Params, observation: Float[Array, "B ..."]) -> dict[str, Float[Array, "B ..."]]:
        return modules().of(params).trunk.layers(observation)

    for function in (shapes, init, predict, activations):
        named(function, config, game)
    if isinstance(config, MLPConfig | ConvConfig):
        return Network(shapes, init, predict, ready, activations, num_images_of(config))
    recurrence = Recurrence(*(named(part, config, game) for part in _recurrence(lambda p: modules().of(p))))
    return Network(shapes, init, HistoryPredict(predict, recurrence), ready, activations)


def _rounded(path: tuple[Any, ...], leaf: Array) -> Array:
    """A perceptron's kernel in bfloat16, if it is one that a CPU multiplies so."""
    names = [key.key for key in path]
    halved = names[-1] == "kernel" and names[0] not in LAST_LAYERS
    return leaf.astype(jnp.bfloat16) if halved else leaf


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
