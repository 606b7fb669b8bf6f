"""Layer norm (docs/numerics.md, Layer norm and RMS norm)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.norm.norm import norm
from vitreous.spec.config import NormConfig


def layernorm(
    x: Tensor,
    config: NormConfig,
    multiplier: int,
    shift: int,
    epsilon: int,
    zero_point: int,
    channel_shifts: Tensor,
) -> Tensor:
    """``y ~ (x - mean) / sqrt(var + eps) / (scale_out * 2**h) + zero_point``: int16 [..., D] -> int8 of the same shape.

    multiplier, shift, epsilon : the constants of ``config.variant``. channel_shifts : h, [D].
    Raises GoldenError as ``norm`` does.
    """
    return norm(x, config, multiplier, shift, epsilon, zero_point, channel_shifts, centred=True)
