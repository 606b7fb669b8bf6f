"""Probabilities times values (docs/numerics.md, Probabilities)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vitreous.golden.arith.integers import product, round_shift_real
from vitreous.golden.ops.linear import accumulators
from vitreous.golden.softmax.blocks import Joined, join
from vitreous.spec.softmax import WIDE_BITS, key_blocks


def planes(p: Tensor) -> tuple[Tensor, Tensor]:
    """``p = 256 * h + l`` with ``h = (p + 128) >> 8`` in 0..127, ``l`` in -128..127: int16 -> int8 twice."""
    wide = p.to(torch.int32)
    high = (wide + 128) >> 8
    return high.to(torch.int8), (wide - (high << 8)).to(torch.int8)


def combine(high: Tensor, low: Tensor) -> Tensor:
    """``(high << 4) + ((low + 8) >> 4)``: accumulators of the two byte planes, integers of 32 bits -> int64."""
    half = 1 << (WIDE_BITS - 1)
    return (high.to(torch.int64) << WIDE_BITS) + ((low.to(torch.int64) + half) >> WIDE_BITS)


def add_block(context: Tensor, parts: Sequence[Tensor], joined: Joined) -> Tensor:
    """``C' = rs(C, x) + rs(high_b << 4, y) + rs(low_b, y + 4)``, ``rs(v, s) = round_shift(v, s)``.

    context : what the blocks before left, float64 integers. parts : the block's product with each byte plane, or with
    the only one, float64. joined : ``x`` and ``y`` of the rows, broadcastable.
    """
    total = round_shift_real(context, joined.older) + round_shift_real(
        parts[0] * (1 << WIDE_BITS), joined.new
    )
    for low in parts[1:]:
        total += round_shift_real(low, joined.new + WIDE_BITS)
    return total


def context(p: Tensor, v: Tensor, maxima: Tensor, heads: int, *, key_block: int) -> Tensor:
    """``acc[i, h*d + c] = sum_j p[h, i, j] * v[j, h*d + c]``, block after block -> int32 [..., T, heads*d].

    p : [..., heads, T, keys], int8 (one pass) or int16 (two: ``combine`` of their products, ``2**4`` times as large)
    or int32 (exact); v : int8 [..., keys, heads*d]; maxima : int32 [..., heads, T, blocks] of the blocks of
    ``key_block`` keys (0: the row is one, whose maximum does not matter); sums of several blocks are ``2**4`` times as
    large in one pass too. Raises GoldenError when an accumulator overflows.
    """
    values = v.unflatten(-1, (heads, -1)).transpose(-2, -3).transpose(-1, -2)
    parts = planes(p) if p.dtype == torch.int16 else (p,)
    blocks = key_blocks(p.shape[-1], key_block)
    if len(blocks) > 1:
        mixed = _of_blocks(parts, values, maxima, blocks)
    elif len(parts) > 1:
        mixed = combine(*(accumulators(product(plane, values)) for plane in parts))
    else:
        mixed = product(p, values)
    return accumulators(mixed).transpose(-2, -3).flatten(-2)


def _of_blocks(parts: Sequence[Tensor], values: Tensor, maxima: Tensor, blocks: Sequence[range]) -> Tensor:
    """Byte planes [..., heads, T, keys], values [..., heads, d, keys] -> float64 [..., heads, T, d]."""
    found, largest = torch.zeros((), dtype=torch.float64), maxima[..., :1]
    for index, keys in enumerate(blocks):
        joined = join(largest, maxima[..., index : index + 1])
        where = slice(keys.start, keys.stop)
        products = [product(plane[..., where], values[..., where]) for plane in parts]
        found, largest = add_block(found, products, joined), joined.maximum
    return found
