"""Blocks of a row's keys: each is a softmax row of its own, and they become one (docs/numerics.md, Blocks of keys)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vitreous.golden.arith.integers import shift_right
from vitreous.spec.softmax import key_blocks


class Joined(NamedTuple):
    """``maximum``: ``M' = max(M, M_b)``; ``older``: ``x = M' - M``; ``new``: ``y = M' - M_b``; all of one shape."""

    maximum: Tensor
    older: Tensor
    new: Tensor


def join(former: Tensor, maximum: Tensor) -> Joined:
    """The maxima of the blocks before, and of one more."""
    largest = torch.maximum(former, maximum)
    return Joined(largest, largest - former, largest - maximum)


def add_sums(total: Tensor, block: Tensor, joined: Joined) -> Tensor:
    """``S = (S >> x) + (S_b >> y)``: int64 below ``2**32`` each."""
    return shift_right(total, joined.older) + shift_right(block, joined.new)


def cut(t: Tensor, block: int) -> list[Tensor]:
    """``[..., keys]`` -> its blocks in order, ``[..., blocks, keys of a block]``; the last one, which may have another
    length, in a tensor of its own."""
    blocks = key_blocks(t.shape[-1], block)
    start = blocks[-1].start
    last = t[..., start:].unsqueeze(-2)
    return [last] if not start else [t[..., :start].unflatten(-1, (len(blocks) - 1, block)), last]


def row_sums(maxima: Tensor, totals: Tensor) -> Tensor:
    """Of blocks ``[..., blocks]`` -> the rows' sums ``[...]``, blocks in ascending order."""
    maximum, total = maxima[..., 0], totals[..., 0]
    for index in range(1, maxima.shape[-1]):
        joined = join(maximum, maxima[..., index])
        maximum, total = joined.maximum, add_sums(total, totals[..., index], joined)
    return total


def octaves_below(maxima: Tensor, keys: int, block: int) -> Tensor:
    """By how many octaves each key's probabilities count less than those of the row's largest block.

    maxima : ``[..., blocks]`` of rows of ``keys`` keys -> ``[..., keys]``.
    """
    lengths = torch.tensor([len(part) for part in key_blocks(keys, block)])
    return (maxima.amax(-1, keepdim=True) - maxima).repeat_interleave(lengths, -1)
