"""A perceptron that knows mirror images, made of a plain one."""

from collections.abc import Mapping

import numpy as np


def knowing_images(leaves: Mapping[str, np.ndarray], num_images: int) -> dict[str, np.ndarray]:
    """Parameters, by dotted path, of a perceptron `num_images` times as wide, of those of a plain one.

    It says of a position the mean of what the plain one says of its images, nearly: nothing goes from image
    to image yet, but layers are normalised over all of them together.
    """
    found: dict[str, np.ndarray] = {}
    for path, leaf in leaves.items():
        layer, _, kind = path.rpartition(".")
        if path == "trunk.stem.bias":
            found["trunk.stem_bias"] = leaf
        elif not layer.endswith((".widen", ".narrow", "value_hidden")):
            found[path] = leaf
        elif kind == "kernel":
            # Sums and differences of images alike: each image by itself.
            found |= {f"{layer}.parts.{part}.kernel": leaf for part in range(num_images)}
        else:
            # A bias b of every image is sqrt(G) b in the sum.
            found[f"{layer}.parts.0.bias"] = leaf * np.float32(num_images**0.5)
    return found
