"""A reciprocal times a constant (docs/numerics.md, Reciprocal): division of a normalized number, not restoring.

Stages:
    1 - 2    leading one of the number, number normalized to 17 bits
    3        remainder 2 * n
    4 - 19   one quotient bit each: the divisor is subtracted from a remainder, or added to a negative one
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.leading_one import LeadingOne
from vitreous.hw.checks import positive
from vitreous.spec.numbers import MULTIPLIER_BITS

NUMBER_BITS = 32
QUOTIENT_BITS = 16
_DIVISOR_BITS = 17
_DIVISION = data.StructLayout(
    {
        "divisor": _DIVISOR_BITS,
        "remainder": signed(_DIVISOR_BITS + 1),
        "quotient": QUOTIENT_BITS,
        "exponent": range(NUMBER_BITS),
    }
)


class Reciprocal(wiring.Component):
    """``Q / 2**(e + 1) ~ n / S``: ``e = bit_length(S) - 1``, ``Q = floor(n * 2**17 / Sn)``, ``Sn`` the upper 17 bits.

    Exact but for two losses: the floor of a quotient above ``2**13`` and the bits of ``S`` below ``Sn``. So the
    relative error of ``Q / 2**(e + 1)`` is above ``-2**-13`` and below ``2**-16``; for ``n`` of ``2**14`` and more
    above ``-2**-14``, and never above 0 for ``S`` below ``2**17``.

    Latency: ``LATENCY`` cycles.
    Throughput: one number a cycle.
    Back-pressure: none.

    Parameters
    ----------
    tag_bits : bits of ``tag``.

    Members
    -------
    valid, o_valid : In, Out, a number is here.
    tag, o_tag : In, Out, what travels with it.
    numerator : In, ``n``, ``2**13 < n < 2**15``.
    number : In, ``S``, at least 1.
    quotient : Out, ``Q``.
    exponent : Out, ``e``.

    Raises ValueError when ``tag_bits`` is not positive.
    """

    LATENCY = LeadingOne.LATENCY + 1 + QUOTIENT_BITS

    def __init__(self, *, tag_bits: int = 1) -> None:
        self.tag_bits = positive("Tag bits", tag_bits)
        super().__init__(
            {
                "valid": In(1),
                "tag": In(tag_bits),
                "numerator": In(MULTIPLIER_BITS),
                "number": In(NUMBER_BITS),
                "o_valid": Out(1),
                "o_tag": Out(tag_bits),
                "quotient": Out(QUOTIENT_BITS),
                "exponent": Out(range(NUMBER_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = self._build_start(m)
        for bit in range(QUOTIENT_BITS):
            state = self._build_step(m, state, bit)
        m.d.comb += [
            self.o_valid.eq(delay_line(m, self.valid, self.LATENCY, name="valid")[-1]),
            self.o_tag.eq(delay_line(m, self.tag, self.LATENCY, name="tag", reset_less=True)[-1]),
            self.quotient.eq(state.quotient),
            self.exponent.eq(state.exponent),
        ]
        return m

    def _build_start(self, m: Module) -> Any:
        """Cycles 1 to 3: divisor, remainder and exponent."""
        m.submodules.leading_one = leading = LeadingOne(width=NUMBER_BITS)
        numerator = delay_line(m, self.numerator, leading.LATENCY, name="numerator", reset_less=True)[-1]
        state = Signal(_DIVISION, name="division_0", reset_less=True)
        m.d.comb += leading.i.eq(self.number)
        m.d.sync += [
            state.divisor.eq(leading.o[NUMBER_BITS - _DIVISOR_BITS :]),
            state.remainder.eq(numerator << 1),
            state.quotient.eq(0),
            state.exponent.eq(leading.exponent),
        ]
        return state

    def _build_step(self, m: Module, state: Any, bit: int) -> Any:
        """Cycles 4 to 19: ``2 * r - Sn``, or ``2 * r + Sn`` for a negative ``r``; so it stays in ``-Sn .. Sn - 1``."""
        following = Signal(_DIVISION, name=f"division_{bit + 1}", reset_less=True)
        # Complement and carry of the subtraction both come from the sign: one LUT for each bit.
        subtract = ~state.remainder[-1]
        width = len(state.remainder)
        divisor = Cat(state.divisor, 0) ^ subtract.replicate(width)
        remainder = Signal(signed(width), name=f"remainder_{bit}")
        m.d.comb += remainder.eq(Cat(subtract, state.remainder) + divisor)
        m.d.sync += [
            following.divisor.eq(state.divisor),
            following.remainder.eq(remainder),
            following.quotient.eq(Cat(~remainder[-1], state.quotient[:-1])),
            following.exponent.eq(state.exponent),
        ]
        return following
