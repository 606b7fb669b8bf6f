"""Number formats and the scalar integer operations that define every rounding of the project.

The functions here work on Python integers and are *the* definition. ``golden`` and ``hw`` implement them again,
independently,
and are each tested against these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vitreous.spec.errors import VitreousError

MULTIPLIER_BITS = 15
"""Width of a requantization multiplier ``m``, a positive integer below ``2**15``."""
SHIFT_BITS = 6
"""Width of the field that holds a requantization shift."""
SHIFT_MIN = 1
SHIFT_MAX = 47
"""``|acc * m| < 2**46``, so a longer shift could only return 0 or -1."""
CHANNEL_SHIFT_BITS = 2
CHANNEL_SHIFT_MAX = (1 << CHANNEL_SHIFT_BITS) - 1
"""A norm's row shift is at most ``SHIFT_MAX``; that of a shifted channel is this much longer, at most."""
ACCUMULATOR_BITS = 32


class NumberError(VitreousError, ValueError):
    """A value or a scale that the number formats of the machine cannot hold."""


@dataclass(frozen=True)
class Format:
    """A fixed-point format: ``value = integer * 2**-fraction``.

    Parameters
    ----------
    width : total bits, sign included.
    fraction : fraction bits.
    signed : two's complement when true.
    """

    width: int
    fraction: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        if self.width < 1:
            raise NumberError(f"Width must be a positive integer, not {self.width!r}")

    @property
    def minimum(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.width - (1 if self.signed else 0))) - 1

    def product(self, other: Format) -> Format:
        """The exact format of a product."""
        return Format(self.width + other.width, self.fraction + other.fraction, self.signed or other.signed)

    def total(self, count: int) -> Format:
        """The exact format of a sum of ``count`` values."""
        if count < 1:
            raise NumberError(f"Count must be a positive integer, not {count!r}")
        return Format(self.width + (count - 1).bit_length(), self.fraction, self.signed)


INT8 = Format(8)
INT16 = Format(16)
ACCUMULATOR = Format(ACCUMULATOR_BITS)
SCORE = Format(17)
"""Attention scores, logarithms to base 2 with ``SoftmaxConfig.fraction_bits`` fraction bits. This is the one place that
says how wide they are: codes, the memory S, units and graphs follow from it.
"""
ACTIVATION_INPUT = Format(16, 10)


def saturate(value: int, fmt: Format) -> int:
    """``clamp(value, fmt.minimum, fmt.maximum)``."""
    return max(fmt.minimum, min(fmt.maximum, value))


def round_shift(value: int, shift: int) -> int:
    """``(value + 2**(shift-1)) >> shift``: division by ``2**shift``, rounding half up. ``shift >= 1``."""
    if shift < 1:
        raise NumberError(f"Shift must be at least 1, not {shift!r}")
    return (value + (1 << (shift - 1))) >> shift


def requantize(acc: int, multiplier: int, shift: int, zero_point: int, fmt: Format) -> int:
    """``saturate(round_shift(acc * multiplier, shift) + zero_point)``: the only way from accumulator to activation.

    Raises NumberError when ``multiplier`` is not in ``1 .. 2**15 - 1`` or ``shift`` not in ``1 .. 47``.
    """
    if not 0 < multiplier < 1 << MULTIPLIER_BITS:
        raise NumberError(f"Multiplier must be in 1..{(1 << MULTIPLIER_BITS) - 1}, not {multiplier!r}")
    if not SHIFT_MIN <= shift <= SHIFT_MAX:
        raise NumberError(f"Shift must be in {SHIFT_MIN}..{SHIFT_MAX}, not {shift!r}")
    return saturate(round_shift(acc * multiplier, shift) + zero_point, fmt)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The ``(m, s)`` with ``m / 2**s`` nearest to ``real`` and ``2**14 <= m < 2**15``.

    Raises NumberError when ``real`` is not positive and finite or its shift falls outside ``1 .. 47``.
    """
    if not (math.isfinite(real) and real > 0):
        raise NumberError(f"A requantization scale must be positive and finite, not {real!r}")
    mantissa, exponent = math.frexp(real)  # real = mantissa * 2**exponent, 0.5 <= mantissa < 1
    multiplier = round(mantissa * (1 << MULTIPLIER_BITS))
    if multiplier == 1 << MULTIPLIER_BITS:
        multiplier >>= 1
        exponent += 1
    shift = MULTIPLIER_BITS - exponent
    if not SHIFT_MIN <= shift <= SHIFT_MAX:
        raise NumberError(
            f"A requantization scale of {real:.3g} needs a shift of {shift}, outside {SHIFT_MIN}..{SHIFT_MAX}"
        )
    return multiplier, shift


def normalize_multiplier(quotient: int, shift: int) -> tuple[int, int]:
    """Bring a 16-bit ``quotient`` in ``2**14 .. 2**16 - 1`` back to 15 bits: halve it (floor) and its shift
    when it is too wide.
    """
    if quotient >> MULTIPLIER_BITS:
        return quotient >> 1, shift - 1
    return quotient, shift
