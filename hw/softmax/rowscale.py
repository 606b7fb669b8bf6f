"""The row scale of the softmax (docs/numerics.md): a reciprocal that makes a requantization of ``1 / sum``.

Stages:
    1 - 19   reciprocal
    20       multiplier normalized to 15 bits, shift
"""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.reciprocal import NUMBER_BITS, Reciprocal
from vitreous.spec.numbers import MULTIPLIER_BITS, SHIFT_BITS

SUM_BITS = NUMBER_BITS
FACTOR_BITS = 8
"""Bits of what the unnormalized probabilities of a variant depend on in a row, besides its maximum."""


class RowResult(wiring.Component):
    """From the sum of a row to the requantization of its results.

    Latency: ``LATENCY`` cycles.
    Throughput: one sum a cycle.
    Back-pressure: none.

    Parameters
    ----------
    more : what a variant gives beside the members below.

    Members
    -------
    valid, o_valid : In, Out, a sum is here.
    tag, o_tag : In, Out, one bit that travels with it.
    sum : In, ``S``, at least 1.
    multiplier, shift : In, ``m_o`` (``2**14 .. 2**15 - 1``) and ``s_o``.
    o_multiplier, o_shift : Out, of the row; the shift modulo 64.
    """

    LATENCY = Reciprocal.LATENCY + 1

    def __init__(self, more: Mapping[str, wiring.Member]) -> None:
        super().__init__(
            {
                "valid": In(1),
                "tag": In(1),
                "sum": In(SUM_BITS),
                "multiplier": In(MULTIPLIER_BITS),
                "shift": In(SHIFT_BITS),
                "o_valid": Out(1),
                "o_tag": Out(1),
                "o_multiplier": Out(MULTIPLIER_BITS),
                "o_shift": Out(SHIFT_BITS),
                **more,
            }
        )


class RowScale(RowResult):
    """``(Q, e) = reciprocal(m_o, S)``, ``s = s_o + e + 1 - C``, ``Q`` normalized to 15 bits.

    Timing and members: ``RowResult``.

    Parameters
    ----------
    offset : the constant ``C`` of the softmax variant.

    Raises ValueError when ``offset`` is not in 1..15.
    """

    def __init__(self, *, offset: int) -> None:
        if not 1 <= offset <= 15:
            raise ValueError(f"Offset must be in 1..15, not {offset!r}")
        self.offset = offset
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Cycles 1 to 19
        m.submodules.reciprocal = self._reciprocal = reciprocal = Reciprocal(tag_bits=1 + SHIFT_BITS)
        m.d.comb += [
            reciprocal.valid.eq(self.valid),
            reciprocal.tag.eq(Cat(self.tag, self.shift)),
            reciprocal.numerator.eq(self.multiplier),
            reciprocal.number.eq(self.sum),
        ]
        # Cycle 20: halve a quotient of 16 bits.
        valid = Signal()
        tag = Signal(reset_less=True)
        multiplier = Signal(MULTIPLIER_BITS, name="row_multiplier", reset_less=True)
        shift = Signal(SHIFT_BITS, name="row_shift", reset_less=True)
        quotient, exponent = reciprocal.quotient, reciprocal.exponent
        wide = quotient[-1]
        m.d.sync += [
            valid.eq(reciprocal.o_valid),
            tag.eq(reciprocal.o_tag[0]),
            multiplier.eq(Mux(wide, quotient[1:], quotient)),
            # One more for a quotient of 15 bits.
            shift.eq(reciprocal.o_tag[1:] + exponent - (self.offset - 1) - wide),
        ]
        m.d.comb += [
            self.o_valid.eq(valid),
            self.o_tag.eq(tag),
            self.o_multiplier.eq(multiplier),
            self.o_shift.eq(shift),
        ]
        return m
