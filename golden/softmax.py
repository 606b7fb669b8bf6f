"""Softmax of scores that are logarithms to base 2, in one pass over the keys (docs/numerics.md, Softmax and Row scale).

The sum is defined key by key, because each new maximum rescales it with truncation. Between two new maxima it
only grows by terms that do not depend on it, so a row is cut at its new maxima, each piece is summed at once, and
only the pieces are taken one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vitreous.golden.errors import GoldenError
from vitreous.golden.integers import bit_length, normalize_multiplier, shift_right
from vitreous.spec import tables
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.numbers import MASKED_SCORE

PROBABILITY_EXPONENT = {"base2": 9, "online": 8}
"""C of docs/numerics.md: sums and probabilities have different binary points, which the row scale makes up for."""


class Statistics(NamedTuple):
    """Of each row: its stored codes [..., keys], its maximum and sum [...]; all int64."""

    codes: Tensor
    maximum: Tensor
    total: Tensor


def _pieces(
    level: Tensor, term: Callable[[Tensor], Tensor], rescale: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Maximum and sum of each row.

    term : gives the addends from the running maximum; rescale : gives the sum at a new maximum, from it and the jump.
    level : int64 [rows, keys], what the maximum is taken over.
    """
    running = level.cummax(dim=1).values
    jump = running.diff(dim=1, prepend=running[:, :1])
    piece = (jump > 0).to(torch.int64).cumsum(dim=1)
    count = int(piece[:, -1].amax()) + 1
    sums = torch.zeros(level.shape[0], count, dtype=torch.int64).scatter_add_(1, piece, term(running))
    jumps = torch.zeros_like(sums).scatter_add_(
        1, piece, jump
    )  # one jump for each piece, 0 for the first and the absent ones
    total = sums[:, 0]
    for index in range(1, count):
        step = jumps[:, index]
        total = torch.where(step > 0, rescale(total, step), total) + sums[:, index]
    return running[:, -1], total


def _base2(t: Tensor, config: SoftmaxConfig) -> Statistics:
    bits = config.fraction_bits
    mantissa = torch.tensor(tables.exp2_mantissa(config), dtype=torch.int64)
    a, g = t >> bits, mantissa[t & ((1 << bits) - 1)]
    maximum, total = _pieces(
        a,
        lambda running: shift_right(g << 8, running - a),
        lambda total, jump: torch.where(jump < 32, shift_right(total, jump), 0),
    )
    return Statistics(g | (a & 0xFF) << 8, maximum, total)


def _online(t: Tensor, config: SoftmaxConfig) -> Statistics:
    bits = config.fraction_bits
    table = torch.tensor(tables.exp2_negative(config), dtype=torch.int64)

    def power(d: Tensor) -> Tensor:
        return torch.where(d >> bits < 16, shift_right(table[d & ((1 << bits) - 1)], d >> bits), 0)

    maximum, total = _pieces(
        t, lambda running: power(running - t), lambda total, jump: (total * power(jump)) >> 15
    )
    return Statistics(t, maximum, total)


def statistics(t: Tensor, config: SoftmaxConfig) -> Statistics:
    """Codes, maximum and sum of each row of scores, as the recurrences of docs/numerics.md define them.

    t : integers of 15 bits [..., keys], with at least one key.
    """
    rows = t.to(torch.int64).reshape(-1, t.shape[-1])
    found = (_base2 if config.variant == "base2" else _online)(rows, config)
    shape = t.shape[:-1]
    return Statistics(found.codes.reshape(t.shape), found.maximum.reshape(shape), found.total.reshape(shape))


def masked_code(config: SoftmaxConfig) -> int:
    """The stored code that always gives probability 0."""
    return 0 if config.variant == "base2" else MASKED_SCORE


def probabilities(codes: Tensor, maximum: Tensor, config: SoftmaxConfig) -> Tensor:
    """int64 codes [..., keys], maximum [...] -> int8 [..., keys] in 0..127, not yet divided by the sum.

    A code above the maximum, which no row holds but a stale word may, gives 0.
    """
    top = maximum.unsqueeze(-1)
    if config.variant == "base2":
        g = codes & 0xFF
        a = ((codes >> 8 & 0xFF) ^ 0x80) - 0x80
        d = depth = top - a
        limit = 8
    else:
        table = torch.tensor(tables.exp2_probability(config), dtype=torch.int64)
        d = top - codes
        g = table[d & ((1 << config.fraction_bits) - 1)]
        depth = d >> config.fraction_bits
        limit = 9
    inside = (d >= 0) & (depth < limit)
    depth = depth.clamp(0, limit)
    p = (g + torch.bitwise_left_shift(torch.ones_like(depth), depth)) >> (depth + 1)
    return (p.clamp_(max=127) * inside).to(torch.int8)


def row_scale(total: Tensor, multiplier: int, shift: int, config: SoftmaxConfig) -> tuple[Tensor, Tensor]:
    """``m / 2**s ~ m_o / 2**s_o * 2**C / S``, with ``2**14 <= m < 2**15``: total int64 [...] -> m, s int64 [...].

    Raises GoldenError unless ``2**14 <= m_o < 2**15`` and every ``s`` is in 1..47.
    """
    if not 1 << 14 <= multiplier < 1 << 15:
        raise GoldenError(f"Softmax needs 2**14 <= multiplier < 2**15, not {multiplier}")
    e = bit_length(total) - 1
    scaled = torch.where(e >= 16, total >> (e - 16).clamp(min=0), total << (16 - e).clamp(min=0))
    quotient = torch.div(multiplier << 17, scaled, rounding_mode="floor")
    m, s = normalize_multiplier(quotient, shift + e + 1 - PROBABILITY_EXPONENT[config.variant])
    if bool(((s < 1) | (s > 47)).any()):
        raise GoldenError("A softmax row needs a shift outside 1..47")
    return m, s


def softmax(t: Tensor, config: SoftmaxConfig, multiplier: int, shift: int) -> tuple[Tensor, Tensor, Tensor]:
    """int16 scores [..., keys] -> probabilities int8 [..., keys], row multiplier and row shift int32 [...].

    ``sum_j p_j v_j`` requantized by a row's multiplier and shift is the softmax average of ``v`` in the output's scale.
    Raises GoldenError as ``row_scale`` does.
    """
    found = statistics(t, config)
    m, s = row_scale(found.total, multiplier, shift, config)
    return probabilities(found.codes, found.maximum, config), m.to(torch.int32), s.to(torch.int32)
