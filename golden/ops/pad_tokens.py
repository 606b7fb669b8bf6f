"""Room for the class token before the patches of an image."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def pad_tokens(x: Tensor, count: int) -> Tensor:
    """int16 [..., T, D] -> int16 [..., count + T, D] with ``count`` rows of zeros first."""
    return pad(x, (0, 0, count, 0))
