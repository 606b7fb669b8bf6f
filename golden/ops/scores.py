"""Attention scores before their requantization (docs/numerics.md, Attention)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.arith.integers import product
from vitreous.golden.ops.linear import accumulators


def scores(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """``acc[h, i, j] = sum_c q[i, h*d + c] * k[j, h*d + c]``: int8 twice -> int32.

    q, k : [..., T, heads*d] -> [..., heads, T, T].
    """
    split = [x.unflatten(-1, (heads, -1)).transpose(-2, -3) for x in (q, k)]
    return accumulators(product(split[0], split[1]))
