"""The most cycles of a run, set by the host: what never ends by itself ends here."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.control.registers import CYCLE_LIMIT_BITS
from vitreous.hw.memory.ports import ErrorReport
from vitreous.spec import isa
from vitreous.spec.isa import ErrorCode


class CycleLimit(wiring.Component):
    """Counts the cycles of a run down; a run of ``limit`` cycles passes, a longer one is an error.

    Latency: the report comes in cycle ``limit`` of the run, one cycle before control takes it.

    Members
    -------
    limit : In(32), 0: none; looked at with ``clear``. clear : In(1), before a run. running : In(1), a cycle of it.
    pc : In, what the report blames. error : Out(ErrorReport()), a pulse: CYCLE_LIMIT.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "limit": In(CYCLE_LIMIT_BITS),
                "clear": In(1),
                "running": In(1),
                "pc": In(isa.PC_BITS),
                "error": Out(ErrorReport()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(CYCLE_LIMIT_BITS)
        armed, last = Signal(name="armed"), Signal(name="last")  # last: ``left`` is 1
        with m.If(self.clear):
            m.d.sync += [left.eq(self.limit), armed.eq(self.limit != 0), last.eq(self.limit == 1)]
        with m.Elif(self.running & armed):
            m.d.sync += [left.eq(left - 1), armed.eq(~last), last.eq(left == 2)]
        m.d.comb += [
            self.error.valid.eq(self.running & armed & last),
            self.error.code.eq(ErrorCode.CYCLE_LIMIT),
            self.error.pc.eq(self.pc),
        ]
        return m
