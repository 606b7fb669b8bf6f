"""One token of a sequence, for example the class token."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.errors import GoldenError


def select_token(x: Tensor, index: int) -> Tensor:
    """[..., T, D] -> [..., 1, D]. Raises GoldenError when there is no such token."""
    if not 0 <= index < x.shape[-2]:
        raise GoldenError(f"Token must be in 0..{x.shape[-2] - 1}, not {index}")
    return x[..., index : index + 1, :]
