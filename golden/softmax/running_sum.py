"""Sums that each new maximum of a row rescales (docs/numerics.md, Softmax).

The sum is defined key by key, because each new maximum rescales it with truncation. Between two new maxima it
only grows by terms that do not depend on it, so a row is cut at its new maxima, each piece is summed at once, and
only the pieces are taken one after another.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def running_sum(
    level: Tensor, term: Callable[[Tensor], Tensor], rescale: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Maximum and sum of each row: int64 [rows], int64 [rows].

    level : int64 [rows, keys], what the maximum is taken over.
    term : gives the addends [rows, keys] from the running maximum [rows, keys], the new key's included.
    rescale : gives the sum [rows] at a new maximum, from it and the jump [rows].
    """
    running = level.cummax(dim=1).values
    jump = running.diff(dim=1, prepend=running[:, :1])
    piece = (jump > 0).to(torch.int64).cumsum(dim=1)
    count = int(piece[:, -1].amax()) + 1 if len(piece) else 1
    sums = torch.zeros(level.shape[0], count, dtype=torch.int64).scatter_add_(1, piece, term(running))
    # One jump for each piece, 0 for the first and the absent ones.
    jumps = torch.zeros_like(sums).scatter_add_(1, piece, jump)
    total = sums[:, 0]
    for index in range(1, count):
        step = jumps[:, index]
        total = torch.where(step > 0, rescale(total, step), total) + sums[:, index]
    return running[:, -1], total
