"""GELU and SiLU, ``exact``: float64, the truth for the others (docs/numerics.md, GELU and SiLU)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn.functional import gelu, silu

from vitreous.spec.config import ActivationConfig
from vitreous.spec.variants import ActivationFunction

FUNCTIONS: Mapping[ActivationFunction, Callable[[Tensor], Tensor]] = {
    ActivationFunction.GELU: gelu,
    ActivationFunction.SILU: silu,
}
"""In float, as PyTorch has them."""


def smooth_float64(x: Tensor, config: ActivationConfig) -> Tensor:
    """GELU or SiLU of Q6.10 integers, in float64."""
    return FUNCTIONS[config.function](x.double() / 1024)


def value(x: Tensor, config: ActivationConfig) -> Tensor:
    """``round(2**f * F(x))``, half to even: int64 Q6.10 -> int64 Q6.fraction_bits."""
    return (smooth_float64(x, config) * (1 << config.fraction_bits)).round().long()
