"""GELU and SiLU by ``shift``: I-ViT's shifts and one division (docs/numerics.md, GELU and SiLU)."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor

from vitreous.golden.arith.integers import round_shift_, shift_right
from vitreous.spec.config import ActivationConfig
from vitreous.spec.variants import ActivationFunction


def delta(u: Tensor, config: ActivationConfig) -> Tensor:
    """``u * sigmoid(-1.6875 u)`` (every GELU) or ``u * sigmoid(-u)`` (SiLU): int64 u of 17 bits -> int64 of f bits."""
    match config.function:
        case ActivationFunction.GELU | ActivationFunction.GELU_TANH | ActivationFunction.QUICK_GELU:
            k = u + (u >> 1) + (u >> 3) + (u >> 4)
        case ActivationFunction.SILU:
            k = u
        case _:
            assert_never(config.function)
    v = k + (k >> 1) - (k >> 4)
    z, r = v >> 10, v & 1023
    e = torch.where(z < 16, shift_right((2048 - r) << 4, z), 0)  # 2**-v, from 2**-f ~ 1 - f/2
    q = torch.div(e << 15, (1 << 15) + e, rounding_mode="floor")
    return round_shift_(u * q, 25 - config.fraction_bits)
