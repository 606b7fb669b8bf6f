"""Mean over tokens (docs/numerics.md, Mean over tokens)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.golden.errors import GoldenError
from vitreous.golden.ops.requantize import requantize
from vitreous.spec.limits import POOL_TOKENS


def mean_tokens(x: Tensor, multiplier: int, shift: int, *, first: int) -> Tensor:
    """``y[d] = clamp16(round_shift(m * sum_t x[t, d], s))``, ``t >= first``: int16 [..., T, D] -> int16 [..., 1, D].

    Raises GoldenError on more than 4096 tokens, on none, or on a multiplier or a shift outside its range.
    """
    if x.shape[-2] > POOL_TOKENS:
        raise GoldenError(f"A mean takes at most {POOL_TOKENS} tokens, not {x.shape[-2]}")
    if not 0 <= first < x.shape[-2]:
        raise GoldenError(f"The first token of a mean must be in 0..{x.shape[-2] - 1}, not {first}")
    total = x[..., first:, :].to(torch.int64).sum(dim=-2, keepdim=True)
    return requantize(total, torch.tensor(multiplier), torch.tensor(shift), 0, 16)
