"""Unfolding of an image into patches (docs/machine.md, LOAD_PATCHES)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.errors import GoldenError


def patches(image: Tensor, patch: int) -> Tensor:
    """``y[gy * grid_columns + gx, (c * patch + py) * patch + px] = image[c, gy * patch + py, gx * patch + px]``.

    image : int8 [..., C, H, W], H and W multiples of ``patch`` -> int8 [..., P, C*patch*patch].
    """
    height, width = image.shape[-2:]
    if height % patch or width % patch:
        raise GoldenError(f"An image of {height} x {width} does not divide into patches of {patch}")
    blocks = image.unflatten(-2, (-1, patch)).unflatten(-1, (-1, patch))  # [..., C, gy, py, gx, px]
    first = image.dim() - 3
    order = (*range(first), first + 1, first + 3, first, first + 2, first + 4)
    return blocks.permute(order).flatten(-3).flatten(-3, -2)
