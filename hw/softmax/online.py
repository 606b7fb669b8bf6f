"""Softmax ``online`` (docs/numerics.md): a running maximum, a sum that is rescaled by a multiplication, plain scores.

Recurrence, stages:
    1  compare with the maximum
    2  table of the fraction
    3  shift by the integer part
    4  multiply the sum and add one, or add the new term
Level, stages:
    1  distance to the final maximum, table of its fraction
    -  shift
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.softmax.prologue import Element, Levels
from vitreous.hw.softmax.recurrence import TERM_BITS, Flags, OnePassRecurrence, add_rounded
from vitreous.hw.softmax.rowscale import SUM_BITS
from vitreous.spec.limits import LEVEL_BITS
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import CODE
from vitreous.spec.tables import exp2_level, exp2_negative

_EXPONENTIAL_BITS = 16
_ONE = 1 << (TERM_BITS - 1)


class OnlineRecurrence(OnePassRecurrence):
    """``S = 2**19 * sum_j 2**(t_j - M)``, ``M`` the largest score so far; ``code`` is the score."""

    MAXIMUM_LATENCY = 1

    def _table(self) -> Memory:
        init = exp2_negative(self.softmax)
        return Memory(shape=_EXPONENTIAL_BITS, depth=len(init), init=init)

    def _build_lane(self, m: Module, lane: int, table: wiring.PureInterface | None, flags: Flags) -> None:
        assert table is not None
        valid, first = flags.valid, flags.first
        # Cycle 1
        score = self.score[lane]
        code = Signal(signed(SCORE.width), name=f"code_{lane}", reset_less=True)
        running = Signal(signed(SCORE.width), name=f"running_{lane}", reset_less=True)
        difference = Signal(signed(SCORE.width + 1), name=f"difference_{lane}")
        up = difference > 0
        rises = Signal(name=f"rises_{lane}", reset_less=True)
        distance = Signal(SCORE.width, name=f"distance_{lane}", reset_less=True)
        m.d.comb += difference.eq(Mux(first[0], 0, score - running))
        m.d.sync += [
            code.eq(score),
            running.eq(Mux(valid[0] & (first[0] | up), score, running)),
            rises.eq(up),
            distance.eq(Mux(up, difference, -difference)),
        ]
        m.d.comb += [
            self.code[lane].eq(code),
            self.maximum[lane].eq(running),
            self.sum[lane].eq(self._build_sum(m, lane, table, rises, distance, valid[3], first[3])),
        ]

    def _build_sum(
        self,
        m: Module,
        lane: int,
        table: wiring.PureInterface,
        rises: Value,
        distance: Value,
        valid: ValueLike,
        first: ValueLike,
    ) -> Value:
        fraction_bits = self.softmax.fraction_bits
        rescales = delay_line(m, rises, 2, name=f"rescales_{lane}", reset_less=True)[-1]
        # Cycle 2
        places = Signal(SCORE.width - fraction_bits, name=f"places_{lane}", reset_less=True)
        m.d.comb += table.addr.eq(distance[:fraction_bits])
        m.d.sync += places.eq(distance[fraction_bits:])
        # Cycle 3: a term with a rounding bit below it; without its lower bits it is the factor of the sum.
        term = Signal(TERM_BITS + 1, name=f"term_{lane}", reset_less=True)
        whole = Cat(Const(0, TERM_BITS + 1 - _EXPONENTIAL_BITS), table.data)
        m.d.sync += term.eq(Mux(places[5:].any(), 0, whole >> places[:5]))
        # Cycle 4
        total = Signal(SUM_BITS, name=f"total_{lane}", reset_less=True)
        factor = term[TERM_BITS + 1 - _EXPONENTIAL_BITS :]
        scaled = ((total * factor) >> 15)[:SUM_BITS]
        kept = Mux(first, 0, total)
        following = Mux(rescales, scaled + _ONE, add_rounded(kept, term, SUM_BITS))
        m.d.sync += total.eq(Mux(valid, following, total))
        return total


class OnlineLevels(Levels):
    """``L = LEVEL[d & (2**F - 1)] >> (d >> F)`` with ``d = M - t``."""

    def _build_level(self, m: Module, element: Element) -> Value:
        name, code = element.name, element.code
        # Cycle 1: a masked code is at least half the range of scores below every maximum, 32 places or more.
        fraction_bits = self.softmax.fraction_bits
        init = exp2_level(self.softmax)
        m.submodules[f"table_{name}"] = memory = Memory(shape=LEVEL_BITS, depth=len(init), init=init)
        table = memory.read_port()
        difference = Signal(signed(CODE.width + 1), name=f"difference_{name}")
        places = Signal(4, name=f"places_{name}", reset_less=True)
        alive = Signal(name=f"alive_{name}", reset_less=True)
        m.d.comb += [
            difference.eq(element.maximum - code),
            table.addr.eq(difference[:fraction_bits]),
        ]
        m.d.sync += [
            places.eq(difference[fraction_bits:]),
            alive.eq(~difference[fraction_bits + 4 :].any()),
        ]
        # Cycle 1, to the next register
        return Mux(alive, table.data >> places, 0)
