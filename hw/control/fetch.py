"""Instruction fetch: the program as a stream of commands in order."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ADDRESS_BITS, ReadBeat, ReadClient
from vitreous.hw.axi.bursts import BurstGenerator
from vitreous.hw.memory.ports import Command, ErrorReport
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.hw.protect.parity_queue import SomeQueue, queue
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode

LENGTH_BITS = isa.PC_BITS + 1
"""A program has at most 2**16 instructions."""


class Fetch(wiring.Component):
    """Reads ``length`` instructions from byte ``offset`` of the read window.

    Latency: 6 cycles from ``start`` to the first burst, ``FITS_LATENCY`` of them, as after any other, to see that
    there is room for it, 2 from an instruction's last beat to its command.
    Throughput: one instruction in ``32 / beat bytes`` cycles. Back-pressure: holds its command; asks only for
    beats that it has room for, so that it never blocks the read channel.

    Parameters
    ----------
    config : bus; with ``protect.parity`` there is a member ``upset``.

    Members
    -------
    start : In(1), begin; once after a reset.
    base, size, offset : In(32). length : In(17).
    wraps : In(1), a window ends beyond the address space; then nothing is fetched.
    bus : Out(ReadClient(data_bits)).
    o : Out(stream.Signature(Command())).
    finished : Out(1), all instructions have been taken.
    error : Out(ErrorReport()). halt : In(1): no new burst, arriving data is dropped.
    drained : Out(1), no burst is outstanding.
    events : Out({"beat"}).

    Raises (as ``error``): WINDOW (pc: the first instruction that is not wholly in the window; 0 where ``wraps``),
    BUS_READ.
    """

    FITS_LATENCY = 1

    def __init__(self, config: AcceleratorConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(ADDRESS_BITS),
                "size": In(ADDRESS_BITS),
                "offset": In(ADDRESS_BITS),
                "length": In(LENGTH_BITS),
                "wraps": In(1),
                "bus": Out(ReadClient(config.bus.data_bits, parity=config.protect.parity)),
                "o": Out(stream.Signature(Command())),
                "finished": Out(1),
                "error": Out(ErrorReport()),
                "halt": In(1),
                "drained": Out(1),
                "events": Out(data.StructLayout({"beat": 1})),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        burst_beats = min(config.bus.burst_beats, 16)
        m.submodules.bursts = bursts = BurstGenerator(config, burst_beats=burst_beats)
        guard = Guard(m, on=config.protect.parity)
        m.submodules.beats = beats = queue(
            width=ReadBeat(config.bus.data_bits).size, depth=2 * burst_beats, parity=guard.on
        )
        guard.parts(bursts, beats)
        failed, stop = Signal(name="failed"), Signal(name="stop")
        pending, next_pending = guard.register(Signal(name="pending"))
        m.d.comb += stop.eq(self.halt | failed)
        with m.If(self.error.valid):
            m.d.sync += failed.eq(1)

        per_instruction = isa.INSTRUCTION_BYTES // config.bus.beat_bytes
        with m.If(self.start & (self.length != 0) & ~self.wraps):
            m.d[guard.domain] += next_pending.eq(1)
        with m.If(pending & bursts.i.ready):
            m.d[guard.domain] += next_pending.eq(0)
        m.d.comb += [
            bursts.i.valid.eq(pending),
            bursts.i.payload.offset.eq(self.offset),
            bursts.i.payload.bytes.eq(self.length * isa.INSTRUCTION_BYTES),
            bursts.base.eq(self.base),
            bursts.size.eq(self.size),
            bursts.halt.eq(stop),
        ]
        self._build_bus(m, guard, bursts, beats, stop)
        bad_beat = self._build_gather(m, guard, beats, per_instruction, stop)
        m.d.comb += [
            self.error.valid.eq(
                bursts.outside | (bursts.strayed & ~stop) | bad_beat | (self.start & self.wraps)
            ),
            self.error.code.eq(ErrorCode.WINDOW),
            self.error.pc.eq(
                Mux(
                    (self.size > self.offset) & ~self.wraps,
                    (self.size - self.offset) // isa.INSTRUCTION_BYTES,
                    0,
                )
            ),
        ]
        with m.If(bad_beat):
            m.d.comb += [self.error.code.eq(ErrorCode.BUS_READ), self.error.pc.eq(self._gathered)]
        guard.report(self)
        return m

    def _build_bus(
        self, m: Module, guard: Guard, bursts: BurstGenerator, beats: SomeQueue, stop: Signal
    ) -> None:
        room, next_room = guard.register(  # beats neither asked for nor in the queue
            Signal(range(beats.depth + 1), name="room", init=beats.depth)
        )
        waiting, next_waiting = guard.register(  # beats asked for that have not come
            Signal(range(beats.depth + 1), name="waiting")
        )
        wanted = bursts.o.payload.length + 1
        fits = Signal(name="fits")  # of the burst that is offered, in a register: load's requests wait for it
        go = fits & ~stop
        asked, left = Signal(name="asked"), Signal(name="left")
        m.d.comb += [
            self.bus.burst.payload.eq(bursts.o.payload),
            self.bus.burst.valid.eq(bursts.o.valid & go),
            bursts.o.ready.eq(self.bus.burst.ready & go),
            asked.eq(self.bus.burst.valid & self.bus.burst.ready),
            left.eq(beats.r_rdy & beats.r_en),
            self.bus.beat.ready.eq(1),
            beats.w_data.eq(self.bus.beat.payload),
            beats.w_en.eq(self.bus.beat.valid),
            self.events.beat.eq(self.bus.beat.valid),
            self.drained.eq(waiting == 0),
        ]
        m.d.sync += fits.eq(bursts.o.valid & (wanted <= room) & ~asked)
        with m.If(asked):
            m.d[guard.domain] += [
                next_room.eq(room - wanted + left),
                next_waiting.eq(waiting + wanted - self.bus.beat.valid),
            ]
        with m.Else():
            m.d[guard.domain] += [
                next_room.eq(room + left),
                next_waiting.eq(waiting - self.bus.beat.valid),
            ]

    def _build_gather(
        self, m: Module, guard: Guard, beats: SomeQueue, per_instruction: int, stop: Signal
    ) -> Signal:
        """Beats become commands in the output register. Returns: the beat at the head of the queue came with
        an error."""
        bits = self._config.bus.data_bits
        beat = data.View(ReadBeat(bits), beats.r_data)
        position, next_position = guard.register(Signal(range(max(per_instruction, 2)), name="position"))
        self._gathered, next_gathered = guard.register(  # of the instruction whose beats are being gathered
            Signal(isa.PC_BITS, name="_gathered")
        )
        taken, next_taken = guard.register(Signal(LENGTH_BITS, name="taken"))
        _, next_valid = guard.register(self.o.valid)
        _, command = guard.register(self.o.payload)
        step, bad, final = Signal(name="step"), Signal(name="bad"), Signal(name="final")
        m.d.comb += [
            bad.eq(beats.r_rdy & beat.error & ~stop),
            step.eq(beats.r_rdy & ~beat.error & (~self.o.valid | self.o.ready) & ~stop),
            final.eq(position == per_instruction - 1),
            beats.r_en.eq(step | stop),
            self.finished.eq(taken == self.length),
        ]
        with m.If(self.o.ready):
            m.d[guard.domain] += next_valid.eq(0)
        with m.If(self.o.valid & self.o.ready):
            m.d[guard.domain] += next_taken.eq(taken + 1)
        with m.If(step):
            for slot in range(per_instruction):
                with m.If(position == slot):
                    m.d[guard.domain] += command.word.word_select(slot, bits).eq(beat.data)
            m.d[guard.domain] += [next_position.eq(position + 1), command.pc.eq(self._gathered)]
            with m.If(final):
                m.d[guard.domain] += [
                    next_position.eq(0),
                    next_valid.eq(1),
                    next_gathered.eq(self._gathered + 1),
                ]
        return bad
