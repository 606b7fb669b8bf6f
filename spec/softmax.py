"""What follows from the formulas of each softmax (docs/numerics.md, Attention): the limits that rooms must agree on."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.spec.config import SoftmaxConfig

MASKED_CODE = 0x8000
"""The stored 16-bit code of a key that does not exist; no score has it, and its probability is 0."""
PROBABILITY_MAXIMUM = 127 * 256 + 127
"""The largest probability of two byte planes, signed, ``256 * high + low`` with ``low`` in -128..127."""
WIDE_BITS = 4
"""Accumulators of a two-pass operand are ``2**WIDE_BITS`` times those of one pass: what it adds to ``s_o``."""


@dataclass(frozen=True, kw_only=True)
class SoftmaxLimits:
    """row_exponent : ``C`` of the row scale. least, largest : what ``s - s_o`` can be, over all rows.

    row_factor : what ``m_o / 2**s_o`` is multiplied by, because unnormalized probability and sum have different units.
    passes : over the scores until the sum is final. max_keys : the longest row for which no sum, inverse or
    accumulator leaves its range.
    """

    row_exponent: int
    least: int
    largest: int
    row_factor: float = 1.0
    passes: int = 1
    max_keys: int = 4096


LIMITS: dict[str, SoftmaxLimits] = {
    # s - s_o = e + 1 - C, and one less where the quotient is halved; e is the exponent of the sum.
    "base2": SoftmaxLimits(row_exponent=13, least=18 - 13, largest=31 + 1 - 13),
    "online": SoftmaxLimits(
        row_exponent=12, least=19 - 12, largest=31 + 1 - 12, row_factor=(1 << 15) / PROBABILITY_MAXIMUM
    ),
    "ibert": SoftmaxLimits(row_exponent=12, least=18 - 12, largest=30 + 1 - 12, passes=2),
    # Probabilities are divided by their sum already. 256 equal keys would have the inverse 0.
    "ita": SoftmaxLimits(row_exponent=0, least=7, largest=7, max_keys=255),
    "exact": SoftmaxLimits(row_exponent=0, least=23, largest=23),
}


def limits(config: SoftmaxConfig) -> SoftmaxLimits:
    """Of the configured variant."""
    return LIMITS[config.variant]


# base2: a code is an integer part of 15 - F bits above a mantissa, less the least one, of F + 1 bits.
def mantissa_bits(config: SoftmaxConfig) -> int:
    """``base2``: bits of a mantissa ``g``."""
    return config.fraction_bits + 2


def least_integer(config: SoftmaxConfig) -> int:
    """``base2``: the least integer part of a real score; the one below it marks a masked key."""
    return 1 - (1 << (14 - config.fraction_bits))
