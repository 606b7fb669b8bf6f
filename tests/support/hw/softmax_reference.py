"""Softmax in plain Python integers, written from docs/numerics.md alone: what the hardware's rows are compared with."""

from typing import NamedTuple

from vitreous.spec import tables
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.numbers import SCORE

WIDTH = SCORE.width
MASKED = -(1 << WIDTH)


class Row(NamedTuple):
    """Codes, signed, final maximum and sum of one row of scores."""

    codes: list[int]
    maximum: int
    total: int


def shift_right(value: int, places: int) -> int:
    return 0 if places >= 32 else value >> places


def base2_row(t: list[int], config: SoftmaxConfig) -> Row:
    bits = config.fraction_bits
    a_min, table = 1 - (1 << (WIDTH - 1 - bits)), tables.exp2_mantissa(config)
    maximum = total = 0
    codes = []
    for j, score in enumerate(t):
        score = max(score, a_min << bits)
        a, g = score >> bits, table[score & ((1 << bits) - 1)]
        term = g << (18 - bits)
        codes.append((g - table[0]) | a << (bits + 1))
        if j == 0:
            maximum, total = a, term
        elif a > maximum:
            total, maximum = shift_right(total, a - maximum) + term, a
        else:
            total += (shift_right(term << 1, maximum - a) + 1) >> 1
    return Row(codes, maximum, total)


def online_row(t: list[int], config: SoftmaxConfig) -> Row:
    bits, table = config.fraction_bits, tables.exp2_negative(config)
    low = (1 << bits) - 1
    maximum = total = 0
    for j, score in enumerate(t):
        if j == 0:
            maximum, total = score, 1 << 19
        elif score > maximum:
            d = score - maximum
            total = ((total * shift_right(table[d & low], d >> bits)) >> 15) + (1 << 19)
            maximum = score
        else:
            d = maximum - score
            total += (shift_right(table[d & low] << 5, d >> bits) + 1) >> 1
    return Row(list(t), maximum, total)


def _polynomial(d: int, config: SoftmaxConfig) -> int:
    bits = config.fraction_bits
    k, b = tables.ibert_exponential(config)
    value = (k - (d & ((1 << bits) - 1))) ** 2 + b
    return value * 4 ** (8 - bits) if bits <= 8 else value // 4


def ibert_row(t: list[int], config: SoftmaxConfig) -> Row:
    maximum = max(t)
    distances = [maximum - score for score in t]
    total = sum(
        (shift_right(_polynomial(d, config) << 1, d >> config.fraction_bits) + 1) >> 1 for d in distances
    )
    return Row(list(t), maximum, total)


def ita_row(t: list[int], config: SoftmaxConfig) -> Row:
    drop = config.fraction_bits - 5
    x = [max(-128, min(127, (score + (1 << (drop - 1))) >> drop)) for score in t]
    maximum = total = 0
    for j, value in enumerate(x):
        if j == 0:
            maximum, total = value, 256
        elif value > maximum:
            total, maximum = (total >> ((value - maximum + 16) >> 5)) + 256, value
        else:
            total += 256 >> ((maximum - value + 16) >> 5)
    return Row(x, maximum, total)


ROWS = {"base2": base2_row, "online": online_row, "ibert": ibert_row, "ita": ita_row}


def row_of(t: list[int], config: SoftmaxConfig) -> Row:
    return ROWS[config.variant](t, config)


def inverse(total: int) -> int:
    """``ita``'s factor."""
    return 65280 // total


def level(code: int, maximum: int, factor: int, config: SoftmaxConfig) -> int:
    bits = config.fraction_bits
    if code == MASKED:
        return 0
    if config.variant == "base2":
        d = maximum - (code >> (bits + 1))
        g = (code & ((1 << (bits + 1)) - 1)) + tables.exp2_mantissa(config)[0]
        return shift_right(g << (14 - bits), d) if d >= 0 else 0
    d = maximum - code
    if d < 0:
        return 0
    if config.variant == "online":
        return shift_right(tables.exp2_level(config)[d & ((1 << bits) - 1)], d >> bits)
    if config.variant == "ibert":
        return shift_right(_polynomial(d, config) >> 3, d >> bits)
    return min(254, factor >> ((d + 16) >> 5)) << 8


def carried(row: list[int]) -> list[int]:
    """Levels of a row, in the order of its keys."""
    remainder, found = 256, []
    for one in row:
        found.append((remainder + one) >> 9)
        remainder = (remainder + one) & 511
    return found


def planes(found: int) -> tuple[int, int]:
    p = (found + 1) >> 1
    high = (p + 128) >> 8
    return high, p - 256 * high
