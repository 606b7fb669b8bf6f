"""What stops the machine in the cycle after an upset."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive
from vitreous.hw.memory.ports import ErrorReport
from vitreous.spec import isa
from vitreous.spec.isa import ErrorCode


class Alarm(wiring.Component):
    """The parts' ``upset`` -> halt at once, and the error PARITY.

    Latency: 1 cycle from an upset to ``halt`` and ``error``; both stay until a reset.

    Parameters
    ----------
    sources : number of parts.

    Members
    -------
    upset : In(sources), this cycle's state of a part has a wrong parity. running : In(1), others do not count.
    pc : In, of the oldest instruction that waits.
    halt : Out(1), nothing starts, is read, is written or goes to the bus any more.
    error : Out(ErrorReport()), PARITY.
    """

    def __init__(self, *, sources: int) -> None:
        super().__init__(
            {
                "upset": In(positive("Sources", sources)),
                "running": In(1),
                "pc": In(isa.PC_BITS),
                "halt": Out(1),
                "error": Out(ErrorReport()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        seen = Signal(name="seen")
        m.d.sync += seen.eq(seen | (self.running & self.upset.any()))
        m.d.comb += [
            self.halt.eq(seen),
            self.error.valid.eq(seen),
            self.error.code.eq(ErrorCode.PARITY),
            self.error.pc.eq(self.pc),
        ]
        return m
