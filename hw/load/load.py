"""The load unit: LOAD, LOAD_PATCHES and FILL (docs/machine.md).

Its two halves work on different instructions: the front half asks for DRAM data, the back half, one or more
instructions later, writes what arrives. So the latency of DRAM is paid once and not for each instruction.

    i -> LoadFront -> BurstGenerator -> bus.burst
             |                          bus.beat -> queue -> LoadBack -> xo, wo, ro, po
             +-- queue of commands ----------------------------^
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import fifo, wiring

from vitreous.hw import checks
from vitreous.hw.axi.axi import ReadBeat, ReadClient
from vitreous.hw.axi.bursts import BurstGenerator
from vitreous.hw.axi.transfer_unit import TransferUnit
from vitreous.hw.load.load_back import LoadBack
from vitreous.hw.load.load_front import LoadFront
from vitreous.hw.memory.ports import Command, WritePort, report_first, used_bits
from vitreous.hw.protect.guard import Guard
from vitreous.hw.protect.parity_queue import queue
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Queue
from vitreous.spec.limits import PENDING_LOADS

BEAT_QUEUE = 8
"""Beats that may arrive while the back half waits for a memory port."""


class LoadUnit(TransferUnit):
    """DRAM -> X, W, R, P.

    Latency: 6 cycles from a command to its first burst, 3 from a beat to the write that it completes.
    Throughput: one beat a cycle where a word is a beat or more, else one word a cycle; patches see
    ``PatchUnfolder``. Back-pressure: waits for bus and ports.

    Parameters
    ----------
    config : bus, words of the memories.

    Members
    -------
    those of ``TransferUnit``, with the window of reads; halt: no new burst, arriving data is dropped, no write.
    bus : Out(ReadClient(data_bits)).
    xo (masked), wo, ro, po : Out(WritePort).

    Raises (as ``error``): ILLEGAL_FIELD, ALIGNMENT, WINDOW, BUS_READ, ADDRESS.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        config = checks.accelerator(config)
        ports = {
            "xo": WritePort(8 * config.panel_word_bytes, masked=True),
            "wo": WritePort(8 * config.panel_word_bytes),
            "ro": WritePort(8 * config.residual_word_bytes),
            "po": WritePort(8 * isa.PARAMETER_BYTES),
        }
        bus = ReadClient(config.bus.data_bits, parity=config.protect.parity)
        super().__init__(config, bus, ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.front = front = LoadFront(config)
        m.submodules.bursts = bursts = BurstGenerator(config, burst_beats=config.bus.burst_beats)
        guard = Guard(m, on=config.protect.parity)
        m.submodules.pending = pending = queue(
            width=Command().size, depth=PENDING_LOADS, parity=guard.on, covered=used_bits(Queue.LOAD)
        )
        m.submodules.beats = beats = fifo.SyncFIFO(
            width=ReadBeat(config.bus.data_bits).size, depth=BEAT_QUEUE
        )
        m.submodules.back = back = LoadBack(config)
        guard.parts(front, bursts, pending, back)
        failed, stop = Signal(name="failed"), Signal(name="stop")
        self._build_stop(m, stop, failed)
        left_window = Signal()  # a row of the command `left_pc` is outside: nothing more is asked for
        left_pc = Signal(isa.PC_BITS, reset_less=True)
        with m.If(bursts.outside):
            m.d.sync += [left_window.eq(1), left_pc.eq(bursts.outside_pc)]

        wiring.connect(m, wiring.flipped(self.i), front.i)
        wiring.connect(m, front.row, bursts.i)
        for memory in ("xo", "wo", "ro", "po"):
            wiring.connect(m, getattr(back, memory), wiring.flipped(getattr(self, memory)))
        m.d.comb += [
            front.halt.eq(stop | left_window),
            bursts.halt.eq(stop | left_window),
            back.halt.eq(stop),
            bursts.base.eq(self.base),
            bursts.size.eq(self.size),
            bursts.pc.eq(front.pc),
            pending.w_data.eq(front.o.payload),
            pending.w_en.eq(front.o.valid),
            front.o.ready.eq(pending.w_rdy),
            back.i.payload.eq(pending.r_data),
            back.i.valid.eq(pending.r_rdy),
            pending.r_en.eq(back.i.ready),
            back.beat.payload.eq(beats.r_data),
            back.beat.valid.eq(beats.r_rdy),
            beats.r_en.eq(back.beat.ready),
            self.done.eq(back.done),
            self.busy.eq(front.busy | pending.r_rdy | back.busy),
        ]
        quiet = self._build_bus(m, guard, bursts, beats, stop)
        outside = left_window & quiet & back.starved & (back.pc == left_pc)
        self._build_error(m, front, back, (outside, bursts.strayed & ~stop), ~pending.r_rdy & ~back.busy)
        guard.report(self)
        return m

    def _build_bus(
        self, m: Module, guard: Guard, bursts: BurstGenerator, beats: fifo.SyncFIFO, stop: Signal
    ) -> Value:
        """Bursts go out while fewer than ``outstanding_reads`` are unanswered; once stopped, beats are taken
        and dropped. Returns: every beat that was asked for has been taken by the back half."""
        limit = self._config.bus.outstanding_reads
        outstanding, following = guard.register(Signal(range(limit + 1), name="outstanding"))
        go = (outstanding != limit) & ~stop
        m.d.comb += [
            self.bus.burst.payload.eq(bursts.o.payload),
            self.bus.burst.valid.eq(bursts.o.valid & go),
            bursts.o.ready.eq(self.bus.burst.ready & go),
            beats.w_data.eq(self.bus.beat.payload),
            beats.w_en.eq(self.bus.beat.valid & ~stop),
            self.bus.beat.ready.eq(beats.w_rdy | stop),
            self.events.beat.eq(self.bus.beat.valid & self.bus.beat.ready),
            self.drained.eq(outstanding == 0),
        ]
        asked = self.bus.burst.valid & self.bus.burst.ready
        answered = self.events.beat & self.bus.beat.payload.last
        m.d[guard.domain] += following.eq(outstanding + asked - answered)
        return (outstanding == 0) & ~bursts.o.valid & ~beats.r_rdy

    def _build_error(
        self, m: Module, front: LoadFront, back: LoadBack, windows: tuple[Value, Value], alone: Value
    ) -> None:
        """The oldest error wins, so the front's waits until the back has done all that is before it: the rows before
        one that is outside (the first of ``windows``); older commands, so that the front's command is ``alone``. A
        burst that strayed (the second) never comes back, so nothing waits for it."""
        outside, strayed = windows
        causes = (
            (back.bad_read, ErrorCode.BUS_READ, back.pc),
            (back.bad_address, ErrorCode.ADDRESS, back.write_pc),
            (outside | strayed, ErrorCode.WINDOW, back.pc),
            (front.misaligned & alone, ErrorCode.ALIGNMENT, front.pc),
            (front.illegal & alone, ErrorCode.ILLEGAL_FIELD, front.pc),
        )
        report_first(m, self.error, causes)
