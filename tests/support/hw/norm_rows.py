"""Rows of layer norm and RMS norm, one after another on Python integers: docs/numerics.md, written down once more."""

from collections.abc import Sequence

from tests.hw.arith.test_reciprocal import reciprocal
from vitreous.spec import numbers
from vitreous.spec.tables import rsqrt_seed

VARIANTS = ("one_pass", "two_pass")


def reciprocal_root(variance: int) -> tuple[int, int]:
    """``(R, e)``."""
    e = (variance.bit_length() - 1) & ~1
    normalized = variance >> (e - 16) if e >= 16 else variance << (16 - e)
    y0 = rsqrt_seed()[(normalized >> 11) - 32]
    b = (normalized * ((y0 * y0) >> 16)) >> 16
    return min(65535, (y0 * (3 * 65536 - b)) >> 17), e


def norm_scale(variance: int, m_o: int, s_o: int) -> tuple[int, int]:
    """Multiplier and shift of a row."""
    root, e = reciprocal_root(variance)
    return numbers.normalize_multiplier((root * m_o) >> 15, s_o + e // 2 + 1)


def mean(total: int, channels: int) -> int:
    """``mu`` of ``two_pass``."""
    q, d = reciprocal(1 << 14, channels)
    return numbers.round_shift(total * q, 11 + d)


def statistics(variant: str, x: Sequence[int], epsilon: int, *, centred: bool) -> tuple[list[int], int]:
    """``(u, V)``."""
    d, total = len(x), sum(x) if centred else 0
    if variant == "one_pass":
        return [d * v - total for v in x], d * sum(v * v for v in x) - total * total + epsilon
    mu = mean(total, d)
    u = [16 * v - mu for v in x]
    return u, sum(v * v for v in u) + epsilon


def norm_row(
    variant: str,
    x: Sequence[int],
    epsilon: int,
    m_o: int,
    s_o: int,
    zero_point: int,
    shifts: Sequence[int],
    *,
    centred: bool = True,
) -> list[int]:
    """``y``; a row shift of any size."""
    u, variance = statistics(variant, x, epsilon, centred=centred)
    q, s = norm_scale(variance, m_o, s_o)
    return [
        numbers.saturate(((v * q + (1 << s + h >> 1)) >> s + h) + zero_point, numbers.INT8)
        for v, h in zip(u, shifts, strict=True)
    ]
