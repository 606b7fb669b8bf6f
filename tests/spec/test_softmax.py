"""What spec says about each softmax against its formulas, for the rows that make them largest and smallest."""

from __future__ import annotations

import pytest

from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import ATTENTION_KEYS, KEY_BLOCK, LEVEL_MAXIMUM, REMAINDER_BITS
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import (
    CODE,
    MASKED_CODE,
    WIDE_BITS,
    context_bits,
    key_block,
    key_blocks,
    least_integer,
    limits,
    mantissa_bits,
)
from vitreous.spec.tables import exp2_mantissa, ibert_exponential
from vitreous.spec.variants import SOFTMAXES, SoftmaxVariant, in_hardware

BITS = (6, 7, 8, 9)


def test_every_variant_has_its_limits() -> None:
    for variant in SoftmaxVariant:
        assert limits(SoftmaxConfig(variant=variant)) is SOFTMAXES[variant]


def largest_term(variant: str, bits: int) -> int:
    """What one key can add to the sum."""
    config = SoftmaxConfig(variant=variant, fraction_bits=bits)
    if variant == "base2":
        return max(exp2_mantissa(config)) << (18 - bits)
    if variant == "ibert":
        k, b = ibert_exponential(config)
        return (k * k + b) * 2**16 >> (2 * bits)
    return {"online": 1 << 19, "ita": 256}[variant]


def smallest_sum(variant: str, bits: int) -> int:
    """Of a row of one key."""
    if variant == "base2":
        config = SoftmaxConfig(fraction_bits=bits)
        return exp2_mantissa(config)[0] << (18 - bits)
    return largest_term(variant, bits)


@pytest.mark.parametrize("variant", in_hardware(SoftmaxVariant))
@pytest.mark.parametrize("bits", BITS)
def test_sums_and_row_shifts(variant: str, bits: int) -> None:
    known = SOFTMAXES[variant]
    largest = known.max_keys * largest_term(variant, bits)
    assert largest < 1 << 32
    if variant == "ita":
        assert 65280 // largest == 1, "the inverse of the largest sum"
        assert 65280 // (largest + 256) == 0
        assert known.least == known.largest == 7
        return
    exponents = [n.bit_length() - 1 for n in (smallest_sum(variant, bits), largest)]
    assert known.least == exponents[0] - known.row_exponent
    # 4096 of base2's largest terms stay one exponent below what 32 bits allow.
    assert exponents[1] + 1 - known.row_exponent <= known.largest


@pytest.mark.parametrize("bits", BITS)
def test_codes_of_base2(bits: int) -> None:
    config = SoftmaxConfig(fraction_bits=bits)
    assert mantissa_bits(config) == max(exp2_mantissa(config)).bit_length()
    low = bits + 1
    assert MASKED_CODE >> low == least_integer(config) - 1, "the integer part of no score"
    assert CODE.minimum <= least_integer(config) << low
    assert (SCORE.maximum >> bits << low) + (1 << low) - 1 == CODE.maximum
    assert least_integer(config) - 1 == SCORE.minimum >> bits, "one octave of scores becomes the least one"


def test_planes_of_signed_bytes() -> None:
    # 4096 keys with the largest probability and value stay in an accumulator of 32 bits.
    assert ATTENTION_KEYS * 128 * (LEVEL_MAXIMUM >> 1) >> (8 - WIDE_BITS) < 1 << 31


@pytest.mark.parametrize("keys", [*range(1, 401), ATTENTION_KEYS])
def test_blocks_of_keys(keys: int) -> None:
    """Each key is in one block; all but the last have 64 keys, and a row of several ends with 32 to 95."""
    blocks = key_blocks(keys, KEY_BLOCK)
    assert [key for block in blocks for key in block] == list(range(keys))
    assert [len(block) for block in blocks[:-1]] == [64] * (len(blocks) - 1)
    assert len(blocks) == 1 if keys <= 95 else 32 <= len(blocks[-1]) <= 95
    assert key_blocks(keys, 0) == (range(keys),)


def test_which_rows_have_finer_contexts() -> None:
    assert [context_bits(wide=wide, blocks=n) for wide in (False, True) for n in (1, 2)] == [0, 4, 4, 4]
    blocks = {variant: key_block(SoftmaxConfig(variant=variant)) for variant in SOFTMAXES}
    assert {variant for variant, block in blocks.items() if block} == {"base2"}
    assert blocks["base2"] == KEY_BLOCK


def test_a_context_of_blocks_fits_its_accumulators() -> None:
    """No shift makes a sum larger but by rounding: at most half a unit for each block and each of its planes."""
    blocks = len(key_blocks(ATTENTION_KEYS, KEY_BLOCK))
    one_pass = ATTENTION_KEYS * 128 * 127 << WIDE_BITS
    two_passes = ATTENTION_KEYS * 128 * (LEVEL_MAXIMUM >> 1) >> (8 - WIDE_BITS)
    assert max(one_pass, two_passes) + 3 * blocks < 1 << 31


def test_carried_codes_have_seven_bits() -> None:
    """With the largest remainder in front of it, no level gives more than 127."""
    assert max((level + 511) >> REMAINDER_BITS for level in range(LEVEL_MAXIMUM - 511, LEVEL_MAXIMUM)) == 127
    assert LEVEL_MAXIMUM % 512 == 0, "so the largest level leaves no more than was there"
