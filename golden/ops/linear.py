"""Linear layer on the array (docs/numerics.md, Linear)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.arith.integers import product
from vitreous.golden.errors import GoldenError


def accumulators(value: Tensor) -> Tensor:
    """float64 integers -> int32. Raises GoldenError where one does not fit: the machine has no wider accumulators."""
    if value.numel() and (value.amax() >= 2.0**31 or value.amin() < -(2.0**31)):
        raise GoldenError("An accumulator overflows 32 bits")
    return value.to(torch.int32)


def linear(x: Tensor, weight: Tensor, bias: Tensor, input_zero_point: int) -> Tensor:
    """``acc[t, o] = bias[o] + sum_k (x[t, k] - input_zero_point) * w[o, k]``, exact.

    x : int8 [..., T, K]; weight : int8 [O, K]; bias : int32 [O] -> int32 [..., T, O].
    Raises GoldenError when an accumulator, as the machine computes it, overflows.
    """
    folded = bias.double() - input_zero_point * weight.double().sum(dim=1)
    flat = product(x.reshape(-1, x.shape[-1]), weight)
    return accumulators(flat.add_(folded)).reshape(*x.shape[:-1], weight.shape[0])
