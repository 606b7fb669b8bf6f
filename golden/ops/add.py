"""Residual addition (docs/numerics.md, Residual addition)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import saturate_


def add(a: Tensor, b: Tensor) -> Tensor:
    """``clamp16(a + b)``: int16, int16 -> int16, broadcast over leading dimensions."""
    return saturate_(a.to(torch.int32) + b.to(torch.int32), 16).to(torch.int16)
