"""Softmax ``base2`` (docs/numerics.md): an integer running maximum, a sum that is rescaled by shifts, coded scores.

Recurrence, stages:
    1  integer part, mantissa from the table: the coded score
    2  compare with the maximum
    3  shift the new term
    4  shift the sum and add
Probability, stages:
    1  distance to the final maximum
    2  shift and round the mantissa
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from vitreous.hw.rowscale import SUM_BITS
from vitreous.hw.softmax_recurrence import SoftmaxRecurrence
from vitreous.spec.numbers import SCORE
from vitreous.spec.tables import exp2_mantissa

_MANTISSA_BITS = 8
_INTEGER_BITS = 8
_TERM_BITS = _MANTISSA_BITS + 8


class Base2Recurrence(SoftmaxRecurrence):
    """``S = sum_j 2**t_j`` relative to ``2**M``, ``M`` the largest integer part so far.

    ``code`` is ``g | (a & 0xFF) << 8``: mantissa and integer part.
    """

    MASKED_CODE = 0
    ROW_SCALE_OFFSET = 9

    def _table(self) -> Memory:
        return Memory(
            shape=_MANTISSA_BITS, depth=1 << self.softmax.fraction_bits, init=exp2_mantissa(self.softmax)
        )

    def _build_lane(
        self,
        m: Module,
        lane: int,
        table: wiring.PureInterface,
        valid: list[Value],
        first: list[Value],
        last: list[Value],
    ) -> None:
        # Cycle 1
        fraction_bits = self.softmax.fraction_bits
        score = self.score[lane][: SCORE.width]
        integer = Signal(signed(_INTEGER_BITS), name=f"integer_{lane}", reset_less=True)
        m.d.comb += table.addr.eq(score[:fraction_bits])
        m.d.sync += integer.eq(score[fraction_bits:].as_signed())
        m.d.comb += self.code[lane].eq(Cat(table.data, integer))
        # Cycle 2
        running = Signal(signed(_INTEGER_BITS), name=f"running_{lane}", reset_less=True)
        difference = Signal(signed(_INTEGER_BITS + 1), name=f"difference_{lane}")
        rises = Signal(name=f"rises_{lane}", reset_less=True)
        distance = Signal(_INTEGER_BITS, name=f"distance_{lane}", reset_less=True)
        mantissa = Signal(_MANTISSA_BITS, name=f"mantissa_{lane}", reset_less=True)
        up = difference > 0
        m.d.comb += difference.eq(Mux(first[1], 0, integer - running))
        m.d.sync += [
            running.eq(Mux(valid[1] & (first[1] | up), integer, running)),
            rises.eq(up),
            distance.eq(Mux(up, difference, -difference)),
            mantissa.eq(table.data),
        ]
        # Cycle 3
        maximum = Signal(signed(_INTEGER_BITS), name=f"maximum_{lane}", reset_less=True)
        m.d.sync += maximum.eq(Mux(last[2], running, maximum))
        m.d.comb += [
            self.maximum[lane].eq(maximum),
            self.sum[lane].eq(self._build_sum(m, lane, rises, distance, mantissa, valid[3], first[3])),
        ]

    def _build_sum(
        self, m: Module, lane: int, rises: Value, distance: Value, mantissa: Value, valid: Value, first: Value
    ) -> Value:
        # Cycle 3: a term has 16 bits, so a distance of 16 or more leaves nothing of it.
        term = Signal(_TERM_BITS, name=f"term_{lane}", reset_less=True)
        drop = Signal(SUM_BITS.bit_length(), name=f"drop_{lane}", reset_less=True)
        whole = Cat(Const(0, _TERM_BITS - _MANTISSA_BITS), mantissa)
        m.d.sync += [
            term.eq(Mux(rises, whole, Mux(distance[4:].any(), 0, whole >> distance[:4]))),
            drop.eq(Mux(rises, Mux(distance[5:].any(), SUM_BITS, distance[:5]), 0)),
        ]
        # Cycle 4
        total = Signal(SUM_BITS, name=f"total_{lane}", reset_less=True)
        m.d.sync += total.eq(Mux(valid, Mux(first, 0, total >> drop) + term, total))
        return total


def build_base2_probability(m: Module, name: str, code: Value, maximum: Value) -> Value:
    """``min(127, (g + 2**d) >> (d + 1))``, ``d = M - a``, two cycles after a code; 0 for ``d`` of 8 or more."""
    # Cycle 1: modulo 2**9 a code that is not of this row (a masked one) may give any distance, and has g = 0.
    distance = Signal(_INTEGER_BITS + 1, name=f"distance_{name}", reset_less=True)
    mantissa = Signal(_MANTISSA_BITS, name=f"mantissa_{name}", reset_less=True)
    m.d.sync += [distance.eq(maximum - code[8:].as_signed()), mantissa.eq(code[:8])]
    # Cycle 2
    probability = Signal(signed(8), name=f"probability_{name}", reset_less=True)
    shifted = Mux(distance[3:].any(), 0, mantissa >> distance[:3])
    rounded = (shifted + 1) >> 1
    m.d.sync += probability.eq(Mux(rounded[7], 127, rounded))
    return probability
