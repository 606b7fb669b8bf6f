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
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.delay import delay_line
from vitreous.hw.rowscale import SUM_BITS
from vitreous.spec.config import AcceleratorConfig, SoftmaxConfig
from vitreous.spec.numbers import MASKED_SCORE, SCORE
from vitreous.spec.tables import exp2_negative, exp2_probability

MASKED_CODE = MASKED_SCORE & 0xFFFF
ROW_SCALE_OFFSET = 8
_ONE = 1 << 15
_TERM_BITS = 16
_PROBABILITY_BITS = 9


class OnlineRecurrence(wiring.Component):
    """``S = 2**15 * sum_j 2**(t_j - M)``, ``M`` the largest score so far; lanes are rows.

    Latency: ``code`` ``CODE_LATENCY`` cycles, ``sum`` and ``maximum`` ``LATENCY`` cycles after a score.
    Throughput: one column a cycle, rows back to back.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``softmax.fraction_bits`` (F).

    Members
    -------
    valid, first, last : In, a column of scores is here; it is the row's first, last one.
    score : In, 15 bits signed.
    code : Out, the score.
    o_last : Out, ``sum`` is that of a whole row in this cycle, and ``maximum`` is until the next ``o_last``.
    sum, maximum : Out, for each lane.
    """

    CODE_LATENCY = 1
    LATENCY = 4

    def __init__(self, config: AcceleratorConfig) -> None:
        self.softmax, self.lanes = config.softmax, config.array.lanes
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "score": In(data.ArrayLayout(signed(16), self.lanes)),
                "code": Out(data.ArrayLayout(16, self.lanes)),
                "o_last": Out(1),
                "sum": Out(data.ArrayLayout(SUM_BITS, self.lanes)),
                "maximum": Out(data.ArrayLayout(signed(16), self.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, self.LATENCY - 1, name="valid")
        first = delay_line(m, self.first, self.LATENCY - 1, name="first", reset_less=True)
        last = delay_line(m, self.valid & self.last, self.LATENCY, name="last")
        m.submodules.exponential = memory = Memory(
            shape=_TERM_BITS, depth=1 << self.softmax.fraction_bits, init=exp2_negative(self.softmax)
        )
        for lane in range(self.lanes):
            self._build_lane(m, lane, memory.read_port(), valid, first, last)
        m.d.comb += self.o_last.eq(last[-1])
        return m

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
