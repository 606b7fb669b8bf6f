"""The row scale of the softmax (docs/numerics.md): an exact division that makes a requantization of ``1 / sum``.

Stages:
    1 - 2    leading one of the sum, sum normalized to 17 bits
    3        remainder 2 * m_o, shift
    4 - 19   one quotient bit each, restoring
    20       multiplier normalized to 15 bits
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.delay import delay_line
from vitreous.hw.leading_one import LeadingOne
from vitreous.spec.numbers import MULTIPLIER_BITS, SHIFT_BITS

SUM_BITS = 32
QUOTIENT_BITS = 16
_DIVISOR_BITS = 17
_DIVISION = data.StructLayout(
    {
        "divisor": _DIVISOR_BITS,
        "remainder": _DIVISOR_BITS,
        "quotient": QUOTIENT_BITS,
        "shift": SHIFT_BITS,
    }
)


class RowScale(wiring.Component):
    """``Q = floor(m_o * 2**17 / Sn)``, ``s = s_o + e + 1 - C``, normalized to 15 bits; ``S`` is at least ``2**15``.

    Latency: ``LATENCY`` cycles.
    Throughput: one sum a cycle.
    Back-pressure: none.

    Parameters
    ----------
    offset : the constant ``C`` of the softmax variant.

    Members
    -------
    valid, o_valid : In, Out, a sum is here.
    tag, o_tag : In, Out, one bit that travels with it.
    sum : In, ``S``.
    multiplier, shift : In, ``m_o`` (``2**14 .. 2**15 - 1``) and ``s_o``.
    o_multiplier, o_shift : Out, of the row.

    Raises ValueError when ``offset`` is not in 1..15.
    """

    LATENCY = LeadingOne.LATENCY + 1 + QUOTIENT_BITS + 1

    def __init__(self, *, offset: int) -> None:
        if not 1 <= offset <= 15:
            raise ValueError(f"Offset must be in 1..15, not {offset!r}")
        self.offset = offset
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
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            self.o_valid.eq(delay_line(m, self.valid, self.LATENCY, name="valid")[-1]),
            self.o_tag.eq(delay_line(m, self.tag, self.LATENCY, name="tag", reset_less=True)[-1]),
        ]
        state = self._build_start(m)
        for bit in range(QUOTIENT_BITS):
            state = self._build_step(m, state, bit)
        self._build_end(m, state)
        return m

    def _build_start(self, m: Module) -> Any:
        """Cycles 1 to 3: divisor, remainder and shift."""
        m.submodules.leading_one = leading = LeadingOne(width=SUM_BITS)
        multiplier = delay_line(m, self.multiplier, leading.LATENCY, name="multiplier", reset_less=True)[-1]
        shift = delay_line(m, self.shift, leading.LATENCY, name="shift", reset_less=True)[-1]
        state = Signal(_DIVISION, name="division_0", reset_less=True)
        m.d.comb += leading.i.eq(self.sum)
        m.d.sync += [
            state.divisor.eq(leading.o[SUM_BITS - _DIVISOR_BITS :]),
            state.remainder.eq(multiplier << 1),
            state.quotient.eq(0),
            state.shift.eq(shift + leading.exponent - (self.offset - 1)),
        ]
        return state

    def _build_step(self, m: Module, state: Any, bit: int) -> Any:
        """Cycles 4 to 19: double the remainder (below the divisor before), subtract the divisor where it fits."""
        following = Signal(_DIVISION, name=f"division_{bit + 1}", reset_less=True)
        doubled = Cat(0, state.remainder)
        fits = Signal(name=f"fits_{bit}")
        difference = Signal(_DIVISOR_BITS, name=f"difference_{bit}")
        m.d.comb += [fits.eq(doubled >= state.divisor), difference.eq(doubled - state.divisor)]
        m.d.sync += [
            following.divisor.eq(state.divisor),
            following.remainder.eq(Mux(fits, difference, doubled[:_DIVISOR_BITS])),
            following.quotient.eq(Cat(fits, state.quotient[:-1])),
            following.shift.eq(state.shift),
        ]
        return following

    def _build_end(self, m: Module, state: Any) -> None:
        """Cycle 20: halve a quotient of 16 bits."""
        multiplier = Signal(MULTIPLIER_BITS, name="row_multiplier", reset_less=True)
        shift = Signal(SHIFT_BITS, name="row_shift", reset_less=True)
        wide = state.quotient[-1]
        m.d.sync += [
            multiplier.eq(Mux(wide, state.quotient[1:], state.quotient)),
            shift.eq(state.shift - wide),
        ]
        m.d.comb += [self.o_multiplier.eq(multiplier), self.o_shift.eq(shift)]
