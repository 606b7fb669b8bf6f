"""GELU and SiLU by ``delta``: a table of half the range, interpolated or not (docs/numerics.md, GELU and SiLU)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.spec import tables
from vitreous.spec.config import ActivationConfig


def delta(u: Tensor, config: ActivationConfig) -> Tensor:
    """``T[i]`` or the line from ``T[i]`` to ``T[i+1]``, 0 beyond the table: int64 u of 17 bits -> int64 of f bits."""
    table = torch.tensor(tables.activation_delta(config), dtype=torch.int64)
    below = 10 - config.step_bits
    index, position = u >> below, u & ((1 << below) - 1)
    inside = index < config.entries
    index = index.clamp(max=config.entries - 1)
    if not config.interpolate:
        return table[index] * inside
    left, right = table[index], table[index + 1]
    return (((left << below) + (right - left) * position + (1 << (below - 1))) >> below) * inside
