"""Softmax ``base2`` (docs/numerics.md): an integer running maximum, a sum that is rescaled by shifts, coded scores.

Recurrence, stages:
    1  integer part, mantissa from the table: the coded score
    2  compare with the maximum
    3  shift the new term
    4  shift the sum and add
Level, stages:
    1  distance to the final maximum
    -  shift the mantissa
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from vitreous.hw.softmax.prologue import Element, Levels
from vitreous.hw.softmax.recurrence import TERM_BITS, Flags, OnePassRecurrence, add_rounded
from vitreous.hw.softmax.rowscale import SUM_BITS
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import LEVEL_BITS
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import mantissa_bits
from vitreous.spec.tables import exp2_mantissa

_PLACES = SUM_BITS.bit_length()


def integer_bits(softmax: SoftmaxConfig) -> int:
    """Of the integer part of a score, signed. The least value marks a masked key, and no score has it."""
    return SCORE.width - softmax.fraction_bits


class Base2Recurrence(OnePassRecurrence):
    """``S = sum_j 2**t_j`` relative to ``2**M``, ``M`` the largest integer part so far.

    ``code`` is the mantissa, less the least one, and the integer part above it.
    """

    @staticmethod
    def maximum_bits(softmax: SoftmaxConfig) -> int:
        return integer_bits(softmax)

    def _table(self) -> Memory:
        """Mantissas, as codes hold them."""
        mantissas = exp2_mantissa(self.softmax)
        init = [mantissa - mantissas[0] for mantissa in mantissas]
        return Memory(shape=mantissa_bits(self.softmax) - 1, depth=len(init), init=init)

    def _build_lane(self, m: Module, lane: int, table: wiring.PureInterface | None, flags: Flags) -> None:
        assert table is not None
        valid, first = flags.valid, flags.first
        width = integer_bits(self.softmax)
        # Cycle 1: scores below the least integer part become the least score.
        fraction_bits = self.softmax.fraction_bits
        score = self.score[lane].as_unsigned()
        below = score[fraction_bits:] == 1 << (width - 1)
        integer = Signal(signed(width), name=f"integer_{lane}", reset_less=True)
        m.d.comb += table.addr.eq(Mux(below, 0, score[:fraction_bits]))
        m.d.sync += integer.eq(Cat(score[fraction_bits] | below, score[fraction_bits + 1 :]))
        m.d.comb += self.code[lane].eq(Cat(table.data, integer))
        # Cycle 2
        running = Signal(signed(width), name=f"running_{lane}", reset_less=True)
        difference = Signal(signed(width + 1), name=f"difference_{lane}")
        rises = Signal(name=f"rises_{lane}", reset_less=True)
        places = Signal(_PLACES, name=f"places_{lane}", reset_less=True)
        mantissa = Signal(mantissa_bits(self.softmax), name=f"mantissa_{lane}", reset_less=True)
        up = difference > 0
        distance = Mux(up, difference, -difference)[:width]
        m.d.comb += difference.eq(Mux(first[1], 0, integer - running))
        m.d.sync += [
            running.eq(Mux(valid[1] & (first[1] | up), integer, running)),
            rises.eq(up),
            places.eq(Cat(distance[: _PLACES - 1], distance[_PLACES - 1 :].any())),
            mantissa.eq(table.data + exp2_mantissa(self.softmax)[0]),
        ]
        total = self._build_sum(m, lane, rises, places, mantissa, valid[3], first[2])
        m.d.comb += [self.maximum[lane].eq(running), self.sum[lane].eq(total)]

    def _build_sum(
        self,
        m: Module,
        lane: int,
        rises: Value,
        places: Value,
        mantissa: Value,
        valid: ValueLike,
        first: ValueLike,
    ) -> Value:
        # Cycle 3: a term has a rounding bit below it; of 32 places or more nothing is left of anything.
        term = Signal(TERM_BITS + 1, name=f"term_{lane}", reset_less=True)
        drop = Signal(_PLACES, name=f"drop_{lane}", reset_less=True)
        whole = Cat(Const(0, TERM_BITS + 1 - len(mantissa)), mantissa)
        m.d.sync += [
            term.eq(whole >> Mux(rises, 0, places)),
            # The first term of a row leaves nothing of the previous sum.
            drop.eq(Mux(first, 1 << (_PLACES - 1), Mux(rises, places, 0))),
        ]
        # Cycle 4
        total = Signal(SUM_BITS, name=f"total_{lane}", reset_less=True)
        m.d.sync += total.eq(Mux(valid, add_rounded(total >> drop, term, SUM_BITS), total))
        return total


class Base2Levels(Levels):
    """``L = (g << (14 - F)) >> (M - a)``."""

    def _build_level(self, m: Module, element: Element) -> Value:
        name, code = element.name, element.code
        # Cycle 1
        stored = mantissa_bits(self.softmax) - 1
        integer = code[stored:]
        masked = integer == 1 << (len(integer) - 1)
        difference = Signal(signed(len(integer) + 1), name=f"difference_{name}")
        mantissa = Signal(stored + 1, name=f"mantissa_{name}", reset_less=True)
        places = Signal(4, name=f"places_{name}", reset_less=True)
        near = ~(masked | difference[4:].any())
        m.d.comb += difference.eq(element.maximum - integer.as_signed())
        m.d.sync += [
            mantissa.eq(Mux(near, code[:stored] + exp2_mantissa(self.softmax)[0], 0)),
            places.eq(difference),
        ]
        # Cycle 1, to the next register
        return Cat(Const(0, LEVEL_BITS - 1 - stored), mantissa) >> places
