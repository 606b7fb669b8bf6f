"""Softmax ``ita``: ITA's streaming softmax of 8-bit scores, shifts only (docs/numerics.md, Softmax ita)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.arith.integers import round_shift_, saturate_, shift_right
from vitreous.golden.arith.reciprocal import reciprocal
from vitreous.golden.softmax.running_sum import running_sum
from vitreous.spec.config import SoftmaxConfig


def _octaves(distance: Tensor) -> Tensor:
    """``(distance + 16) >> 5``: scores have 5 fraction bits."""
    return (distance + 16) >> 5


def statistics(t: Tensor, config: SoftmaxConfig) -> tuple[Tensor, Tensor, Tensor]:
    """``256`` stands for the maximum's exponential: int64 [rows, keys] -> codes, maximum and sum of each row."""
    x = saturate_(round_shift_(t.clone(), config.fraction_bits - 5), 8)
    one = x.new_full((), 256)
    maximum, total = running_sum(
        x,
        lambda running: shift_right(one, _octaves(running - x)),
        lambda total, jump: shift_right(total, _octaves(jump)),
    )
    return x, maximum, total


def levels(codes: Tensor, maximum: Tensor, total: Tensor, config: SoftmaxConfig) -> Tensor:
    """``L = min(I >> d(M, x), 254) << 8``, ``I = floor(65280 / S)``: codes [..., keys], maximum, total [..., 1]."""
    quotient, e = reciprocal(16320, total.clamp(min=256))
    inverse = (quotient >> (e - 1)) * (total > 0)  # 0 is the sum of a slot that no row was written to
    distance = maximum - codes
    shifted = shift_right(inverse, _octaves(distance.clamp(min=0)))
    return (shifted.clamp(max=254) << 8) * (distance >= 0)
