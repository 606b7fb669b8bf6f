"""The two byte planes of a two-pass operand: columns of the high one wait beside the readout for those of the low one.

Stages (cycle 0: the column out of the array):
    0  the high column is kept, or comes out of the buffer and is added
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS
from vitreous.spec.softmax import WIDE_BITS

_PLANE_BITS = 8


class PlaneSum(wiring.Component):
    """``acc = (high << 4) + ((low + 8) >> 4)``, that is ``((high << 8) + low + 8) >> 4``; or the column as it is.

    Latency: 0; a high column is there for the low one from the next cycle on.
    Throughput: one column a cycle.
    Back-pressure: none; a high column is kept until the next high one with its ``index``.

    Parameters
    ----------
    config : gives ``array.lanes`` (N); with ``softmax.probability_bits`` 8 there is one pass, and ``acc = column``.

    Members
    -------
    high, low : In, ``column`` is of that byte plane; neither: its operand has one pass.
    index : In, its place in the tile.
    column : In, N accumulators.
    acc : Out, for an operand of one pass and for the low byte plane.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.lanes, self.planes = config.array.lanes, config.softmax.probability_bits // _PLANE_BITS
        super().__init__(
            {
                "high": In(1),
                "low": In(1),
                "index": In(range(self.lanes)),
                "column": In(data.ArrayLayout(signed(ACCUMULATOR_BITS), self.lanes)),
                "acc": Out(data.ArrayLayout(signed(ACCUMULATOR_BITS), self.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.planes == 1:
            m.d.comb += self.acc.eq(self.column)
            return m
        m.submodules.hold = hold = Memory(shape=len(self.column.as_value()), depth=self.lanes, init=[])
        write, read = hold.write_port(), hold.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.high),
            write.addr.eq(self.index),
            write.data.eq(self.column),
            read.addr.eq(self.index),
        ]
        half = 1 << (WIDE_BITS - 1)
        for lane in range(self.lanes):
            high = Signal(signed(ACCUMULATOR_BITS), name=f"high_{lane}")
            total = Signal(signed(ACCUMULATOR_BITS + _PLANE_BITS), name=f"total_{lane}")
            m.d.comb += [
                high.eq(read.data.word_select(lane, ACCUMULATOR_BITS)),
                total.eq(Cat(Const(half, _PLANE_BITS), high).as_signed() + self.column[lane]),
                self.acc[lane].eq(Mux(self.low, total >> WIDE_BITS, self.column[lane])),
            ]
        return m
