"""The definitions of docs/numerics.md on single Python integers, written out key by key."""

from __future__ import annotations

from collections.abc import Sequence

from vitreous.spec import tables
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.numbers import INT8, normalize_multiplier, round_shift, saturate


def softmax_row(t: Sequence[int], config: SoftmaxConfig) -> tuple[list[int], int, int]:
    """Probabilities, maximum and sum of one row."""
    return (_base2 if config.variant == "base2" else _online)(t, config)


def _base2(t: Sequence[int], config: SoftmaxConfig) -> tuple[list[int], int, int]:
    mantissa = tables.exp2_mantissa(config)
    pairs = [(x >> config.fraction_bits, mantissa[x % (1 << config.fraction_bits)]) for x in t]
    maximum, total = pairs[0][0], pairs[0][1] << 8
    for a, g in pairs[1:]:
        if a > maximum:
            total = (total >> (a - maximum)) + (g << 8)
            maximum = a
        else:
            total += (g << 8) >> (maximum - a)
    p = []
    for a, g in pairs:
        d = maximum - a
        p.append(0 if d >= 8 else min(127, (g + 2**d) >> (d + 1)))
    return p, maximum, total


def _online(t: Sequence[int], config: SoftmaxConfig) -> tuple[list[int], int, int]:
    bits = config.fraction_bits
    table, table8 = tables.exp2_negative(config), tables.exp2_probability(config)

    def e(d: int) -> int:
        return table[d % (1 << bits)] >> (d >> bits) if d >> bits < 16 else 0

    maximum, total = t[0], 1 << 15
    for x in t[1:]:
        if x > maximum:
            total = ((total * e(x - maximum)) >> 15) + (1 << 15)
            maximum = x
        else:
            total += e(maximum - x)
    p = []
    for x in t:
        d = (maximum - x) >> bits
        p.append(0 if d >= 9 else min(127, (table8[(maximum - x) % (1 << bits)] + 2**d) >> (d + 1)))
    return p, maximum, total


def row_scale(total: int, m_o: int, s_o: int, config: SoftmaxConfig) -> tuple[int, int]:
    e = total.bit_length() - 1
    scaled = total >> (e - 16) if e >= 16 else total << (16 - e)
    quotient = m_o * 2**17 // scaled
    return normalize_multiplier(quotient, s_o + e + 1 - (9 if config.variant == "base2" else 8))


def layernorm_row(x: Sequence[int], m_o: int, s_o: int, epsilon: int, zero_point: int) -> list[int]:
    d = len(x)
    total, squares = sum(x), sum(v * v for v in x)
    variance = d * squares - total * total + epsilon
    e = (variance.bit_length() - 1) // 2 * 2
    scaled = variance >> (e - 16) if e >= 16 else variance << (16 - e)
    y = tables.rsqrt_seed()[scaled // 2048 - 32]
    b = (scaled * ((y * y) >> 16)) >> 16
    root = min(65535, (y * (3 * 2**16 - b)) >> 17)
    q, s = normalize_multiplier((root * m_o) >> 15, s_o + e // 2 + 1)
    return [saturate(round_shift((d * v - total) * q, s) + zero_point, INT8) for v in x]
