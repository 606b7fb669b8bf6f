"""Norm ``exact``: float64, the truth for the others (docs/numerics.md, Layer norm and RMS norm)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.norm.constants import NormConstants


def normalize(x: Tensor, constants: NormConstants, centred: bool) -> Tensor:
    """``clamp8(round(16 (x - mean) / sqrt(256 D var + epsilon) * m_o / 2**(s_o + h)) + zero_point)``, half to even.

    x : int64 [..., D], and h int64 -> int8. Unless ``centred``, the mean counts as 0 and
    ``var`` is the mean square.
    """
    multiplier, shift, epsilon, zero_point, channel_shifts = constants
    real = x.double()
    u = real - real.mean(dim=-1, keepdim=True) if centred else real
    squares = (u * u).sum(dim=-1, keepdim=True)  # D * var
    y = (
        16
        * u
        / (256 * squares + epsilon).sqrt()
        * (multiplier / torch.exp2((shift + channel_shifts).double()))
    )
    return (y.round() + zero_point).clamp(-128, 127).to(torch.int8)
