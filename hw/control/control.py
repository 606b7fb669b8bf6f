"""The machine's life: idle, running, stopping; the first error; the interrupt."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive
from vitreous.hw.control.registers import Status
from vitreous.hw.memory.ports import ErrorReport


class Control(wiring.Component):
    """Start -> flush -> run -> stop (wait until the bus is quiet) -> idle.

    Latency: 2 cycles from start to the first action, 1 from an error to ``halt``.

    Parameters
    ----------
    sources : number of error reports; of two in one cycle the one with the lower number is kept.

    Members
    -------
    start, reset, clear_interrupt, interrupt_enable : In(1), from the registers. Start is ignored unless idle
        without an error.
    finished : In(1), END is complete. drained : In(1), nothing is outstanding on the bus.
    error_0 .. : In(ErrorReport()).
    halt : Out(1), everything but the machine's memories stops. flush : Out(1), everything but memories is reset.
    begin : Out(1), pulse: fetch begins. running : Out(1), the counters count. clear : Out(1), counters are cleared.
    status : Out(Status()). interrupt : Out(1).
    """

    def __init__(self, *, sources: int) -> None:
        self._sources = positive("Sources", sources)
        inputs = ("start", "reset", "clear_interrupt", "interrupt_enable", "finished", "drained")
        outputs = ("halt", "flush", "begin", "running", "clear", "interrupt")
        super().__init__(
            {name: In(1) for name in inputs}
            | {name: Out(1) for name in outputs}
            | {f"error_{number}": In(ErrorReport()) for number in range(sources)}
            | {"status": Out(Status())}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        status = self.status
        resetting, pending = Signal(), Signal()
        with m.If(self.clear_interrupt):
            m.d.sync += pending.eq(0)
        m.d.comb += self.interrupt.eq(pending & self.interrupt_enable)
        # A register, because every unit's ports hang on it: low from "Begin" of a start to the end of "Run".
        halted = Signal(init=1)
        m.d.comb += self.halt.eq(halted)
        with m.FSM():
            with m.State("Idle"):
                with m.If(self.reset | (self.start & ~status.error)):
                    m.d.sync += [resetting.eq(self.reset), pending.eq(0)]
                    m.d.sync += [status.done.eq(0), status.error.eq(0), status.code.eq(0), status.pc.eq(0)]
                    m.d.sync += status.busy.eq(1)
                    m.next = "Flush"
            with m.State("Flush"):
                m.d.comb += [self.flush.eq(1), self.clear.eq(~resetting)]
                m.d.sync += halted.eq(resetting)
                m.next = "Begin"
            with m.State("Begin"):
                with m.If(resetting):
                    m.d.sync += [resetting.eq(0), status.busy.eq(0)]
                    m.next = "Idle"
                with m.Else():
                    m.d.comb += [self.begin.eq(1), self.running.eq(1)]
                    m.next = "Run"
            with m.State("Run"):
                m.d.comb += self.running.eq(1)
                with m.If(self.finished):
                    m.d.sync += halted.eq(1)
                    m.next = "Stop"
                self._build_capture(m, halted)
                with m.If(self.reset):
                    m.d.sync += [resetting.eq(1), halted.eq(1)]
                    m.next = "Stop"
            with m.State("Stop"):
                with m.If(self.reset):
                    m.d.sync += resetting.eq(1)
                with m.If(self.drained):
                    with m.If(resetting):
                        m.d.sync += [status.error.eq(0), status.code.eq(0), status.pc.eq(0)]
                        m.next = "Flush"
                    with m.Else():
                        m.d.sync += [status.busy.eq(0), status.done.eq(~status.error), pending.eq(1)]
                        m.next = "Idle"
        return m

    def _build_capture(self, m: Module, halted: Signal) -> None:
        status = self.status
        for number in reversed(range(self._sources)):
            report = getattr(self, f"error_{number}")
            with m.If(report.valid):
                m.d.sync += [status.error.eq(1), status.code.eq(report.code), status.pc.eq(report.pc)]
                m.d.sync += halted.eq(1)
                m.next = "Stop"
