"""What follows from the formulas of each softmax (docs/numerics.md, Attention): the limits that rooms must agree on."""

from __future__ import annotations

from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import KEY_BLOCK
from vitreous.spec.numbers import SCORE, Format
from vitreous.spec.variants import SOFTMAXES, SoftmaxTraits

CODE = Format(SCORE.width + 1)
"""What S keeps of a score: one bit more, so that the code of a key that does not exist is far below every real one."""
MASKED_CODE = CODE.minimum
"""The code of a key that does not exist; no score has it, and its probability is 0."""
WIDE_BITS = 4
"""Accumulators of a two-pass operand, and of a row of several blocks, are ``2**WIDE_BITS`` times those of one pass and
one block: what it adds to ``s_o``."""


def limits(config: SoftmaxConfig) -> SoftmaxTraits:
    """Of the configured variant."""
    return SOFTMAXES[config.variant]


def key_block(config: SoftmaxConfig) -> int:
    """Keys of a block of the variant's rows; 0 where it takes every row as one."""
    return KEY_BLOCK if limits(config).blocks else 0


def key_blocks(keys: int, block: int) -> tuple[range, ...]:
    """The keys of each block of a row. ``block`` 0: one block; else ``block`` keys each, and the last one what is left,
    at least ``block / 2`` of a row of several, so fewer than ``3 * block / 2``."""
    count = max(1, (keys + block // 2) // block) if block else 1
    starts = [block * index for index in range(count)]
    return tuple(range(start, stop) for start, stop in zip(starts, [*starts[1:], keys], strict=True))


def context_bits(*, wide: bool, blocks: int) -> int:
    """Fraction bits of the accumulators of probabilities times values: what ``s_o`` is larger by."""
    return WIDE_BITS if wide or blocks > 1 else 0


# base2: a code is an integer part of SCORE.width - F bits above a mantissa, less the least one, of F + 1 bits.
def mantissa_bits(config: SoftmaxConfig) -> int:
    """``base2``: bits of a mantissa ``g``."""
    return config.fraction_bits + 2


def least_integer(config: SoftmaxConfig) -> int:
    """``base2``: the least integer part of a real score; the one below it marks a masked key."""
    return 1 + (SCORE.minimum >> config.fraction_bits)
