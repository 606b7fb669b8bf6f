"""Vectorised integer steps that the operations are made of. Exact in int64; docs/numerics.md bounds every operand.

Independent of ``spec.numbers``, which defines the same steps on single Python integers.
"""

from __future__ import annotations

import torch
from torch import Tensor

INTEGER_BITS = {torch.int8: 8, torch.int16: 16, torch.int32: 32}


def round_shift_(value: Tensor, shift: Tensor | int) -> Tensor:
    """``(value + 2**(shift-1)) >> shift`` in place, rounding half up; a shift of 0 changes nothing.

    value : int64, ``|value| < 2**62``; shift : int64 broadcastable to it, or an int, 0..62.
    """
    if isinstance(shift, int):
        shift = torch.tensor(shift, dtype=torch.int64)
    half = torch.bitwise_left_shift(torch.ones_like(shift), shift) >> 1
    return value.add_(half).bitwise_right_shift_(shift)


def saturate_(value: Tensor, bits: int) -> Tensor:
    """``clamp(value, -2**(bits-1), 2**(bits-1) - 1)`` in place."""
    return value.clamp_(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def shift_right(value: Tensor, shift: Tensor) -> Tensor:
    """``value >> shift`` for nonnegative int64 ``value`` below ``2**62``; 0 where the shift is long. ``shift >= 0``."""
    return torch.bitwise_right_shift(value, shift.clamp(max=62))


_HALVINGS = torch.tensor([2.0**-places for places in range(63)], dtype=torch.float64)


def round_shift_real(value: Tensor, shift: Tensor) -> Tensor:
    """``(value + 2**(shift-1)) >> shift`` of integers in float64, ``|value| < 2**36``; 0 where the shift is long.

    ``floor(value / 2**shift + 1/2)`` has at most 37 bits that count. shift : integers of at least 0, broadcastable.
    """
    return (value * _HALVINGS[shift.long().clamp(max=62)]).add_(0.5).floor_()


def bit_length(value: Tensor) -> Tensor:
    """Bits of each nonnegative int64 below ``2**63``; 0 for 0. A float64 holds either 32-bit half exactly."""
    high, low = value >> 32, value & 0xFFFFFFFF
    upper = torch.frexp(high.double()).exponent.long()
    lower = torch.frexp(low.double()).exponent.long()
    return torch.where(high > 0, upper + 32, lower)


def normalize_exponent(value: Tensor, exponent: Tensor) -> Tensor:
    """``V >> (e - 16)`` for ``e >= 16`` and ``V << (16 - e)`` below: int64, int64 of the same shape -> int64."""
    return torch.where(
        exponent >= 16,
        torch.bitwise_right_shift(value, (exponent - 16).clamp(min=0)),
        torch.bitwise_left_shift(value, (16 - exponent).clamp(min=0)),
    )


def normalize_multiplier(quotient: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Halve (floor) each quotient of 16 bits and lower its shift by 1; leave those of 15 bits."""
    wide = quotient >> 15
    return quotient >> wide, shift - wide


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b.T``, exact: int8 [..., m, K], int8 [..., n, K] -> float64 [..., m, n] of integers.

    Every partial sum is an integer of at most ``K * 2**14``: a float64 holds it for ``K <= 2**39``, in any order
    (``K <= 2**15`` where ``a`` has 32 bits).
    """
    return a.double() @ b.double().transpose(-1, -2)
