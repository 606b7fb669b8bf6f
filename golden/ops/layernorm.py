"""Layer norm (docs/numerics.md, Layer norm and RMS norm)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.norm.constants import NormConstants
from vitreous.golden.norm.norm import norm
from vitreous.spec.config import NormConfig


def layernorm(x: Tensor, config: NormConfig, constants: NormConstants) -> Tensor:
    """``y ~ (x - mean) / sqrt(var + eps) / (scale_out * 2**h) + zero_point``: int16 [..., D] -> int8 of the same shape.

    constants : of ``config.variant``, with h. Raises GoldenError as ``norm`` does.
    """
    return norm(x, config, constants, centred=True)
