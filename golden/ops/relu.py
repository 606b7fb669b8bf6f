"""ReLU on a requantized activation (docs/numerics.md, ReLU)."""

from __future__ import annotations

from torch import Tensor


def relu(x: Tensor, zero_point: int) -> Tensor:
    """``y = max(x, zero_point)``: int8 -> int8."""
    return x.clamp(min=zero_point)
