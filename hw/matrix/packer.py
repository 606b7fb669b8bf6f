"""Columns of N bytes become words of N lanes, V deep: the step that closes the panel layout on itself."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.spec.config import AcceleratorConfig


class Packer(wiring.Component):
    """``o[lane*V + index] = column[lane]``; element 0 of a word clears the others.

    Latency: ``LATENCY`` cycle from a column to the word that holds it.
    Throughput: one column a cycle.
    Back-pressure: none; the word must be taken in the cycle in which the column that ends it is in it.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``array.depth`` (V).

    Members
    -------
    valid : In, a column is here.
    index : In, its place in the word; columns come in ascending order from 0.
    column : In, N bytes.
    o : Out, the word so far, lane-major.
    """

    LATENCY = 1

    def __init__(self, config: AcceleratorConfig) -> None:
        self.lanes, self.depth = config.array.lanes, config.array.depth
        super().__init__(
            {
                "valid": In(1),
                "index": In(range(self.depth)),
                "column": In(data.ArrayLayout(8, self.lanes)),
                "o": Out(8 * config.panel_word_bytes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        start = Signal()
        m.d.comb += start.eq(self.valid & (self.index == 0))
        take = Signal(self.depth)
        m.d.comb += take.eq(Cat(self.valid & (self.index == v) for v in range(self.depth)))
        elements = []
        for lane in range(self.lanes):
            for v in range(self.depth):
                element = Signal(8, name=f"element_{lane}_{v}", reset_less=True)
                kept = Mux(start, 0, element) if v else element
                m.d.sync += element.eq(Mux(take[v], self.column[lane], kept))
                elements.append(element)
        m.d.comb += self.o.eq(Cat(*elements))
        return m
