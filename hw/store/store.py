"""The store unit: rows of words of X, W or R go to the write window (docs/machine.md)."""

from __future__ import annotations

from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring

from vitreous.hw import checks
from vitreous.hw.axi.axi import BURST_INCR, CACHE_NORMAL, PROT_DATA, Axi4
from vitreous.hw.axi.bursts import BurstGenerator, RowWalker
from vitreous.hw.axi.gearbox import WordsToBeats
from vitreous.hw.axi.transfer_unit import TransferUnit
from vitreous.hw.memory.ports import Command, ReadPort, instruction_layout, report_first, used_bits
from vitreous.hw.protect.guard import Guard
from vitreous.hw.protect.parity_queue import SomeQueue, queue
from vitreous.hw.store.store_words import SOURCES, WordReader
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Memory, Opcode, Queue, check_queue
from vitreous.spec.layout import word_bytes

OUTSTANDING_WRITES = 8
"""Bursts without a response."""
_LAYOUT = instruction_layout(Opcode.STORE)


class Steps(NamedTuple):
    """``stop``: nothing new begins; ``failed``: because of an own error. ``measure``: a command is there. ``start``: it
    is legal, and its words may go."""

    stop: Signal
    measure: Signal
    start: Signal
    failed: Signal


def _build_register(
    m: Module, guard: Guard, valid: Signal, ready: Value, load: Value, fields: list[Any], others: list[Any]
) -> None:
    """A channel's register: ``load`` fills it by ``fields``, which are guarded as ``valid`` is, and by ``others``;
    ``ready`` empties it."""
    with m.If(ready):
        m.d[guard.domain] += valid.eq(0)
    with m.If(load):
        m.d[guard.domain] += valid.eq(1)
        m.d.sync += others
        m.d[guard.domain] += fields


