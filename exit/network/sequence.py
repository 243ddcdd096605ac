"""Trunks over histories: what happened, event by event, in the order in which it did.

An observation is `[events, columns]`: a row for every event that there can be, those to come all zeros. The
last column is 1 where the event has happened, the others say what it was. Of the events to come a trunk sees
how many there are, and of those that happened, each only once: what it keeps of them is its **memory**, so
that a history that grows by an event costs one step, not all of them again.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from exit.network.config import GRUConfig, SequenceConfig, TransformerConfig
from exit.network.history import Memory, events_to_come
from exit.network.layers import LayerFactory
from exit.network.trunks import DenseBlock, Layers

_FAR = 32.0
"""A number of events to come that counts as many."""


class Reader(Protocol):
    """What reads a history."""

    def remember(self, events: jax.Array) -> Memory:
        """What is kept of whole histories `[B, T, columns]`."""
        ...

    def step(self, memory: Memory, event: jax.Array) -> Memory:
        """What is kept when one event more, `[B, columns]`, has happened; the same if it has not."""
        ...

    def layers(self, memory: Memory) -> Layers:
        """What each layer made of it, `[B, D]`, the last one being what is read."""
        ...


class SequenceTrunk(nnx.Module):
    """A reader, and a perceptron over what it kept and how many events are to come."""

    def __init__(self, config: SequenceConfig, shape: tuple[int, ...], layers: LayerFactory):
        if len(shape) != 2 or shape[1] < 2:
            raise ValueError(
                f"{type(config).__name__} needs observations [events, columns], not {shape}; use MLPConfig"
            )
        if isinstance(config, GRUConfig):
            self.reader = GRUReader(config, shape[1], layers)
            size = config.memory
        else:
            self.reader = TransformerReader(config, shape, layers)
            size = config.width
        self.num_features = config.width
        self.norm = layers.norm(size)
        self.stem = layers.linear(size + 3, config.width)
        self.blocks = nnx.List([DenseBlock(config.width, layers) for _ in range(config.num_blocks)])

    def layers(self, observation: jax.Array) -> Layers:
        return self.read(self.reader.remember(observation), events_to_come(observation))

    def read(self, memory: Memory, to_come: jax.Array) -> Layers:
        """What each layer makes of memories and of `[B]` numbers of events to come."""
        found = self.reader.layers(memory)
        x = self.norm(list(found.values())[-1])
        far = jnp.stack([to_come / _FAR, jnp.log1p(to_come) / jnp.log1p(_FAR), 1 / (1 + to_come)], axis=-1)
        x = nnx.relu(self.stem(jnp.concatenate([x, far.astype(x.dtype)], axis=-1)))
        found["stem"] = x
        for index, block in enumerate(self.blocks):
            found[f"block {index + 1}"] = x = block(x)
        return found | {"features": nnx.relu(x)}


def _where(condition: jax.Array, chosen: Memory, other: Memory) -> Memory:
    """Memories, by a condition on each."""

    def select(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(select, chosen, other)


class GRUReader(nnx.Module):
    """A gated recurrent unit (K. Cho et al., 2014); the memory is its hidden state, `[B, memory]`."""

    def __init__(self, config: GRUConfig, num_columns: int, layers: LayerFactory):
        self.size = config.memory
        self.cell = nnx.GRUCell(num_columns, config.memory, dtype=layers.dtype, rngs=layers.rngs)

    def remember(self, events: jax.Array) -> jax.Array:
        start = jnp.zeros((events.shape[0], self.size), jnp.float32)
        steps = jnp.moveaxis(events, 1, 0)
        return jax.lax.scan(lambda memory, event: (self.step(memory, event), None), start, steps)[0]

    def step(self, memory: jax.Array, event: jax.Array) -> jax.Array:
        after, _ = self.cell(memory, event)
        return _where(event[:, -1] > 0, after.astype(jnp.float32), memory)

    def layers(self, memory: jax.Array) -> Layers:
        return {"memory": memory}


class Attended(NamedTuple):
    """What a transformer keeps of a batch of histories.

    Attributes:
      keys, values: of the start and every event, in each layer, `[B, layers, 1 + T, width]`.
      streams: what the newest event is after each layer, `[B, layers, width]`.
      number: of events.
    """

    keys: jax.Array
    values: jax.Array
    streams: jax.Array
    number: jax.Array


class TransformerReader(nnx.Module):
    """Causal attention (A. Vaswani et al., 2017) without positions; before the first event is a start."""

    def __init__(self, config: TransformerConfig, shape: tuple[int, ...], layers: LayerFactory):
        self.num_heads = config.num_heads
        # Of the start, which is all zeros, this is the bias.
        self.embed = layers.linear(shape[1], config.width)
        self.blocks = nnx.List([_Attention(config, layers) for _ in range(config.num_layers)])

    def remember(self, events: jax.Array) -> Attended:
        start = jnp.zeros_like(events[:, :1])
        x = self.embed(jnp.concatenate([start, events], axis=1))
        number = jnp.sum(events[..., -1], axis=1).astype(jnp.int32)
        places = jnp.arange(x.shape[1])
        seen = jnp.broadcast_to(places[:, None] >= places, (x.shape[0], *[x.shape[1]] * 2))
        keys, values, streams = [], [], []
        for block in self.blocks:
            query, key, value = block.project(x)
            x = block.mix(x, query, key, value, seen)
            keys.append(key)
            values.append(value)
            streams.append(jnp.take_along_axis(x, number[:, None, None], axis=1)[:, 0])
        # What has not happened is written over later; until then it must be the same in equal histories.
        past = (places <= number[:, None])[:, None, :, None]
        kept, said = (jnp.where(past, jnp.stack(each, axis=1), 0.0) for each in (keys, values))
        return Attended(kept, said, jnp.stack(streams, axis=1), number)

    def step(self, memory: Attended, event: jax.Array) -> Attended:
        x = self.embed(event)[:, None]
        number = memory.number + 1
        places = jnp.arange(memory.keys.shape[2])
        here = (places == number[:, None])[..., None]
        seen = (places <= number[:, None])[:, None]
        keys, values, streams = [], [], []
        for index, block in enumerate(self.blocks):
            query, key, value = block.project(x)
            keys.append(jnp.where(here, key, memory.keys[:, index]))
            values.append(jnp.where(here, value, memory.values[:, index]))
            x = block.mix(x, query, keys[-1], values[-1], seen)
            streams.append(x[:, 0])
        after = Attended(*[jnp.stack(each, axis=1) for each in (keys, values, streams)], number=number)
        return _where(event[:, -1] > 0, after, memory)

    def layers(self, memory: Attended) -> Layers:
        return {f"attention {index + 1}": memory.streams[:, index] for index in range(len(self.blocks))}


class _Attention(nnx.Module):
    """One layer of a transformer: attention, then a perceptron at each event."""

    def __init__(self, config: TransformerConfig, layers: LayerFactory):
        width = config.width
        self.num_heads = config.num_heads
        self.norm = layers.norm(width)
        self.inward = layers.linear(width, 3 * width)
        self.outward = layers.linear(width, width)
        self.block = DenseBlock(width, layers)

    def project(self, x: jax.Array) -> list[jax.Array]:
        """Queries, keys and values of events `[B, n, width]`."""
        return jnp.split(self.inward(self.norm(x)), 3, axis=-1)

    def mix(
        self, x: jax.Array, query: jax.Array, key: jax.Array, value: jax.Array, seen: jax.Array
    ) -> jax.Array:
        """What n events become when each looks at those of m that it may, `seen [B, n, m]`."""

        def heads(each: jax.Array) -> jax.Array:
            return each.reshape(*each.shape[:2], self.num_heads, -1)

        gathered = nnx.dot_product_attention(*map(heads, (query, key, value)), mask=seen[:, None])
        return self.block(x + self.outward(gathered.reshape(x.shape)))
