"""Softmax ``ibert``: I-BERT's second-order polynomial, maximum first (docs/numerics.md, Softmax ibert)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.arith.integers import shift_right
from vitreous.spec import tables
from vitreous.spec.config import SoftmaxConfig


def _polynomial(d: Tensor, config: SoftmaxConfig) -> Tensor:
    """``P = ((K - r)**2 + B) * 2**(16 - 2F)`` with ``r = d mod 2**F``: int64 -> int64 of 19 bits."""
    bits = config.fraction_bits
    k, b = tables.ibert_exponential(config)
    r = d & ((1 << bits) - 1)
    p = (k - r) * (k - r) + b
    return p << (16 - 2 * bits) if bits <= 8 else p >> (2 * bits - 16)


def statistics(t: Tensor, config: SoftmaxConfig) -> tuple[Tensor, Tensor, Tensor]:
    """``S = sum_j (P_j << 1 >> z_j) + 1 >> 1``: int64 [rows, keys] -> codes, maximum and sum of each row."""
    maximum = t.amax(dim=1)
    d = maximum[:, None] - t
    terms = (shift_right(_polynomial(d, config) << 1, d >> config.fraction_bits) + 1) >> 1
    return t, maximum, terms.sum(dim=1)


def levels(codes: Tensor, maximum: Tensor, total: Tensor, config: SoftmaxConfig) -> Tensor:
    """``L = (P >> 3) >> z``: int64 codes [..., keys], maximum [..., 1] -> int64 of 16 bits."""
    d = maximum - codes
    level = shift_right(_polynomial(d, config) >> 3, (d >> config.fraction_bits).clamp(min=0))
    # A masked code is at least half the range of scores below every maximum: 32 octaves or more.
    return level * (d >= 0)
