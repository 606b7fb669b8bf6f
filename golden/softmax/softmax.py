"""Softmax of scores that are logarithms to base 2: one interface for every variant (docs/numerics.md, Attention).

Each variant is a file of its own, named after it, with ``statistics`` and ``levels``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from vitreous.golden.arith.integers import normalize_multiplier
from vitreous.golden.arith.reciprocal import reciprocal
from vitreous.golden.errors import GoldenError
from vitreous.golden.softmax import base2, exact, ibert, ita, online
from vitreous.golden.softmax.blocks import cut, row_sums
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import REMAINDER_BITS
from vitreous.spec.softmax import limits
from vitreous.spec.variants import SoftmaxVariant

VARIANTS: Mapping[SoftmaxVariant, ModuleType] = {
    SoftmaxVariant.BASE2: base2,
    SoftmaxVariant.ONLINE: online,
    SoftmaxVariant.IBERT: ibert,
    SoftmaxVariant.ITA: ita,
}


class Statistics(NamedTuple):
    """Of each row: its codes [..., keys], signed, its final maximum and sum [...]; all int64."""

    codes: Tensor
    maximum: Tensor
    total: Tensor


def _check_keys(keys: int, config: SoftmaxConfig) -> None:
    largest = limits(config).max_keys
    if not 1 <= keys <= largest:
        raise GoldenError(f"Softmax {config.variant} takes rows of 1 to {largest} keys, not {keys}")


def statistics(t: Tensor, config: SoftmaxConfig) -> Statistics:
    """Codes, maximum and sum of each row of scores, as docs/numerics.md defines them for the variant.

    t : integers of the format ``SCORE`` [..., keys]. Raises GoldenError on an empty row or one beyond the variant's
        range.
    """
    _check_keys(t.shape[-1], config)
    rows = t.to(torch.int64).reshape(-1, t.shape[-1])
    codes, maximum, total = VARIANTS[config.variant].statistics(rows, config)
    shape = t.shape[:-1]
    return Statistics(codes.reshape(t.shape), maximum.reshape(shape), total.reshape(shape))


def levels(codes: Tensor, maximum: Tensor, total: Tensor, config: SoftmaxConfig) -> Tensor:
    """int64 codes [..., keys], maximum, sum [...] -> unnormalized probabilities of 16 bits, int64 [..., keys].

    A masked key gives 0; so does a code above the maximum, which no row holds but a stale word may.
    """
    found: Tensor = VARIANTS[config.variant].levels(codes, maximum.unsqueeze(-1), total.unsqueeze(-1), config)
    return found


def carried_probabilities(level: Tensor) -> Tensor:
    """``p_j = (C_j >> 9) - (C_{j-1} >> 9)``, ``C_j = 256 + L_0 + .. + L_j``: int64 ``[..., keys]`` -> int8."""
    whole = (level.cumsum(-1) + (1 << (REMAINDER_BITS - 1))) >> REMAINDER_BITS
    return whole.diff(dim=-1, prepend=whole.new_zeros(*whole.shape[:-1], 1)).to(torch.int8)


def wide_probabilities(level: Tensor) -> Tensor:
    """``p = (L + 1) >> 1``: int64 ``L`` -> int16, two byte planes ``256 * h + l``."""
    return ((level + 1) >> 1).to(torch.int16)


def probabilities(found: Statistics, config: SoftmaxConfig, *, wide: bool) -> Tensor:
    """Probabilities [..., keys], not yet divided by the sum except in ``ita``: int16 where ``wide``, else int8."""
    level = levels(found.codes, found.maximum, found.total, config)
    return wide_probabilities(level) if wide else carried_probabilities(level)


def row_scale(
    total: Tensor, multiplier: int, shift: int, config: SoftmaxConfig, *, strict: bool = True
) -> tuple[Tensor, Tensor]:
    """``m / 2**s ~ m_o / 2**s_o * 2**C / S``, ``2**14 <= m < 2**15``: total int64 [...] -> m, s int64 [...].

    Where probabilities are divided already (``ita``, ``exact``), ``m = m_o`` and ``s - s_o`` is a constant.
    Raises GoldenError unless ``2**14 <= m_o < 2**15`` and every ``s`` is in 1..47; where not ``strict``, ``s`` is taken
    modulo 64, as in the machine.
    """
    if not 1 << 14 <= multiplier < 1 << 15:
        raise GoldenError(f"Softmax needs 2**14 <= multiplier < 2**15, not {multiplier}")
    known = limits(config)
    if known.divided:
        m, s = torch.full_like(total, multiplier), torch.full_like(total, shift + known.least)
    else:
        quotient, e = reciprocal(multiplier, total)
        m, s = normalize_multiplier(quotient, shift + e + 1 - known.row_exponent)
    if not strict:
        return m, s & 63
    if bool(((s < 1) | (s > 47)).any()):
        raise GoldenError("A softmax row needs a shift outside 1..47")
    return m, s


class Probabilities(NamedTuple):
    """p : ``[..., keys]``, of each block in units of its own maximum. multiplier, shift : of the rows, int32 ``[...]``.

    maxima : of the blocks, int32 ``[..., blocks]``; 0 in ``exact``.
    """

    p: Tensor
    multiplier: Tensor
    shift: Tensor
    maxima: Tensor


def softmax(
    t: Tensor, config: SoftmaxConfig, multiplier: int, shift: int, *, key_block: int
) -> Probabilities:
    """Integer scores [..., keys] -> probabilities, the rows' scale and the blocks' maxima.

    key_block : of the graph's node: 0 where a row is one block.

    The product of the probabilities and ``v`` (``golden.ops.context``), requantized by a row's multiplier and shift, is
    the softmax average of ``v`` in the output's scale. Probabilities are int8 with ``probability_bits`` 8, int16 with
    16, int32 in ``exact``. Raises GoldenError as ``statistics`` and ``row_scale`` do, and on blocks of a variant that
    has none.
    """
    _check_keys(t.shape[-1], config)
    if key_block and not limits(config).blocks:
        raise GoldenError(
            f"Softmax {config.variant} takes a row as one block, not in blocks of {key_block} keys"
        )
    if config.variant is SoftmaxVariant.EXACT:
        p, maxima = exact.probabilities(t, config), t.new_zeros((*t.shape[:-1], 1))
        total = t.new_ones(t.shape[:-1], dtype=torch.int64)
    else:
        found = [statistics(part, config) for part in cut(t, key_block)]
        wide = config.probability_bits == 16
        p = _row([probabilities(part, config, wide=wide).flatten(-2) for part in found])
        maxima = _row([part.maximum for part in found])
        total = row_sums(maxima, _row([part.total for part in found]))
    m, s = row_scale(total, multiplier, shift, config)
    return Probabilities(p, m.to(torch.int32), s.to(torch.int32), maxima.to(torch.int32))


def _row(parts: list[Tensor]) -> Tensor:
    """The parts of rows one after another, in the last dimension; a single one as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)
