"""Softmax ``exact``: float64, the truth for the others (docs/numerics.md, Probabilities)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vitreous.spec.config import SoftmaxConfig

FRACTION_BITS = 23
"""Of a probability: with 8-bit values their sum still fits 32 bits."""


def softmax_float64(t: Tensor, config: SoftmaxConfig) -> Tensor:
    """``2**(t / 2**F)`` over its sum: integer scores [..., keys] -> float64 of the same shape."""
    return torch.softmax(t.double() * (math.log(2) / (1 << config.fraction_bits)), dim=-1)


def probabilities(t: Tensor, config: SoftmaxConfig) -> Tensor:
    """``p = round(2**23 * softmax(t))``: integer scores [..., keys] -> int32 of the same shape."""
    return (softmax_float64(t, config) * (1 << FRACTION_BITS)).round().to(torch.int32)
