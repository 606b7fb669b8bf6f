"""Requantization of the context by each softmax row's own multiplier and shift (docs/numerics.md, Row scale)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.ops.requantize import requantize


def requantize_rows(acc: Tensor, multiplier: Tensor, shift: Tensor, heads: int, zero_point: int) -> Tensor:
    """``y[t, h*d + c] = clamp8(round_shift(acc[t, h*d + c] * m[h, t], s[h, t]) + zero_point)``.

    acc : int32 [..., T, heads*d]; multiplier, shift : int32 [..., heads, T] -> int8 [..., T, heads*d].
    """
    split = acc.unflatten(-1, (heads, -1))
    per_row = [x.transpose(-1, -2).unsqueeze(-1) for x in (multiplier, shift)]
    return requantize(split, per_row[0], per_row[1], zero_point, 8).flatten(-2)
