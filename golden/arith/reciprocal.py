"""The division that row scales, ``ita``'s inverse and the mean of ``two_pass`` share (docs/numerics.md, Reciprocal)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import bit_length, normalize_exponent
from vitreous.golden.errors import GoldenError


def reciprocal(numerator: int, value: Tensor) -> tuple[Tensor, Tensor]:
    """``(Q, e)`` with ``Q / 2**(e + 1) ~ numerator / S``: ``Q = floor(numerator * 2**17 / Sn)``, ``Sn`` of 17 bits.

    numerator : ``2**13 < n < 2**15``; value : int64 S in ``1 .. 2**32 - 1`` -> Q int64 of 16 bits, e int64 in 0..31.
    Relative error above ``-2**-13`` and below ``2**-16``. Raises GoldenError outside these ranges.
    """
    if not 1 << 13 < numerator < 1 << 15:
        raise GoldenError(f"A reciprocal needs a numerator above 2**13 and below 2**15, not {numerator}")
    if bool(((value < 1) | (value >= 1 << 32)).any()):
        raise GoldenError("A reciprocal needs a divisor in 1..2**32 - 1")
    e = bit_length(value) - 1
    return torch.div(numerator << 17, normalize_exponent(value, e), rounding_mode="floor"), e
