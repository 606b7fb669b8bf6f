"""Probabilities times values (docs/numerics.md, Probabilities)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import product
from vitreous.golden.ops.linear import accumulators
from vitreous.spec.softmax import WIDE_BITS


def planes(p: Tensor) -> tuple[Tensor, Tensor]:
    """``p = 256 * h + l`` with ``h = (p + 128) >> 8`` in 0..127, ``l`` in -128..127: int16 -> int8 twice."""
    wide = p.to(torch.int32)
    high = (wide + 128) >> 8
    return high.to(torch.int8), (wide - (high << 8)).to(torch.int8)


def combine(high: Tensor, low: Tensor) -> Tensor:
    """``(high << 4) + ((low + 8) >> 4)``: accumulators of the two byte planes, integers of 32 bits -> int64."""
    half = 1 << (WIDE_BITS - 1)
    return (high.to(torch.int64) << WIDE_BITS) + ((low.to(torch.int64) + half) >> WIDE_BITS)


def context(p: Tensor, v: Tensor, heads: int) -> Tensor:
    """``acc[i, h*d + c] = sum_j p[h, i, j] * v[j, h*d + c]`` -> int32 [..., T, heads*d].

    p : [..., heads, T, T], int8 (one pass) or int16 (two: ``combine`` of their products, ``2**4`` times as large)
    or int32 (exact); v : int8 [..., T, heads*d]. Raises GoldenError when an accumulator overflows.
    """
    values = v.unflatten(-1, (heads, -1)).transpose(-2, -3).transpose(-1, -2)
    if p.dtype == torch.int16:
        high, low = (accumulators(product(plane, values)) for plane in planes(p))
        mixed = accumulators(combine(high, low))
    else:
        mixed = accumulators(product(p, values))
    return mixed.transpose(-2, -3).flatten(-2)
