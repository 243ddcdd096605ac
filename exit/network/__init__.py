"""The reflex: policy-value networks, as pure functions of a plain parameter pytree.

Flax stays inside this folder. Outside, a network is a `Network`: `init` makes parameters (nested dicts of
arrays), `predict` maps them and a batch of observations to prior logits and values.
"""

from exit.network.config import (
    ConvConfig,
    GRUConfig,
    MLPConfig,
    NetworkConfig,
    SequenceConfig,
    TransformerConfig,
    in_single_precision,
    num_images_of,
)
from exit.network.history import Memory, newest_event
from exit.network.make import LAST_LAYERS, Network, Params, PredictFn, Recurrence, make_network, recurrence_of
from exit.network.mirrors import mirrors_of
from exit.network.plain import knowing_images

__all__ = [
    "LAST_LAYERS",
    "ConvConfig",
    "GRUConfig",
    "MLPConfig",
    "Memory",
    "Network",
    "NetworkConfig",
    "Params",
    "PredictFn",
    "Recurrence",
    "SequenceConfig",
    "TransformerConfig",
    "in_single_precision",
    "knowing_images",
    "make_network",
    "mirrors_of",
    "newest_event",
    "num_images_of",
    "recurrence_of",
]
