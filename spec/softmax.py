"""What follows from the formulas of each softmax (docs/numerics.md, Attention): the limits that rooms must agree on."""

from __future__ import annotations

from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.numbers import SCORE, Format
from vitreous.spec.variants import SOFTMAXES, SoftmaxTraits

CODE = Format(SCORE.width + 1)
"""What S keeps of a score: one bit more, so that the code of a key that does not exist is far below every real one."""
MASKED_CODE = CODE.minimum
"""The code of a key that does not exist; no score has it, and its probability is 0."""
WIDE_BITS = 4
"""Accumulators of a two-pass operand are ``2**WIDE_BITS`` times those of one pass: what it adds to ``s_o``."""


def limits(config: SoftmaxConfig) -> SoftmaxTraits:
    """Of the configured variant."""
    return SOFTMAXES[config.variant]


# base2: a code is an integer part of SCORE.width - F bits above a mantissa, less the least one, of F + 1 bits.
def mantissa_bits(config: SoftmaxConfig) -> int:
    """``base2``: bits of a mantissa ``g``."""
    return config.fraction_bits + 2


def least_integer(config: SoftmaxConfig) -> int:
    """``base2``: the least integer part of a real score; the one below it marks a masked key."""
    return 1 + (SCORE.minimum >> config.fraction_bits)
