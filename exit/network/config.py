"""Kinds of networks and their sizes."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class MLPConfig:
    """A residual multilayer perceptron over the flattened observation: the fastest net on a CPU.

    Attributes:
      width: units of the residual stream.
      num_blocks: residual blocks of two dense layers each.
      hidden: units between the two layers of a block; None for as many as `width`.
      bfloat16: multiply matrices in bfloat16, and on a GPU compute all in it; parameters and outputs stay
        float32. Worth it on a GPU and, for dense layers, on a CPU that multiplies it (AVX-512 BF16, AMX) as
        long as each core works alone.
      activation: "relu"; or "silu" (Elfwing et al. 2018), which has no kinks, for games in which the best of
        many actions depends on how the value curves.
      images: mirror images of what is seen (2, 4, ...) that the network values alike, moving its policy
        along; None for one. For games that have `symmetric_observations`, up to as many as they have
        symmetries that undo themselves and go in any order: two of a board, four of a square one. Units of
        trunk and blocks are shared out among them, so that blocks of the same width take so many times fewer
        operations; `width` and `hidden` must be multiples. The value head has its units for each.
    """

    width: int = 256
    num_blocks: int = 2
    hidden: int | None = None
    bfloat16: bool = False
    activation: Literal["relu", "silu"] = "relu"
    images: int | None = None

    def __post_init__(self) -> None:
        _check_sizes(self, width=1, num_blocks=0)
        if self.hidden is not None:
            _check_sizes(self, hidden=1)
        if self.images is None:
            return
        _check_sizes(self, images=1)
        if self.images.bit_count() > 1:
            raise ValueError(f"network.images is {self.images}; it must be a power of two")
        for name, size in (("width", self.width), ("hidden", self.hidden or self.width)):
            if size % self.images:
                raise ValueError(
                    f"network.{name} is {size}; it must be a multiple of network.images, {self.images}"
                )


@dataclass(frozen=True)
class ConvConfig:
    """A residual convolutional net with global pooling, for observations `[rows, columns, planes]`.

    Attributes:
      channels: channels of the residual stream.
      num_blocks: residual blocks of two 3 x 3 convolutions each.
      bfloat16: on a GPU compute in bfloat16; parameters and outputs stay float32. On a CPU convolutions are
        in float32 all the same.
    """

    channels: int = 32
    num_blocks: int = 2
    bfloat16: bool = False

    def __post_init__(self) -> None:
        _check_sizes(self, channels=1, num_blocks=0)


@dataclass(frozen=True)
class GRUConfig:
    """A gated recurrent unit that reads a history event by event, and a perceptron over what it remembers.

    For observations `[events, columns]`, see `exit.network.sequence`.

    Attributes:
      memory: units of the recurrent unit, which is all that is kept of a history.
      width: units of the residual stream over it.
      num_blocks: residual blocks of two dense layers each.
      bfloat16: on a GPU compute in bfloat16; parameters and outputs stay float32. On a CPU that multiplies it
        (AVX-512 BF16, AMX) so do dense layers, but not the recurrent unit.
    """

    memory: int = 64
    width: int = 128
    num_blocks: int = 2
    bfloat16: bool = False

    def __post_init__(self) -> None:
        _check_sizes(self, memory=1, width=1, num_blocks=0)


@dataclass(frozen=True)
class TransformerConfig:
    """A causal transformer over the events of a history, and a perceptron over what the newest one gathered.

    For observations `[events, columns]`, see `exit.network.sequence`. Events carry no position: their order
    shows in nothing but what each may look back at, so that no history is too long.

    Attributes:
      width: units of both residual streams.
      num_layers: of attention, each with a perceptron.
      num_heads: of attention; they divide the width.
      num_blocks: residual blocks of the perceptron over the newest event.
      bfloat16: multiply matrices in bfloat16, and on a GPU compute all in it; parameters and outputs stay
        float32. Worth it on a GPU and, for dense layers, on a CPU that multiplies it (AVX-512 BF16, AMX) as
        long as each core works alone.
    """

    width: int = 64
    num_layers: int = 2
    num_heads: int = 4
    num_blocks: int = 1
    bfloat16: bool = False

    def __post_init__(self) -> None:
        _check_sizes(self, width=1, num_layers=1, num_heads=1, num_blocks=0)
        if self.width % self.num_heads:
            raise ValueError(
                f"network.num_heads is {self.num_heads}; it must divide network.width, which is {self.width}"
            )


SequenceConfig = GRUConfig | TransformerConfig
NetworkConfig = MLPConfig | ConvConfig | GRUConfig | TransformerConfig


def num_images_of(config: NetworkConfig) -> int:
    """Mirror images that the network values alike; 1 for the position itself."""
    return (config.images or 1) if isinstance(config, MLPConfig) else 1


def in_single_precision(config: NetworkConfig) -> NetworkConfig:
    """The same network, computed in float32 throughout."""
    return replace(config, bfloat16=False)


def _check_sizes(config: NetworkConfig, **least: int) -> None:
    for name, bound in least.items():
        if getattr(config, name) < bound:
            allowed = "0 or more" if bound == 0 else f"at least {bound}"
            raise ValueError(f"network.{name} is {getattr(config, name)}; it must be {allowed}")
