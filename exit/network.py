"""The reflex: policy-value networks, as pure functions of a plain parameter pytree.

Flax stays inside this file. Outside, a network is a `Network`: `init` makes parameters (nested dicts of
arrays), `predict` maps them and a batch of observations to prior logits and values.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from exit.game import Game, observed_value_bounds_of

Params = Any
"""A nested dict of arrays."""

PredictFn = Callable[[Params, Float[Array, "B ..."]], tuple[Float[Array, "B A"], Float[Array, " B"]]]
"""`predict(params, observation) -> (prior_logits, value)`; value is the return to the player to move."""


@dataclass(frozen=True)
class MLPConfig:
    """A residual multilayer perceptron over the flattened observation: the fastest net on a CPU.

    Attributes:
      width: units of the residual stream.
      num_blocks: residual blocks of two dense layers each.
      bfloat16: compute in bfloat16; parameters and outputs stay float32.
    """

    width: int = 256
    num_blocks: int = 2
    bfloat16: bool = False

    def __post_init__(self) -> None:
        _check_sizes("network.width", self.width, "network.num_blocks", self.num_blocks)


@dataclass(frozen=True)
class ConvConfig:
    """A residual convolutional net with global pooling, for observations `[rows, columns, planes]`.

    Attributes:
      channels: channels of the residual stream.
      num_blocks: residual blocks of two 3 x 3 convolutions each.
      bfloat16: compute in bfloat16; parameters and outputs stay float32.
    """

    channels: int = 32
    num_blocks: int = 2
    bfloat16: bool = False

    def __post_init__(self) -> None:
        _check_sizes("network.channels", self.channels, "network.num_blocks", self.num_blocks)


NetworkConfig = MLPConfig | ConvConfig


def _check_sizes(size_name: str, size: int, blocks_name: str, num_blocks: int) -> None:
    if size < 1:
        raise ValueError(f"{size_name} is {size}; it must be at least 1")
    if num_blocks < 0:
        raise ValueError(f"{blocks_name} is {num_blocks}; it must be 0 or more")


class Network(NamedTuple):
    """A network's two pure functions.

    Attributes:
      init: `init(rng_key) -> params`; the key is consumed.
      predict: `PredictFn`; batched, outputs float32 whatever the compute type. Logits of illegal
        actions are not masked: the network does not know the rules.
    """

    init: Callable[[Key[Array, ""]], Params]
    predict: PredictFn


class _DenseBlock(nnx.Module):
    """Pre-normalised residual block of two dense layers."""

    def __init__(self, width: int, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(width, dtype=dtype, rngs=rngs)
        self.widen = nnx.Linear(width, width, dtype=dtype, rngs=rngs)
        self.narrow = nnx.Linear(width, width, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.narrow(nnx.relu(self.widen(self.norm(x))))


class _MLPTrunk(nnx.Module):
    """Flattened observation to a feature vector."""

    def __init__(self, config: MLPConfig, shape: tuple[int, ...], dtype: jnp.dtype, rngs: nnx.Rngs):
        size = 1
        for axis in shape:
            size *= axis
        self.stem = nnx.Linear(size, config.width, dtype=dtype, rngs=rngs)
        self.blocks = nnx.List([_DenseBlock(config.width, dtype, rngs) for _ in range(config.num_blocks)])

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.stem(x.reshape(x.shape[0], -1)))
        for block in self.blocks:
            x = block(x)
        return nnx.relu(x)


class _PooledBlock(nnx.Module):
    """Residual block of two convolutions; the board's mean and maximum bias the second one."""

    def __init__(self, channels: int, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(channels, dtype=dtype, rngs=rngs)
        self.first = nnx.Conv(channels, channels, (3, 3), dtype=dtype, rngs=rngs)
        self.pooled = nnx.Linear(2 * channels, channels, dtype=dtype, rngs=rngs)
        self.second = nnx.Conv(channels, channels, (3, 3), dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = nnx.relu(self.first(self.norm(x)))
        summary = jnp.concatenate([hidden.mean(axis=(1, 2)), hidden.max(axis=(1, 2))], axis=-1)
        return x + self.second(nnx.relu(hidden + self.pooled(summary)[:, None, None]))


class _ConvTrunk(nnx.Module):
    """Planes to a feature vector that keeps every cell's channels."""

    def __init__(self, config: ConvConfig, shape: tuple[int, ...], dtype: jnp.dtype, rngs: nnx.Rngs):
        if len(shape) != 3:
            raise ValueError(
                f"ConvConfig needs observations [rows, columns, planes], not {shape}; use MLPConfig"
            )
        self.stem = nnx.Conv(shape[-1], config.channels, (3, 3), dtype=dtype, rngs=rngs)
        self.blocks = nnx.List([_PooledBlock(config.channels, dtype, rngs) for _ in range(config.num_blocks)])

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return nnx.relu(x).reshape(x.shape[0], -1)


class _PolicyValueNet(nnx.Module):
    """A trunk with a policy head and a value head squashed into what the rules leave open of the value."""

    def __init__(self, config: NetworkConfig, game: Game, rngs: nnx.Rngs):
        shape = game.observation_shape
        dtype = jnp.dtype(jnp.bfloat16 if config.bfloat16 else jnp.float32)
        if isinstance(config, MLPConfig):
            self.trunk = _MLPTrunk(config, shape, dtype, rngs)
            num_features = config.width
        else:
            self.trunk = _ConvTrunk(config, shape, dtype, rngs)
            num_features = shape[0] * shape[1] * config.channels
        # Heads start at zero: an untrained reflex is uniform and values every state at the middle.
        zeros = nnx.initializers.zeros_init()
        self.policy = nnx.Linear(num_features, game.num_actions, kernel_init=zeros, rngs=rngs)
        self.value_hidden = nnx.Linear(num_features, 64, dtype=dtype, rngs=rngs)
        self.value = nnx.Linear(64, 1, kernel_init=zeros, rngs=rngs)
        self.game = game

    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = self.trunk(observation)
        low, high = jax.vmap(lambda seen: observed_value_bounds_of(self.game, seen))(observation)
        logit = self.value(nnx.relu(self.value_hidden(x)).astype(jnp.float32))[:, 0]
        return self.policy(x.astype(jnp.float32)), low + (high - low) * jax.nn.sigmoid(logit)


@functools.cache
def make_network(config: NetworkConfig, game: Game) -> Network:
    """The network of these sizes for a game; equal arguments give the same functions: programs are reused."""

    def build(rngs: nnx.Rngs) -> _PolicyValueNet:
        return _PolicyValueNet(config, game, rngs)

    abstract = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graph, abstract_state = nnx.split(abstract)

    def init(rng_key: Key[Array, ""]) -> Params:
        return nnx.to_pure_dict(nnx.state(build(nnx.Rngs(rng_key))))

    def predict(
        params: Params, observation: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, " B"]]:
        state = jax.tree.map(lambda leaf: leaf, abstract_state)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)(observation)

    return Network(init=init, predict=predict)
