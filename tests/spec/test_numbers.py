from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.spec.numbers import (
    INT8,
    INT16,
    SCORE,
    Format,
    NumberError,
    normalize_multiplier,
    quantize_multiplier,
    requantize,
    round_shift,
    saturate,
)

WIDE = st.integers(-(1 << 46), 1 << 46)


@given(WIDE, st.integers(1, 47))
def test_round_shift_is_the_nearest_and_half_goes_up(value: int, shift: int) -> None:
    assert round_shift(value, shift) == math.floor(Fraction(value, 1 << shift) + Fraction(1, 2))


def test_round_shift_at_halves() -> None:
    assert [round_shift(v, 1) for v in (-3, -2, -1, 0, 1, 2, 3)] == [-1, -1, 0, 0, 1, 1, 2]
    with pytest.raises(NumberError, match="Shift must be at least 1, not 0"):
        round_shift(1, 0)


@pytest.mark.parametrize("fmt", [INT8, INT16, SCORE, Format(4, signed=False)])
def test_saturate_at_the_edges(fmt: Format) -> None:
    low, high = fmt.minimum, fmt.maximum
    assert [saturate(v, fmt) for v in (low - 1, low, high, high + 1)] == [low, low, high, high]


def test_formats() -> None:
    assert (SCORE.minimum, SCORE.maximum) == (-(1 << 16), (1 << 16) - 1)
    assert (Format(3, signed=False).minimum, Format(3, signed=False).maximum) == (0, 7)
    with pytest.raises(NumberError, match="Width must be a positive integer, not 0"):
        Format(0)
    with pytest.raises(NumberError, match="Count must be a positive integer, not 0"):
        INT8.total(0)


@given(st.integers(1, 12), st.integers(1, 12), st.booleans(), st.booleans(), st.integers(1, 40))
def test_products_and_sums_fit_their_formats(
    a: int, b: int, a_signed: bool, b_signed: bool, count: int
) -> None:
    x, y = Format(a, 2, a_signed), Format(b, 3, b_signed)
    product = x.product(y)
    assert product.fraction == 5
    for u in (x.minimum, x.maximum):
        for v in (y.minimum, y.maximum):
            assert product.minimum <= u * v <= product.maximum
    total = x.total(count)
    assert total.minimum <= count * x.minimum <= count * x.maximum <= total.maximum


def test_the_example_that_a_float_requantizer_gets_wrong() -> None:
    # 47 * 178481 = 2**23 - 1: just below a half at shift 24, which floats round up.
    assert 178481 * 47 == (1 << 23) - 1
    assert requantize(178481, 47, 24, 0, INT8) == 0
    assert requantize(178481, 47, 23, 0, INT8) == 1


@pytest.mark.parametrize(("m", "s"), [(0, 1), (1 << 15, 1), (-1, 1), (1, 0), (1, 48)])
def test_requantize_refuses_what_does_not_fit_its_fields(m: int, s: int) -> None:
    with pytest.raises(NumberError, match="Multiplier must be in 1..32767|Shift must be in 1..47"):
        requantize(1, m, s, 0, INT8)


@given(st.floats(2.0**-32, 2.0**13))
def test_quantize_multiplier_is_nearest(real: float) -> None:
    m, s = quantize_multiplier(real)
    assert 1 << 14 <= m < 1 << 15
    assert abs(Fraction(m, 1 << s) / Fraction(real) - 1) <= Fraction(1, 1 << 15)


def test_quantize_multiplier_at_its_limits() -> None:
    assert quantize_multiplier(1 - 2.0**-20) == (1 << 14, 14), "rounds up to the next power of two"
    assert quantize_multiplier(2.0**-33) == (1 << 14, 47)
    for real in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(NumberError, match="must be positive and finite"):
            quantize_multiplier(real)
    for real in (2.0**-34, 2.0**14):
        with pytest.raises(NumberError, match=r"needs a shift of \d+, outside 1..47"):
            quantize_multiplier(real)


def test_normalize_multiplier_over_its_whole_domain() -> None:
    for quotient in range(1 << 14, 1 << 16):
        m, s = normalize_multiplier(quotient, 20)
        assert 1 << 14 <= m < 1 << 15
        assert 0 <= Fraction(quotient, 1 << 20) - Fraction(m, 1 << s) < Fraction(1, 1 << s)
