"""The border between real and integer tensors: images in, logits out. docs/numerics.md states both formulas."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vitreous.spec.errors import VitreousError
from vitreous.spec.graph import Graph, Tensor


class ImageOrigin(StrEnum):
    """Whose images a figure of quality was measured on: without this it says nothing."""

    GIVEN = "given"
    """The user's own, handed over for this purpose."""
    SHIPPED = "shipped"
    """Real ones that come with a named model."""
    CALIBRATION = "calibration"
    """The images that ranges were found on: they flatter."""
    SYNTHETIC = "synthetic"
    """Made from a seed, without any meaning: nothing about accuracy follows from them."""


class ImageError(VitreousError, ValueError):
    """Images that a graph does not take, or a tensor without one real scale; the sentence names the tensor."""


def quantize_images(graph: Graph, images: NDArray[np.generic]) -> NDArray[np.int8]:
    """Normalised real images [C, H, W] or [n, C, H, W] to the graph's int8 input of the same shape.

    ``clamp8(floor(x / scale + 1/2) + zero_point)`` in float64: ties are rounded up. Raises ImageError for another
    shape and where the input has no positive scale.
    """
    entry = graph.input
    if images.ndim not in (3, 4) or tuple(images.shape[-3:]) != entry.shape:
        raise ImageError(
            f"{graph.name} takes images of {list(entry.shape)}, not a tensor of {list(images.shape)}"
        )
    if not entry.scale > 0:
        raise ImageError(f"Tensor {entry.name}: the input needs a positive scale, not {entry.scale}")
    integers: NDArray[np.float64] = (
        np.floor(np.asarray(images, np.float64) / entry.scale + 0.5) + entry.zero_point
    )
    return np.clip(integers, -128, 127).astype(np.int8)


def real_values(entry: Tensor, values: NDArray[np.generic]) -> NDArray[np.float64]:
    """``scale * (integer - zero_point)`` of a graph's tensor: float64 of the shape of ``values``.

    Raises ImageError where the tensor has no single scale.
    """
    if not entry.scale > 0:
        raise ImageError(f"{entry.name} has a scale for each channel or row, not one")
    return entry.scale * (np.asarray(values, np.float64) - entry.zero_point)
