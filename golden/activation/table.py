"""GELU and SiLU by ``table``: the function itself, one value for each step (docs/numerics.md, GELU and SiLU)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.spec import tables
from vitreous.spec.config import ActivationConfig


def value(x: Tensor, config: ActivationConfig) -> Tensor:
    """``T[x >> (10 - step_bits)]``; 0 below the table and x above it: int64 Q6.10 -> int64 Q6.fraction_bits."""
    table = torch.tensor(tables.activation_table(config), dtype=torch.int64)
    index = x >> (10 - config.step_bits)
    inside = table[index.clamp(-config.entries, config.entries - 1) + config.entries]
    y = torch.where(index < config.entries, inside, x << (config.fraction_bits - 10))
    return torch.where(index >= -config.entries, y, 0)
