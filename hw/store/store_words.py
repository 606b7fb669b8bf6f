"""The words of a STORE, read from X, W or R in order."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Module, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.gearbox import Word, widest_word_bits
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, ReadPort, instruction_layout, used_bits
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory, Opcode, Queue

SOURCES = (Memory.X, Memory.W, Memory.R)
_STORE = instruction_layout(Opcode.STORE)
_QUEUE = 4
"""Words that may be read before they are taken: the memory's latency and one cycle to see that one has gone,
for a word a cycle."""


class Walk(NamedTuple):
    """Registers: the next word's address, the first one of the next row; rows left, words left of this one."""

    address: Signal
    next_row: Signal
    rows_left: Signal
    words_left: Signal


class WordReader(wiring.Component):
    """``for row, for word: memory[base + row*stride + word]``.

    Latency: 2 cycles. Throughput: one word a cycle. Back-pressure: reads ahead up to 4 words.

    Members
    -------
    i : In(stream.Signature(STORE)), taken when the previous one is read; no size is zero.
    o : Out(stream.Signature(Word(widest))).
    x, w, r : Out(ReadPort).
    halt : In(1), no more reads.
    bad_address : Out(1), the address is beyond the end; nothing is read. row_read : Out(1), the last word of a row is.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self._config = config
        self._widest = widest_word_bits(config, SOURCES)
        super().__init__(
            {
                "i": In(stream.Signature(_STORE)),
                "o": Out(stream.Signature(Word(self._widest))),
                "x": Out(ReadPort(8 * config.panel_word_bytes)),
                "w": Out(ReadPort(8 * config.panel_word_bytes)),
                "r": Out(ReadPort(8 * config.residual_word_bytes)),
                "halt": In(1),
                "bad_address": Out(1),
                "row_read": Out(1),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        guard = Guard(m, on=self._config.protect.parity)
        fields, next_fields = guard.register(
            Signal(_STORE, name="fields", reset_less=not guard.on),
            covered=used_bits(Queue.STORE) - isa.PC_BITS,
        )
        walk, following = guard.registers(
            Walk(
                address=Signal(WORD_ADDRESS_BITS, name="address"),
                next_row=Signal(WORD_ADDRESS_BITS, name="next_row"),
                rows_left=Signal(isa.ADDRESS_BITS, name="rows_left"),
                words_left=Signal(isa.ADDRESS_BITS, name="words_left"),
            )
        )
        rows_left, words_left = walk.rows_left, walk.words_left
        valid, ready, fault, granted = (Signal(name=name) for name in ("valid", "ready", "fault", "granted"))
        # The memory answers in this cycle.
        reading, reading_last = (Signal(name=name) for name in ("reading", "reading_last"))

        m.submodules.queue = queue = fifo.SyncFIFO(width=Word(self._widest).size, depth=_QUEUE)
        m.d.comb += [
            valid.eq((rows_left != 0) & (queue.level + reading < _QUEUE) & ~self.halt),
            granted.eq(valid & ready & ~fault),
            self.bad_address.eq(valid & ready & fault),
            self.row_read.eq(granted & (words_left == 1)),
            self.i.ready.eq(rows_left == 0),
            self.o.valid.eq(queue.r_rdy),
            self.o.payload.eq(queue.r_data),
            queue.r_en.eq(self.o.ready),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d[guard.domain] += [
                next_fields.eq(self.i.payload),
                following.address.eq(self.i.payload.base),
                following.next_row.eq(self.i.payload.base + self.i.payload.stride),
                following.rows_left.eq(self.i.payload.rows),
                following.words_left.eq(self.i.payload.words),
            ]
        m.d.sync += [reading.eq(granted), reading_last.eq(words_left == 1)]
        with m.If(granted):
            m.d[guard.domain] += [
                following.address.eq(walk.address + 1),
                following.words_left.eq(words_left - 1),
            ]
            with m.If(words_left == 1):
                m.d[guard.domain] += [
                    following.address.eq(walk.next_row),
                    following.next_row.eq(walk.next_row + fields.stride),
                    following.words_left.eq(fields.words),
                    following.rows_left.eq(rows_left - 1),
                ]
        guard.report(self)
        self._build_ports(m, fields.memory, walk.address, valid, ready, fault, queue)
        m.d.comb += [
            queue.w_en.eq(reading),
            data.View(Word(self._widest), queue.w_data).last.eq(reading_last),
        ]
        return m

    def _build_ports(
        self,
        m: Module,
        memory: Signal,
        address: Signal,
        valid: Signal,
        ready: Signal,
        fault: Signal,
        queue: fifo.SyncFIFO,
    ) -> None:
        arriving = data.View(Word(self._widest), queue.w_data)
        for which, port in ((Memory.X, self.x), (Memory.W, self.w), (Memory.R, self.r)):
            m.d.comb += port.addr.eq(address)
            with m.If(memory == which):
                m.d.comb += [
                    port.valid.eq(valid),
                    ready.eq(port.ready),
                    fault.eq(port.fault),
                    arriving.data.eq(port.data),
                ]
