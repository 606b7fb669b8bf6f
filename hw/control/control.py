"""The machine's life: idle, running, stopping; the first error; the interrupt."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive
from vitreous.hw.control.registers import Status
from vitreous.hw.memory.ports import ErrorReport
from vitreous.spec.isa import ErrorCode
from vitreous.spec.limits import SILENT_CYCLES


class Control(wiring.Component):
    """Start -> flush -> run -> stop (wait until the bus is quiet) -> idle.

    Latency: 2 cycles from start to the first action, 1 from an error to ``halt``.

    Parameters
    ----------
    sources : number of error reports; of two in one cycle the one with the lower number is kept.
    alarm : whether there is a report that counts in a stop too: the run was complete, but is not to be trusted.
    silent_cycles : how long a stop waits for a bus without a transfer.

    Members
    -------
    start, reset, clear_interrupt, interrupt_enable : In(1), from the registers. Start is ignored unless idle
        without an error; a reset is not lost in any state.
    finished : In(1), END is complete. drained : In(1), nothing is outstanding on the bus. moving : In(1), a transfer.
    error_0 .. : In(ErrorReport()). alarm : In(ErrorReport()), where there is one.
    halt : Out(1), everything but the machine's memories stops. flush : Out(1), everything but memories is reset.
    begin : Out(1), pulse: fetch begins. running : Out(1), the counters count. clear : Out(1), counters are cleared.
    status : Out(Status()). interrupt : Out(1).
    """

    def __init__(self, *, sources: int, silent_cycles: int = SILENT_CYCLES, alarm: bool = False) -> None:
        self._sources = positive("Sources", sources)
        self._silent_cycles = positive("Silent cycles", silent_cycles)
        self._alarm = alarm
        inputs = ("start", "reset", "clear_interrupt", "interrupt_enable", "finished", "drained", "moving")
        outputs = ("halt", "flush", "begin", "running", "clear", "interrupt")
        super().__init__(
            {name: In(1) for name in inputs}
            | {name: Out(1) for name in outputs}
            | {f"error_{number}": In(ErrorReport()) for number in range(sources)}
            | {"status": Out(Status())}
            | ({"alarm": In(ErrorReport())} if alarm else {})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        status = self.status
        pending = Signal()
        # A reset waits here for the state that carries it out; this cycle's counts too.
        asked, resetting = Signal(name="asked"), Signal(name="resetting")
        m.d.comb += resetting.eq(asked | self.reset)
        m.d.sync += asked.eq(resetting)
        with m.If(self.clear_interrupt):
            m.d.sync += pending.eq(0)
        # A register, because every unit's ports hang on it: low from "Begin" of a start to the end of "Run".
        halted = Signal(init=1)
        m.d.comb += [self.interrupt.eq(pending & self.interrupt_enable), self.halt.eq(halted)]
        silent = Signal()
        with m.FSM():
            with m.State("Idle"):
                with m.If(resetting | (self.start & ~status.error)):
                    m.d.sync += [pending.eq(0), status.busy.eq(1), status.done.eq(0)]
                    self._build_clear(m)
                    m.next = "Flush"
            with m.State("Flush"):
                m.d.comb += [self.flush.eq(1), self.clear.eq(~resetting)]
                m.d.sync += halted.eq(resetting)
                m.next = "Begin"
            with m.State("Begin"):
                with m.If(resetting & halted):
                    m.d.sync += [asked.eq(0), status.busy.eq(0)]
                    m.next = "Idle"
                with m.Elif(resetting):  # it came too late for the flush of this start, which kept the tokens
                    m.next = "Flush"
                with m.Else():
                    m.d.comb += [self.begin.eq(1), self.running.eq(1)]
                    m.next = "Run"
            with m.State("Run"):
                m.d.comb += self.running.eq(1)
                with m.If(self.finished):
                    m.d.sync += halted.eq(1)
                    m.next = "Stop"
                self._build_capture(m, halted)
                with m.If(resetting):
                    m.d.sync += halted.eq(1)
                    m.next = "Stop"
                if self._alarm:
                    with m.If(self.alarm.valid):
                        self._build_alarm(m)
                        m.d.sync += halted.eq(1)
                        m.next = "Stop"
            with m.State("Stop"):
                self._build_silence(m, silent)
                with m.If(self.drained | silent):
                    with m.If(resetting):
                        self._build_clear(m)
                        m.next = "Flush"
                    with m.Else():
                        self._build_end(m, pending)
                        m.next = "Idle"
                if self._alarm:
                    with m.If(self.alarm.valid & ~status.error & ~resetting):
                        self._build_alarm(m)
        return m

    def _build_end(self, m: Module, pending: Signal) -> None:
        """The run is over; a bus that never fell quiet is an error unless there was one."""
        status = self.status
        failed = status.error | ~self.drained
        m.d.sync += [status.busy.eq(0), status.done.eq(~failed), pending.eq(1)]
        with m.If(~self.drained & ~status.error):
            m.d.sync += [status.error.eq(1), status.code.eq(ErrorCode.BUS_SILENT)]

    def _build_clear(self, m: Module) -> None:
        status = self.status
        m.d.sync += [status.error.eq(0), status.code.eq(0), status.pc.eq(0)]

    def _build_alarm(self, m: Module) -> None:
        status, alarm = self.status, self.alarm
        m.d.sync += [
            status.error.eq(1),
            status.done.eq(0),
            status.code.eq(alarm.code),
            status.pc.eq(alarm.pc),
        ]

    def _build_silence(self, m: Module, silent: Signal) -> None:
        """Count the cycles of a stop since the last transfer. Zero when a stop begins: it ends with this state."""
        waited = Signal(range(self._silent_cycles))
        m.d.comb += silent.eq(waited == self._silent_cycles - 1)
        m.d.sync += waited.eq(waited + 1)
        with m.If(self.moving | self.drained | silent):
            m.d.sync += waited.eq(0)

    def _build_capture(self, m: Module, halted: Signal) -> None:
        status = self.status
        for number in reversed(range(self._sources)):
            report = getattr(self, f"error_{number}")
            with m.If(report.valid):
                m.d.sync += [status.error.eq(1), status.code.eq(report.code), status.pc.eq(report.pc)]
                m.d.sync += halted.eq(1)
                m.next = "Stop"
