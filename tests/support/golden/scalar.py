"""The definitions of docs/numerics.md on single Python integers, written out key by key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vitreous.spec import tables
from vitreous.spec.config import ActivationConfig, SoftmaxConfig
from vitreous.spec.numbers import INT8, SCORE, normalize_multiplier, round_shift, saturate


@dataclass(frozen=True)
class Row:
    """Codes (signed), maximum, sum and levels of one row of scores."""

    codes: list[int]
    maximum: int
    total: int
    levels: list[int]


def shift(value: int, by: int) -> int:
    """``value >> by``; 0 by the rule for 32 or more."""
    return 0 if by >= 32 else value >> by


def softmax_row(t: Sequence[int], config: SoftmaxConfig) -> Row:
    functions: dict[str, Callable[[Sequence[int], SoftmaxConfig], Row]] = {
        "base2": _base2,
        "online": _online,
        "ibert": _ibert,
        "ita": _ita,
    }
    return functions[config.variant](t, config)


def _base2(t: Sequence[int], config: SoftmaxConfig) -> Row:
    f = config.fraction_bits
    mantissa = tables.exp2_mantissa(config)
    lowest = (1 - 2 ** (SCORE.width - 1 - f)) * 2**f
    pairs = [(max(x, lowest) // 2**f, mantissa[max(x, lowest) % 2**f]) for x in t]
    maximum, total = pairs[0][0], pairs[0][1] * 2 ** (18 - f)
    for a, g in pairs[1:]:
        weight = g * 2 ** (18 - f)
        if a > maximum:
            total = shift(total, a - maximum) + weight
            maximum = a
        else:
            total += (shift(2 * weight, maximum - a) + 1) // 2
    codes = [(g - mantissa[0]) | a << (f + 1) for a, g in pairs]
    return Row(codes, maximum, total, [shift(g << (14 - f), maximum - a) for a, g in pairs])


def _online(t: Sequence[int], config: SoftmaxConfig) -> Row:
    f = config.fraction_bits
    table, level = tables.exp2_negative(config), tables.exp2_level(config)
    maximum, total = t[0], 2**19
    for x in t[1:]:
        if x > maximum:
            d = x - maximum
            total = ((total * shift(table[d % 2**f], d // 2**f)) >> 15) + 2**19
            maximum = x
        else:
            d = maximum - x
            total += (shift(table[d % 2**f] * 32, d // 2**f) + 1) // 2
    distances = [maximum - x for x in t]
    return Row(list(t), maximum, total, [shift(level[d % 2**f], d // 2**f) for d in distances])


def _ibert(t: Sequence[int], config: SoftmaxConfig) -> Row:
    f, maximum = config.fraction_bits, max(t)
    k, b = tables.ibert_exponential(config)
    total, levels = 0, []
    for x in t:
        z, r = divmod(maximum - x, 2**f)
        p = ((k - r) ** 2 + b) * 2**16 // 2 ** (2 * f)
        total += (shift(2 * p, z) + 1) // 2
        levels.append(shift(p // 8, z))
    return Row(list(t), maximum, total, levels)


def _ita(t: Sequence[int], config: SoftmaxConfig) -> Row:
    scores = [saturate(round_shift(x, config.fraction_bits - 5), INT8) for x in t]
    maximum, total = scores[0], 256
    for x in scores[1:]:
        if x > maximum:
            total = shift(total, (x - maximum + 16) // 32) + 256
            maximum = x
        else:
            total += shift(256, (maximum - x + 16) // 32)
    inverse = 65280 // total
    levels = [min(254, shift(inverse, (maximum - x + 16) // 32)) * 256 for x in scores]
    return Row(scores, maximum, total, levels)


def probabilities(row: Row, bits: int) -> list[int]:
    if bits == 16:
        return [(level + 1) // 2 for level in row.levels]
    found, remainder = [], 256
    for level in row.levels:
        whole, remainder = divmod(remainder + level, 512)
        found.append(whole)
    return found


def blocks_of(keys: int, block: int) -> list[list[int]]:
    """The keys of each block: whole blocks, as long as what is left afterwards is half a block."""
    found, first = [], 0
    while keys - first >= block + block // 2:
        found.append(list(range(first, first + block)))
        first += block
    return [*found, list(range(first, keys))]


def sum_of_blocks(rows: Sequence[Row]) -> int:
    """The sum of a row from its blocks'."""
    maximum, total = rows[0].maximum, rows[0].total
    for row in rows[1:]:
        largest = max(maximum, row.maximum)
        total = shift(total, largest - maximum) + shift(row.total, largest - row.maximum)
        maximum = largest
    return total


def rounded(value: int, by: int) -> int:
    """Half up; 0 by the rule for 32 or more."""
    if by >= 32:
        return 0
    return (value + 2 ** (by - 1)) >> by if by else value


