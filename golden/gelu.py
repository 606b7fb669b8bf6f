"""GELU as ``relu(x) - delta(|x|)`` (docs/numerics.md, GELU)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.spec import tables
from vitreous.spec.config import GeluConfig


def gelu(x: Tensor, config: GeluConfig) -> Tensor:
    """``y = (max(x, 0) << (fraction_bits - 10)) - delta(|x|)``; delta is interpolated in its table.

    x : int16, Q6.10 -> int32, Q6.fraction_bits, of the same shape.
    """
    table = torch.tensor(tables.gelu_delta(config), dtype=torch.int64)
    below = 10 - config.step_bits
    u = x.to(torch.int64).abs()
    index, position = u >> below, u & ((1 << below) - 1)
    inside = index < config.entries
    index.clamp_(max=config.entries - 1)
    left, right = table[index], table[index + 1]
    delta = ((left << below) + (right - left) * position + (1 << (below - 1))) >> below
    positive = x.to(torch.int64).clamp_(min=0) << (config.fraction_bits - 10)
    return (positive - delta * inside).to(torch.int32)
