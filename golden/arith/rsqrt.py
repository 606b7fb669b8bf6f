"""Reciprocal square root: a table seed and one Newton step (docs/numerics.md, Layer norm and RMS norm)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import bit_length, normalize_exponent
from vitreous.spec import tables


def reciprocal_root(variance: Tensor) -> tuple[Tensor, Tensor]:
    """``(R, e)`` with ``1 / sqrt(V) ~ R / 2**(16 + e/2)``: even exponent, table seed, one Newton step.

    variance : int64, ``1 <= V < 2**55`` -> R int64 of 16 bits, e int64, even. Relative error below 2e-4.
    """
    e = (bit_length(variance) - 1) & ~1
    scaled = normalize_exponent(variance, e)
    seed = torch.tensor(tables.rsqrt_seed(), dtype=torch.int64)
    y = seed[(scaled >> tables.RSQRT_SEED_SHIFT) - 32]
    a = (y * y) >> 16
    b = (scaled * a) >> 16
    return ((y * (3 * (1 << 16) - b)) >> 17).clamp(max=65535), e
