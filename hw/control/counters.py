"""Event counters: one for each entry of ``spec.isa.COUNTERS``."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.spec import isa


class Counters(wiring.Component):
    """Counts, for each counter of ``isa.COUNTERS`` in that order, the cycles in which its event is high.

    Latency: an event shows in its counter 2 cycles later. Throughput: every counter every cycle; none
    saturates in 2**48 cycles.

    Members
    -------
    events : In(len(COUNTERS)). enable : In(1). clear : In(1).
    index : In, counter to read. value : Out(48), combinational.
    """

    def __init__(self) -> None:
        count = len(isa.COUNTERS)
        super().__init__(
            {
                "events": In(count),
                "enable": In(1),
                "clear": In(1),
                "index": In(range(count)),
                "value": Out(isa.COUNTER_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pending = Signal(len(isa.COUNTERS))  # a register between the units and the adders
        m.d.sync += pending.eq(
            self.events & self.enable.replicate(len(isa.COUNTERS)) & ~self.clear.replicate(len(isa.COUNTERS))
        )
        totals = []
        for number, (name, _) in enumerate(isa.COUNTERS):
            total = Signal(isa.COUNTER_BITS, name=name)
            with m.If(self.clear):
                m.d.sync += total.eq(0)
            with m.Elif(pending[number]):
                m.d.sync += total.eq(total + 1)
            totals.append(total)
        m.d.comb += self.value.eq(Array(totals)[self.index])
        return m
