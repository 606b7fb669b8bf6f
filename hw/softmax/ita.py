"""Softmax ``ita`` (docs/numerics.md): scores of 8 bits, shifts only, probabilities divided by their sum.

Recurrence, stages:
    1  score rounded to 8 bits: the code
    2  compare with the maximum
    3  shift the new term
    4  shift the sum and add
Inverse, stages:
    1 - 19  reciprocal
    20      inverse of 8 bits
Level, stages:
    1  distance to the final maximum
    -  shift the inverse
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from vitreous.hw.arith.reciprocal import Reciprocal
from vitreous.hw.softmax.prologue import Element, Levels
from vitreous.hw.softmax.recurrence import Flags, OnePassRecurrence
from vitreous.hw.softmax.rowscale import FACTOR_BITS, RowResult
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.numbers import INT8, MULTIPLIER_BITS, SHIFT_BITS
from vitreous.spec.variants import SOFTMAXES, SoftmaxVariant

_FRACTION_BITS = 5
_TERM_BITS = 8
"""A term is ``2**8`` and less."""
_TOTAL_BITS = 21
"""Of the sum of 4096 terms, far more than the 255 for which there is an inverse."""
_PLACES = 4
_INVERSE = 65280


def _octaves(distance: Value) -> Value:
    """``(distance + 16) >> 5``, 4 bits for the distances of 8-bit scores."""
    return ((distance + (1 << (_FRACTION_BITS - 1))) >> _FRACTION_BITS)[:_PLACES]


class ItaRecurrence(OnePassRecurrence):
    """``S = sum_j 256 >> d(M, x_j)``, ``M`` the largest score so far; ``code`` is the score with 5 fraction bits."""

    @staticmethod
    def maximum_bits(softmax: SoftmaxConfig) -> int:
        return INT8.width

    def _build_lane(self, m: Module, lane: int, table: wiring.PureInterface | None, flags: Flags) -> None:
        valid, first = flags.valid, flags.first
        # Cycle 1
        drop = self.softmax.fraction_bits - _FRACTION_BITS
        rounded = (self.score[lane] + (1 << (drop - 1))) >> drop
        code = Signal(signed(INT8.width), name=f"code_{lane}", reset_less=True)
        inside = Mux(rounded < INT8.minimum, INT8.minimum, rounded)
        m.d.sync += code.eq(Mux(rounded > INT8.maximum, INT8.maximum, inside))
        # Cycle 2
        running = Signal(signed(INT8.width), name=f"running_{lane}", reset_less=True)
        difference = Signal(signed(INT8.width + 1), name=f"difference_{lane}")
        rises = Signal(name=f"rises_{lane}", reset_less=True)
        places = Signal(_PLACES, name=f"places_{lane}", reset_less=True)
        up = difference > 0
        m.d.comb += difference.eq(Mux(first[1], 0, code - running))
        m.d.sync += [
            running.eq(Mux(valid[1] & (first[1] | up), code, running)),
            rises.eq(up),
            places.eq(_octaves(Mux(up, difference, -difference)[: INT8.width])),
        ]
        # Cycle 3
        term = Signal(_TERM_BITS + 1, name=f"term_{lane}", reset_less=True)
        drops = Signal(_PLACES, name=f"drop_{lane}", reset_less=True)
        m.d.sync += [
            term.eq((1 << _TERM_BITS) >> Mux(rises, 0, places)),
            drops.eq(Mux(rises, places, 0)),
        ]
        # Cycle 4
        total = Signal(_TOTAL_BITS, name=f"total_{lane}", reset_less=True)
        m.d.sync += total.eq(Mux(valid[3], Mux(first[3], 0, total >> drops) + term, total))
        m.d.comb += [
            self.code[lane].eq(code),
            self.maximum[lane].eq(running),
            self.sum[lane].eq(total),
        ]


class RowInverse(RowResult):
    """``I = floor(65280 / S)`` and ``(m_o, s_o + 7)``: what ``RowScale`` gives, for probabilities already divided.

    Timing and members: ``RowResult``; ``sum`` is at least 256.
    o_multiplier, o_shift, o_factor : Out, ``m_o``, ``s_o + 7`` and ``I``, which is 0 for ``S`` above 65280.
    """

    def __init__(self) -> None:
        super().__init__({"o_factor": Out(FACTOR_BITS)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Cycles 1 to 19
        travels = data.StructLayout({"tag": 1, "multiplier": MULTIPLIER_BITS, "shift": SHIFT_BITS})
        m.submodules.reciprocal = reciprocal = Reciprocal(tag_bits=travels.size)
        m.d.comb += [
            reciprocal.valid.eq(self.valid),
            reciprocal.tag.eq(
                Cat(self.tag, self.multiplier, self.shift + SOFTMAXES[SoftmaxVariant.ITA].least)
            ),
            reciprocal.numerator.eq(_INVERSE >> 2),
            reciprocal.number.eq(self.sum),
        ]
        # Cycle 20: the quotient is 2**(e + 1) times a quarter of the inverse.
        valid = Signal()
        tag = Signal(travels, reset_less=True)
        inverse = Signal(FACTOR_BITS, reset_less=True)
        m.d.sync += [
            valid.eq(reciprocal.o_valid),
            tag.eq(reciprocal.o_tag),
            inverse.eq(reciprocal.quotient >> (reciprocal.exponent - 1)[: len(reciprocal.exponent)]),
        ]
        m.d.comb += [
            self.o_valid.eq(valid),
            self.o_tag.eq(tag.tag),
            self.o_multiplier.eq(tag.multiplier),
            self.o_shift.eq(tag.shift),
            self.o_factor.eq(inverse),
        ]
        return m


class ItaLevels(Levels):
    """``L = min(I >> d(M, x), 254) << 8``, ``I`` the ``factor``."""

    def _build_level(self, m: Module, element: Element) -> Value:
        name, code = element.name, element.code
        # Cycle 1: only a masked code has two upper bits that differ.
        difference = Signal(signed(INT8.width + 1), name=f"difference_{name}")
        places = Signal(3, name=f"places_{name}", reset_less=True)
        alive = Signal(name=f"alive_{name}", reset_less=True)
        inverse = Signal(FACTOR_BITS, name=f"inverse_{name}", reset_less=True)
        octaves = _octaves(difference[: INT8.width])
        m.d.comb += difference.eq(element.maximum - code[: INT8.width].as_signed())
        m.d.sync += [
            places.eq(octaves[:3]),
            alive.eq(~(difference[-1] | octaves[3] | (code[-1] ^ code[-2]))),
            inverse.eq(element.factor),
        ]
        # Cycle 1, to the next register: 255 counts as 254, the largest level.
        shifted = Signal(FACTOR_BITS, name=f"shifted_{name}")
        m.d.comb += shifted.eq(Mux(alive, inverse >> places, 0))
        return Cat(Const(0, 8), shifted[0] & ~shifted[1:].all(), shifted[1:])
