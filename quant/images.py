"""The border between real and integer tensors: images in, logits out."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from vitreous.quant.errors import QuantError
from vitreous.spec.graph import Graph
from vitreous.spec.graph import Tensor as Entry


def quantize_images(graph: Graph, images: Tensor) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Normalised images ``[n, C, H, W]`` or ``[C, H, W]`` to the graph's int8 input.

    ``saturate(floor(x / scale + 1/2) + zero_point)`` in float64. Raises QuantError for another shape.
    """
    entry = graph.input
    if tuple(images.shape[-3:]) != entry.shape or images.dim() not in (3, 4):
        raise QuantError(
            f"{graph.name} takes images of {list(entry.shape)}, not a tensor of {list(images.shape)}"
        )
    values = images.detach().double().numpy()
    integers = np.floor(values / entry.scale + 0.5) + entry.zero_point
    return np.clip(integers, -128, 127).astype(np.int8)


def real_values(entry: Entry, values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """``scale * (integer - zero_point)`` of a graph's tensor. Raises QuantError where it has no single scale."""
    if entry.scale == 0:
        raise QuantError(f"{entry.name} has a scale for each channel or row, not one")
    return entry.scale * (values.astype(np.float64) - entry.zero_point)