class StoreUnit(TransferUnit):
    """X, W, R -> DRAM.

    Latency: 6 cycles from a command to its first address, 4 to its first data beat. Throughput: one beat a
    cycle where a word is a beat or more, else one word a cycle; the next command is taken after the last
    response of the previous one. Back-pressure: waits for bus and memory ports.

    Parameters
    ----------
    config : bus, words of the memories.

    Members
    -------
    those of ``TransferUnit``, with the window of writes; halt: no new burst, bursts that were begun get beats
    without strobes.
    bus : Out(Axi4(data_bits)); only the write channels are driven.
    x, w, r : Out(ReadPort).

    Raises (as ``error``): ILLEGAL_FIELD, ALIGNMENT, WINDOW, BUS_WRITE, ADDRESS.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        check_queue(Queue.STORE, Opcode.STORE)
        config = checks.accelerator(config)
        ports = {memory.name.lower(): ReadPort(8 * word_bytes(config, memory)) for memory in SOURCES}
        super().__init__(config, Axi4(config.bus.data_bits), ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        guard = Guard(m, on=config.protect.parity)
        m.submodules.rows = rows = RowWalker(parity=guard.on)
        m.submodules.bursts = bursts = BurstGenerator(config, burst_beats=config.bus.burst_beats)
        m.submodules.words = words = WordReader(config)
        m.submodules.gearbox = gearbox = WordsToBeats(config, memories=SOURCES)
        command, next_command = guard.register(
            Signal(Command(), name="_command", reset_less=not guard.on), covered=used_bits(Queue.STORE)
        )
        fields = data.View(_LAYOUT, command.word)
        steps = Steps(
            stop=Signal(name="stop"),
            measure=Signal(name="measure"),
            start=Signal(name="start"),
            failed=Signal(name="failed"),
        )
        stop = steps.stop
        self._build_stop(m, stop, steps.failed)

        wiring.connect(m, rows.o, bursts.i)
        wiring.connect(m, words.o, gearbox.i)
        for memory in ("x", "w", "r"):
            wiring.connect(m, getattr(words, memory), wiring.flipped(getattr(self, memory)))
        left_window, checked = self._build_rows(m, steps, bursts, words)
        m.d.comb += [
            bursts.base.eq(self.base),
            bursts.size.eq(self.size),
            bursts.halt.eq(stop | left_window),
            words.halt.eq(stop),
            gearbox.memory.eq(fields.memory),
        ]
        m.submodules.lengths = lengths = queue(width=8, depth=OUTSTANDING_WRITES, parity=guard.on)
        guard.parts(rows, bursts, words, lengths)
        outstanding = self._build_address(m, guard, bursts, lengths, stop)
        strobe = self._build_data(m, guard, gearbox, lengths, stop)
        self._build_walks(m, guard, command, steps, rows, words)
        # Every burst that was asked for has its response, so every beat and word is through.
        finished = Signal()
        m.d.comb += finished.eq(rows.i.ready & ~bursts.busy & (outstanding == 0) & ~stop & ~left_window)
        illegal, misaligned = self._build_sequence(m, guard, command, next_command, steps, finished)
        self._build_protection(m, guard, strobe)
        pc = command.pc
        causes = (
            (self.bus.bvalid & self.bus.bresp[1] & ~stop, ErrorCode.BUS_WRITE, pc),
            (words.bad_address & checked, ErrorCode.ADDRESS, pc),
            ((left_window & ~checked) | (bursts.strayed & ~stop), ErrorCode.WINDOW, pc),
            (misaligned, ErrorCode.ALIGNMENT, pc),
            (illegal, ErrorCode.ILLEGAL_FIELD, pc),
        )
        report_first(m, self.error, causes)
        return m

    def _build_rows(
        self, m: Module, steps: Steps, bursts: BurstGenerator, words: WordReader
    ) -> tuple[Signal, Signal]:
        """Errors come in the order of rows, however far the two walks are apart. Returns: a row was outside the window,
        which is an error when the words before it are read; the row whose words are read lies in the window."""
        left_window, checked = Signal(name="left_window"), Signal(name="checked")
        ahead = Signal(signed(isa.ADDRESS_BITS + 2))  # rows in the window less rows read
        m.d.comb += checked.eq(ahead > 0)
        with m.If(bursts.outside):
            m.d.sync += left_window.eq(1)
        m.d.sync += ahead.eq(Mux(steps.start, 0, ahead + bursts.inside - words.row_read))
        return left_window, checked

    def _build_walks(
        self,
        m: Module,
        guard: Guard,
        command: data.View[Command],
        steps: Steps,
        rows: RowWalker,
        words: WordReader,
    ) -> None:
        """The instruction's rows in DRAM and its words on chip; both start together."""
        fields = data.View(_LAYOUT, command.word)
        row_bytes, next_bytes = guard.register(Signal(24, name="row_bytes", reset_less=not guard.on))
        with m.If(steps.measure):
            with m.Switch(fields.memory):
                for which in SOURCES:
                    with m.Case(which):
                        m.d[guard.domain] += next_bytes.eq(fields.words * word_bytes(self._config, which))
        m.d.comb += [
            rows.i.payload.offset.eq(fields.dram_offset),
            rows.i.payload.stride.eq(fields.dram_stride),
            rows.i.payload.rows.eq(fields.rows),
            rows.i.payload.bytes.eq(row_bytes),
            rows.i.valid.eq(steps.start),
            words.i.payload.eq(command.word),
            words.i.valid.eq(steps.start),
        ]

    def _build_sequence(
        self,
        m: Module,
        guard: Guard,
        command: data.View[Command],
        next_command: data.View[Command],
        steps: Steps,
        finished: Signal,
    ) -> tuple[Signal, Signal]:
        """Take a command, multiply out the bytes of its rows, check it, store. Returns: illegal, misaligned."""
        fields = data.View(_LAYOUT, command.word)
        stop, start = steps.stop, steps.start
        low = self._config.bus.beat_bytes.bit_length() - 1
        legal, aligned, illegal, misaligned = (
            Signal(name=name) for name in ("legal", "aligned", "illegal", "misaligned")
        )
        m.d.comb += [
            legal.eq((fields.memory <= Memory.R) & (fields.words != 0) & (fields.rows != 0)),
            aligned.eq(~(fields.dram_offset | fields.dram_stride)[:low].any()),
        ]
        with m.FSM() as sequence:
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(~stop)
                with m.If(self.i.valid & self.i.ready):
                    m.d[guard.domain] += next_command.eq(self.i.payload)
                    m.next = "Measure"
            with m.State("Measure"):
                m.d.comb += steps.measure.eq(1)
                m.next = "Check"
            with m.State("Check"):
                m.d.comb += [
                    illegal.eq(~legal & ~stop),
                    misaligned.eq(legal & ~aligned & ~stop),
                    start.eq(legal & aligned & ~stop),
                ]
                with m.If(start):
                    m.next = "Store"
            with m.State("Store"):
                m.d.comb += self.done.eq(finished)
                with m.If(finished):
                    m.next = "Idle"
        m.d.comb += self.busy.eq(~sequence.ongoing("Idle"))
        return illegal, misaligned

    def _build_address(
        self, m: Module, guard: Guard, bursts: BurstGenerator, lengths: SomeQueue, stop: Value
    ) -> Signal:
        """One register before the bus, so that AWVALID holds; with it a burst enters ``lengths``, the data
        channel's orders. Returns how many bursts have no response."""
        bus = self.bus
        outstanding, next_outstanding = guard.register(
            Signal(range(OUTSTANDING_WRITES + 1), name="outstanding")
        )
        channel = Guard(m, on=guard.on)
        valid, next_valid = channel.behind(bus.awvalid)
        free = (~valid | bus.awready) & (outstanding != OUTSTANDING_WRITES) & ~stop
        take = Signal()
        m.d.comb += [
            take.eq(bursts.o.valid & free),
            bursts.o.ready.eq(free),
            lengths.w_en.eq(take),
            lengths.w_data.eq(bursts.o.payload.length),
            bus.awsize.eq(self._config.bus.beat_bytes.bit_length() - 1),
            bus.awburst.eq(BURST_INCR),
            bus.awcache.eq(CACHE_NORMAL),
            bus.awprot.eq(PROT_DATA),
            bus.bready.eq(1),
            self.drained.eq(outstanding == 0),
        ]
        address = bursts.o.payload
        fields = [bus.awaddr.eq(address.address), bus.awlen.eq(address.length)]
        if guard.on:  # an address that does not agree with its parity never shows on the bus
            parity = Signal(name="parity")
            fields.append(parity.eq(address.parity))
            channel.watch(valid & Cat(bus.awaddr, bus.awlen, parity).xor())
            m.d.comb += bus.awvalid.eq(channel.unless_upset(valid))
            guard.watch(channel.upset)
        _build_register(m, channel, next_valid, bus.awready, take, [], fields)
        m.d[guard.domain] += next_outstanding.eq(outstanding + take - bus.bvalid)
        return outstanding

    def _build_data(
        self, m: Module, guard: Guard, gearbox: WordsToBeats, lengths: SomeQueue, stop: Value
    ) -> Signal:
        """Beats for the bursts in ``lengths``, in a register of their own; without strobes once stopped. Returns the
        strobes in it."""
        bus = self.bus
        # Beats of the oldest burst that are in the register or gone.
        sent, next_sent = guard.register(Signal(8, name="sent"))
        valid, next_valid = guard.behind(bus.wvalid)
        strobe, next_strobe = guard.behind(bus.wstrb)
        final, next_final = guard.behind(bus.wlast)
        move, last = Signal(name="move"), Signal(name="last")
        m.d.comb += [
            move.eq((~valid | bus.wready) & lengths.r_rdy & (gearbox.o.valid | stop)),
            last.eq(sent == lengths.r_data),
            lengths.r_en.eq(move & last),
            gearbox.o.ready.eq(move),
            self.events.beat.eq(valid & bus.wready),
        ]
        if guard.on:
            m.d.comb += [bus.wvalid.eq(valid), bus.wlast.eq(final)]
        fields = [
            next_strobe.eq(Mux(stop, 0, gearbox.o.payload.strobe)),
            next_final.eq(last),
            next_sent.eq(Mux(last, 0, sent + 1)),
        ]
        others = [bus.wdata.eq(gearbox.o.payload.data)]
        _build_register(m, guard, next_valid, bus.wready, move, fields, others)
        return strobe

    def _build_protection(self, m: Module, guard: Guard, strobe: Signal) -> None:
        """From the cycle of an upset on nothing is written: beats that are due go out without strobes."""
        guard.report(self)
        if guard.on:
            seen = Signal(name="upset_seen")
            m.d.sync += seen.eq(seen | guard.upset)
            m.d.comb += self.bus.wstrb.eq(strobe & ~(seen | guard.upset).replicate(len(strobe)))
