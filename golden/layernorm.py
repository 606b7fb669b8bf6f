"""Layer norm without its affine part, which the next linear layer has absorbed (docs/numerics.md, Layer norm)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.errors import GoldenError
from vitreous.golden.integers import bit_length, normalize_multiplier, round_shift_, saturate_
from vitreous.spec import tables

MAXIMUM_CHANNELS = 4096


def reciprocal_root(variance: Tensor) -> tuple[Tensor, Tensor]:
    """``(R, e)`` with ``1 / sqrt(V) ~ R / 2**(16 + e/2)``: even exponent, table seed, one Newton step.

    variance : int64, ``1 <= V < 2**55`` -> R int64 of 16 bits, e int64, even.
    """
    e = (bit_length(variance) - 1) & ~1
    scaled = torch.where(e >= 16, variance >> (e - 16).clamp(min=0), variance << (16 - e).clamp(min=0))
    seed = torch.tensor(tables.rsqrt_seed(), dtype=torch.int64)
    y = seed[(scaled >> tables.RSQRT_SEED_SHIFT) - 32]
    a = (y * y) >> 16
    b = (scaled * a) >> 16
    return ((y * (3 * (1 << 16) - b)) >> 17).clamp(max=65535), e


def layernorm(x: Tensor, multiplier: int, shift: int, epsilon: int, zero_point: int) -> Tensor:
    """``y = clamp8(round_shift((D*x - sum x) * Q, s) + zero_point)``, ``Q / 2**s ~ 1 / (scale_out * D * sigma)``.

    x : int16 [..., D], ``D <= 4096`` -> int8 of the same shape.
    Raises GoldenError when D is too large, a constant is outside its range or a row's shift leaves 1..47.
    """
    channels = x.shape[-1]
    if channels > MAXIMUM_CHANNELS:
        raise GoldenError(f"Layer norm takes at most {MAXIMUM_CHANNELS} channels, not {channels}")
    if not (1 << 14) <= multiplier < (1 << 15) or not 1 <= epsilon < 1 << 32:
        raise GoldenError(
            f"Layer norm needs 2**14 <= m < 2**15 and a positive epsilon, not {multiplier} and {epsilon}"
        )
    wide = x.to(torch.int64)
    total = wide.sum(dim=-1, keepdim=True)
    squares = (wide * wide).sum(dim=-1, keepdim=True)
    root, e = reciprocal_root(channels * squares - total * total + epsilon)
    scale, row_shift = normalize_multiplier((root * multiplier) >> 15, shift + e // 2 + 1)
    if bool(((row_shift < 1) | (row_shift > 47)).any()):
        raise GoldenError("A layer norm row needs a shift outside 1..47")
    centred = wide.mul_(channels).sub_(total).mul_(scale)
    return saturate_(round_shift_(centred, row_shift).add_(zero_point), 8).to(torch.int8)
