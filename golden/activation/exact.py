"""GELU and SiLU, ``exact``: float64, the truth for the others (docs/numerics.md, GELU and SiLU)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import gelu, silu

from vitreous.spec.config import ActivationConfig
from vitreous.spec.variants import ActivationFunction


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU with ``tanh(sqrt(2 / pi) (x + 0.044715 x**3))`` in place of ``erf(x / sqrt(2))``."""
    return gelu(x, approximate="tanh")


def quick_gelu(x: Tensor) -> Tensor:
    """``x * sigmoid(1.702 x)``."""
    return x * torch.sigmoid(1.702 * x)


FUNCTIONS: Mapping[ActivationFunction, Callable[[Tensor], Tensor]] = {
    ActivationFunction.GELU: gelu,
    ActivationFunction.GELU_TANH: gelu_tanh,
    ActivationFunction.QUICK_GELU: quick_gelu,
    ActivationFunction.SILU: silu,
}
"""In float, as PyTorch has them."""


def smooth_float64(x: Tensor, config: ActivationConfig) -> Tensor:
    """The function of Q6.10 integers, in float64."""
    return FUNCTIONS[config.function](x.double() / 1024)


def value(x: Tensor, config: ActivationConfig) -> Tensor:
    """``round(2**f * F(x))``, half to even: int64 Q6.10 -> int64 Q6.fraction_bits."""
    return (smooth_float64(x, config) * (1 << config.fraction_bits)).round().long()
