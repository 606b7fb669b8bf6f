"""Norm ``one_pass``: sum and sum of squares together (docs/numerics.md, Layer norm and RMS norm)."""

from __future__ import annotations

import torch
from torch import Tensor


def centre(x: Tensor, epsilon: int, centred: bool) -> tuple[Tensor, Tensor]:
    """``u = D*x - sum x``, ``V = D * sum x*x - (sum x)**2 + epsilon``; ``sum x`` counts as 0 unless ``centred``.

    x : int64 of 16 bits [..., D] -> u [..., D], V [..., 1], exact.
    """
    channels = x.shape[-1]
    total = x.sum(dim=-1, keepdim=True) if centred else torch.zeros_like(x[..., :1])
    squares = (x * x).sum(dim=-1, keepdim=True)
    return channels * x - total, channels * squares - total * total + epsilon