def context_of_blocks(
    maxima: Sequence[int], p: Sequence[Sequence[int]], v: Sequence[Sequence[int]], bits: int
) -> int:
    """The accumulator of one column from each block's maximum, probabilities and values: ``2**4`` times the plain one;
    of a row of one block in one pass the plain one."""
    if len(p) == 1 and bits == 8:
        return weighted_sum(p[0], v[0], 8)
    context, largest = 0, maxima[0]
    for maximum, row, column in zip(maxima, p, v, strict=True):
        before, largest = largest, max(largest, maximum)
        high = [(a + 128) // 256 for a in row] if bits == 16 else list(row)
        low = [a - 256 * h for a, h in zip(row, high, strict=True)] if bits == 16 else []
        context = rounded(context, largest - before)
        context += rounded(16 * sum(h * b for h, b in zip(high, column, strict=True)), largest - maximum)
        if low:
            part = sum(x * b for x, b in zip(low, column, strict=True))
            context += rounded(part, largest - maximum + 4)
    return context


def weighted_sum(p: Sequence[int], v: Sequence[int], bits: int) -> int:
    """The accumulator of ``sum p v`` in one pass (8) or in two (16)."""
    if bits == 8:
        return sum(a * b for a, b in zip(p, v, strict=True))
    high = [(a + 128) // 256 for a in p]
    low = [a - 256 * h for a, h in zip(p, high, strict=True)]
    first = sum(h * b for h, b in zip(high, v, strict=True))
    second = sum(x * b for x, b in zip(low, v, strict=True))
    return first * 16 + (second + 8) // 16


def reciprocal(numerator: int, value: int) -> tuple[int, int]:
    e = value.bit_length() - 1
    scaled = value >> (e - 16) if e >= 16 else value << (16 - e)
    return numerator * 2**17 // scaled, e


ROW_EXPONENT = {"base2": 13, "online": 12, "ibert": 12}


def row_scale(total: int, m_o: int, s_o: int, config: SoftmaxConfig) -> tuple[int, int]:
    if config.variant == "ita":
        return m_o, s_o + 7
    quotient, e = reciprocal(m_o, total)
    return normalize_multiplier(quotient, s_o + e + 1 - ROW_EXPONENT[config.variant])


def activation(x: int, config: ActivationConfig) -> int:
    f = config.fraction_bits
    if config.variant == "table":
        table, i = tables.activation_table(config), x >> (10 - config.step_bits)
        if i < -config.entries:
            return 0
        return table[i + config.entries] if i < config.entries else x << (f - 10)
    functions = {"delta": _delta, "poly": _poly, "shift": _shift}
    return (max(x, 0) << (f - 10)) - functions[config.variant](abs(x), config)


def _delta(u: int, config: ActivationConfig) -> int:
    table, b = tables.activation_delta(config), 10 - config.step_bits
    i, r = u >> b, u % 2**b
    if i >= config.entries:
        return 0
    if not config.interpolate:
        return table[i]
    return (table[i] * 2**b + (table[i + 1] - table[i]) * r + 2 ** (b - 1)) >> b


def _poly(u: int, config: ActivationConfig) -> int:
    edge, bits = tables.GELU_POLY_EDGE, 20 + tables.GELU_POLY_BITS - config.fraction_bits
    w = max(0, edge - u)
    return round_shift((w * w // 1024) * min(u, edge) * tables.GELU_POLY_FACTOR, bits)


def _shift(u: int, config: ActivationConfig) -> int:
    k = u + u // 2 + u // 8 + u // 16 if config.function != "silu" else u
    z, r = divmod(k + k // 2 - k // 16, 1024)
    e = 0 if z >= 16 else ((2048 - r) * 16) >> z
    q = e * 2**15 // (2**15 + e)
    return round_shift(u * q, 25 - config.fraction_bits)


def norm_row(
    x: Sequence[int],
    variant: str,
    m_o: int,
    s_o: int,
    epsilon: int,
    zero_point: int,
    shifts: Sequence[int],
    *,
    centred: bool = True,
) -> list[int]:
    d = len(x)
    total = sum(x) if centred else 0
    if variant == "one_pass":
        u = [d * v - total for v in x]
        variance = d * sum(v * v for v in x) - total * total + epsilon
    else:
        q, exponent = reciprocal(2**14, d)
        mean = round_shift(total * q, 11 + exponent)
        u = [16 * v - mean for v in x]
        variance = sum(v * v for v in u) + epsilon
    root, e = reciprocal_root(variance)
    scale, s = normalize_multiplier((root * m_o) >> 15, s_o + e // 2 + 1)
    return [
        saturate(round_shift(v * scale, s + h) + zero_point, INT8) for v, h in zip(u, shifts, strict=True)
    ]


def reciprocal_root(variance: int) -> tuple[int, int]:
    e = (variance.bit_length() - 1) // 2 * 2
    scaled = variance >> (e - 16) if e >= 16 else variance << (16 - e)
    y = tables.rsqrt_seed()[scaled // 2048 - 32]
    b = (scaled * ((y * y) >> 16)) >> 16
    return min(65535, (y * (3 * 2**16 - b)) >> 17), e
