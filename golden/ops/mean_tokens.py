"""Mean over tokens (docs/numerics.md, Mean over tokens)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.errors import GoldenError
from vitreous.golden.ops.requantize import requantize
from vitreous.spec.limits import POOL_TOKENS


def mean_tokens(x: Tensor, multiplier: int, shift: int) -> Tensor:
    """``y[d] = clamp16(round_shift(m * sum_t x[t, d], s))``: int16 [..., T, D] -> int16 [..., 1, D].

    Raises GoldenError on more than 4096 tokens, or on a multiplier or a shift outside its range.
    """
    if x.shape[-2] > POOL_TOKENS:
        raise GoldenError(f"A mean takes at most {POOL_TOKENS} tokens, not {x.shape[-2]}")
    total = x.to(torch.int64).sum(dim=-2, keepdim=True)
    return requantize(total, torch.tensor(multiplier), torch.tensor(shift), 0, 16)
