"""Softmax ``online``: running maximum, sum rescaled by a multiplication (docs/numerics.md, Softmax online)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import shift_right
from vitreous.golden.softmax.running_sum import running_sum
from vitreous.spec import tables
from vitreous.spec.config import SoftmaxConfig


def statistics(t: Tensor, config: SoftmaxConfig) -> tuple[Tensor, Tensor, Tensor]:
    """``2**19`` stands for the maximum's exponential: int64 [rows, keys] -> codes, maximum and sum of each row."""
    bits, mask = config.fraction_bits, (1 << config.fraction_bits) - 1
    table = torch.tensor(tables.exp2_negative(config), dtype=torch.int64)

    def term(running: Tensor) -> Tensor:
        d = running - t
        return (shift_right(table[d & mask] << 5, d >> bits) + 1) >> 1

    def rescale(total: Tensor, jump: Tensor) -> Tensor:
        return (total * shift_right(table[jump & mask], jump >> bits)) >> 15

    maximum, total = running_sum(t, term, rescale)
    return t, maximum, total


def levels(codes: Tensor, maximum: Tensor, total: Tensor, config: SoftmaxConfig) -> Tensor:
    """``L = LEVEL[d mod 2**F] >> (d >> F)``, ``d = M - t``: int64 codes [..., keys], maximum [..., 1] -> 16 bits."""
    bits = config.fraction_bits
    table = torch.tensor(tables.exp2_level(config), dtype=torch.int64)
    d = maximum - codes
    level = shift_right(table[d & ((1 << bits) - 1)], (d >> bits).clamp(min=0))
    # A masked code is at least half the range of scores below every maximum: 32 octaves or more.
    return level * (d >= 0)
