"""Requantization, the only way from an accumulator to an activation (docs/numerics.md, Requantization)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import round_shift_, saturate_
from vitreous.golden.errors import GoldenError
from vitreous.spec.graph.infer import RESULT_DTYPES

RESULT_TYPES: dict[int, torch.dtype] = {bits: getattr(torch, name) for bits, name in RESULT_DTYPES.items()}


def requantize(acc: Tensor, multiplier: Tensor, shift: Tensor, zero_point: int, bits: int) -> Tensor:
    """``y = saturate(round_shift(acc * m, s) + zero_point)``, with ``1 <= m < 2**15`` and ``1 <= s <= 47``.

    acc : integers of 32 bits, of any shape; multiplier, shift : integers broadcastable to it.
    bits : of ``RESULT_TYPES``: 8, 16 or those of an attention score.
    Raises GoldenError on a multiplier, a shift or a width outside its range.
    """
    if bits not in RESULT_TYPES:
        allowed = " or ".join(map(str, sorted(RESULT_TYPES)))
        raise GoldenError(f"Requantization must be to {allowed} bits, not {bits}")
    if bool(((multiplier < 1) | (multiplier >= 1 << 15)).any()):
        raise GoldenError("Requantization multipliers must be in 1..32767")
    if bool(((shift < 1) | (shift > 47)).any()):
        raise GoldenError("Requantization shifts must be in 1..47")
    return requantize_any(acc, multiplier, shift, zero_point, bits)


def requantize_any(acc: Tensor, multiplier: Tensor, shift: Tensor, zero_point: int, bits: int) -> Tensor:
    """``requantize`` without the range checks: multiplier 0, shift 0 and every shift above 47 give the zero point.

    The machine's readout needs it for lanes that hold no data, whose parameters may be zero.
    """
    value = acc.to(torch.int64) * multiplier.to(torch.int64)
    wide = shift.to(torch.int64)
    round_shift_(value, torch.where(wide == 0, 62, wide).clamp(max=62))
    if zero_point:
        value.add_(zero_point)
    return saturate_(value, bits).to(RESULT_TYPES[bits])
