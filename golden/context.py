"""Probabilities times values (docs/numerics.md, Row scale)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.integers import product
from vitreous.golden.linear import accumulators


def context(p: Tensor, v: Tensor, heads: int) -> Tensor:
    """``acc[i, h*d + c] = sum_j p[h, i, j] * v[j, h*d + c]``: int8 twice -> int32.

    p : [..., heads, T, T]; v : [..., T, heads*d] -> [..., T, heads*d].
    """
    values = v.unflatten(-1, (heads, -1)).transpose(-2, -3)
    mixed = accumulators(product(p, values.transpose(-1, -2)))
    return mixed.transpose(-2, -3).flatten(-2)
