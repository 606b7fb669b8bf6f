"""Softmax ``online`` (docs/numerics.md): a running maximum, a sum that is rescaled by a multiplication, plain scores.

Recurrence, stages:
    1  compare with the maximum
    2  table of the fraction
    3  shift by the integer part
    4  multiply the sum and add one, or add the new term
Probability, stages:
    1  distance to the final maximum, table of its fraction
    2  shift and round
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from vitreous.hw.delay import delay_line
from vitreous.hw.rowscale import SUM_BITS
from vitreous.hw.softmax_recurrence import SoftmaxRecurrence
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.numbers import MASKED_SCORE, SCORE
from vitreous.spec.tables import exp2_negative, exp2_probability

_ONE = 1 << 15
_TERM_BITS = 16
_PROBABILITY_BITS = 9


class OnlineRecurrence(SoftmaxRecurrence):
    """``S = 2**15 * sum_j 2**(t_j - M)``, ``M`` the largest score so far; ``code`` is the score."""

    MASKED_CODE = MASKED_SCORE & 0xFFFF
    ROW_SCALE_OFFSET = 8

    def _table(self) -> Memory:
        return Memory(
            shape=_TERM_BITS, depth=1 << self.softmax.fraction_bits, init=exp2_negative(self.softmax)
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
        score = self.score[lane]
        code = Signal(signed(16), name=f"code_{lane}", reset_less=True)
        running = Signal(signed(16), name=f"running_{lane}", reset_less=True)
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
        # Cycle 2
        maximum = Signal(signed(16), name=f"maximum_{lane}", reset_less=True)
        m.d.sync += maximum.eq(Mux(last[1], running, maximum))
        m.d.comb += [
            self.code[lane].eq(code),
            self.maximum[lane].eq(maximum),
            self.sum[lane].eq(self._build_sum(m, lane, table, rises, distance, valid[3], first[3])),
        ]

    def _build_sum(
        self,
        m: Module,
        lane: int,
        table: wiring.PureInterface,
        rises: Value,
        distance: Value,
        valid: Value,
        first: Value,
    ) -> Value:
        fraction_bits = self.softmax.fraction_bits
        rescales = delay_line(m, rises, 2, name=f"rescales_{lane}", reset_less=True)[-1]
        # Cycle 2
        places = Signal(SCORE.width - fraction_bits, name=f"places_{lane}", reset_less=True)
        m.d.comb += table.addr.eq(distance[:fraction_bits])
        m.d.sync += places.eq(distance[fraction_bits:])
        # Cycle 3
        term = Signal(_TERM_BITS, name=f"term_{lane}", reset_less=True)
        m.d.sync += term.eq(Mux(places[4:].any(), 0, table.data >> places[:4]))
        # Cycle 4
        total = Signal(SUM_BITS, name=f"total_{lane}", reset_less=True)
        kept = Mux(first, 0, total)
        scaled = ((kept * term) >> 15)[:SUM_BITS]
        m.d.sync += total.eq(Mux(valid, Mux(rescales, scaled + _ONE, kept + term), total))
        return total


def probability_table(config: SoftmaxConfig) -> Memory:
    """``exp2_probability`` as a memory; each element of a word has a read port of its own."""
    return Memory(shape=_PROBABILITY_BITS, depth=1 << config.fraction_bits, init=exp2_probability(config))


def build_online_probability(
    m: Module, name: str, code: Value, maximum: Value, table: wiring.PureInterface
) -> Value:
    """``min(127, (E8[f] + 2**D) >> (D + 1))``, ``d = M - t``, two cycles after a code; 0 for ``D`` of 9 or more."""
    fraction_bits = len(table.addr)
    # Cycle 1: modulo 2**17; a masked code is at least 2**14 away, a negative distance reads as a long one.
    difference = Signal(17, name=f"difference_{name}")
    places = Signal(17 - fraction_bits, name=f"places_{name}", reset_less=True)
    m.d.comb += [difference.eq(maximum - code.as_signed()), table.addr.eq(difference[:fraction_bits])]
    m.d.sync += places.eq(difference[fraction_bits:])
    # Cycle 2: a 9-bit value shifted by 9 rounds to 0, and by 10 or more the formula says 0.
    probability = Signal(signed(8), name=f"probability_{name}", reset_less=True)
    shifted = Mux(places[4:].any(), 0, table.data >> places[:4])
    rounded = (shifted + 1) >> 1
    m.d.sync += probability.eq(Mux(rounded[7:].any(), 127, rounded))
    return probability
