"""Tokens of a sequence that follow each other, for example the class token."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.errors import GoldenError


def select_token(x: Tensor, index: int, count: int) -> Tensor:
    """[..., T, D] -> [..., count, D]. Raises GoldenError when there are no such tokens."""
    for token in (index, index + count - 1):
        if not 0 <= token < x.shape[-2]:
            raise GoldenError(f"Token must be in 0..{x.shape[-2] - 1}, not {token}")
    return x[..., index : index + count, :]
