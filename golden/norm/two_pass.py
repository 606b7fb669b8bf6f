"""Norm ``two_pass``: the mean first, then the squares of what is left (docs/numerics.md, Layer norm and RMS norm)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import round_shift_
from vitreous.golden.arith.reciprocal import reciprocal


def mean(x: Tensor) -> Tensor:
    """``mu = round_shift(sum x * q, 11 + d)``, the mean with 4 fraction bits: int64 [..., D] -> int64 [..., 1]."""
    quotient, exponent = reciprocal(1 << 14, torch.tensor(x.shape[-1]))
    return round_shift_(x.sum(dim=-1, keepdim=True) * quotient, 11 + exponent)


def centre(x: Tensor, epsilon: int, centred: bool) -> tuple[Tensor, Tensor]:
    """``u = 16*x - mu``, ``V = sum u*u + epsilon``; ``mu`` is 0 unless ``centred``.

    x : int64 of 16 bits [..., D] -> u [..., D], V [..., 1].
    """
    u = 16 * x - mean(x) if centred else 16 * x
    return u, (u * u).sum(dim=-1, keepdim=True) + epsilon
