"""Softmax ``base2``: integer maximum, sum rescaled by a shift (docs/numerics.md, Softmax base2)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import shift_right
from vitreous.golden.softmax.running_sum import running_sum
from vitreous.spec import tables
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.softmax import MASKED_CODE, least_integer


def statistics(t: Tensor, config: SoftmaxConfig) -> tuple[Tensor, Tensor, Tensor]:
    """``a = t' >> F``, ``g = MANTISSA[t' mod 2**F]``: int64 [rows, keys] -> codes, maximum and sum of each row."""
    bits = config.fraction_bits
    t = t.clamp(min=least_integer(config) << bits)
    mantissa = torch.tensor(tables.exp2_mantissa(config), dtype=torch.int64)
    a, g = t >> bits, mantissa[t & ((1 << bits) - 1)]
    weight = g << (18 - bits)
    maximum, total = running_sum(
        a,
        lambda running: (shift_right(weight << 1, running - a) + 1) >> 1,
        shift_right,
    )
    return (g - mantissa[0]) | a << (bits + 1), maximum, total


def levels(codes: Tensor, maximum: Tensor, total: Tensor, config: SoftmaxConfig) -> Tensor:
    """``L = (g << (14 - F)) >> (M - a)``: int64 codes [..., keys], maximum [..., 1] -> int64 of 16 bits."""
    bits = config.fraction_bits
    a = codes >> (bits + 1)
    g = (codes & ((1 << (bits + 1)) - 1)) + tables.exp2_mantissa(config)[0]
    # A masked key's integer part is one below every real one: only its code tells it from a small probability.
    exists = (codes != MASKED_CODE) & (a <= maximum)
    return shift_right(g << (14 - bits), (maximum - a).clamp(min=0)) * exists
