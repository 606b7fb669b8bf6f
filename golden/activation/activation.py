"""GELU and SiLU: one interface for every variant (docs/numerics.md, GELU and SiLU).

Each variant is a file of its own, named after it: some give ``delta(|x|)``, some the function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vitreous.golden.activation import delta, exact, poly, shift, table
from vitreous.spec.config import ActivationConfig
from vitreous.spec.variants import ActivationVariant

EVEN: Mapping[ActivationVariant, Callable[[Tensor, ActivationConfig], Tensor]] = {
    ActivationVariant.DELTA: delta.delta,
    ActivationVariant.POLY: poly.delta,
    ActivationVariant.SHIFT: shift.delta,
}
"""Variants that are relu minus an even function of ``u = |x|``."""
DIRECT: Mapping[ActivationVariant, Callable[[Tensor, ActivationConfig], Tensor]] = {
    ActivationVariant.TABLE: table.value,
    ActivationVariant.EXACT: exact.value,
}


def activation(x: Tensor, config: ActivationConfig) -> Tensor:
    """``config.function`` of x as ``config.variant`` computes it; ``y = (max(x, 0) << (f - 10)) - delta(|x|)``.

    x : int16, Q6.10 -> int32, Q6.fraction_bits, of the same shape.
    """
    wide = x.to(torch.int64)
    direct = DIRECT.get(config.variant)
    if direct is not None:
        return direct(wide, config).to(torch.int32)
    positive = wide.clamp(min=0) << (config.fraction_bits - 10)
    return (positive - EVEN[config.variant](wide.abs(), config)).to(torch.int32)
