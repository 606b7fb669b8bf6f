"""The front half of the load unit: check a command, hand it to the back half, name the rows of DRAM that it reads."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.bursts import Row, RowWalker
from vitreous.hw.load.pixel_rows import PixelRows
from vitreous.hw.memory.ports import Command, instruction_layout, used_bits
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory, Opcode, Queue
from vitreous.spec.layout import word_bytes


class LoadFront(wiring.Component):
    """LOAD, LOAD_PATCHES, FILL -> rows to read.

    Latency: 3 cycles to the first row. Throughput: one row a cycle. Back-pressure: holds its row; takes no
    command while rows of the previous one are left.

    Parameters
    ----------
    config : words of the memories, bus; with ``protect.parity`` there is a member ``upset``.

    Members
    -------
    i : In(stream.Signature(Command())); o : Out(stream.Signature(Command())), each legal command once.
    row : Out(stream.Signature(Row())).
    halt : In(1). busy : Out(1).
    illegal, misaligned : Out(1), the command ``pc`` has this error and is not handed on.
    pc : Out, of the command whose rows are being named.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        isa.check_queue(Queue.LOAD, Opcode.LOAD, Opcode.LOAD_PATCHES, Opcode.FILL)
        self._config = config
        super().__init__(
            {
                "i": In(stream.Signature(Command())),
                "o": Out(stream.Signature(Command())),
                "row": Out(stream.Signature(Row())),
                "halt": In(1),
                "busy": Out(1),
                "illegal": Out(1),
                "misaligned": Out(1),
                "pc": Out(isa.PC_BITS),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        guard = Guard(m, on=self._config.protect.parity)
        m.submodules.rows = rows = RowWalker(parity=guard.on)
        m.submodules.pixels = pixels = PixelRows(parity=guard.on)
        guard.parts(rows, pixels)
        _, command = guard.register(self.o.payload, covered=used_bits(Queue.LOAD))
        self._build_rows(m, guard, rows, pixels)
        legal, aligned = self._build_check(m)
        load = self._fields(Opcode.LOAD)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(~self.halt)
                with m.If(self.i.valid & self.i.ready):
                    m.d[guard.domain] += command.eq(self.i.payload)
                    m.next = "Measure"
            with m.State("Measure"):
                m.d.comb += self.busy.eq(1)
                m.next = "Check"
            with m.State("Check"):
                m.d.comb += [
                    self.busy.eq(1),
                    self.illegal.eq(~legal & ~self.halt),
                    self.misaligned.eq(legal & ~aligned & ~self.halt),
                    self.o.valid.eq(legal & aligned & ~self.halt),
                ]
                with m.If(self.o.valid & self.o.ready):
                    # Both walkers are idle: "Walk" has waited for the one that was used last.
                    m.d.comb += [
                        rows.i.valid.eq(load.opcode == Opcode.LOAD),
                        pixels.i.valid.eq(load.opcode == Opcode.LOAD_PATCHES),
                    ]
                    m.next = "Walk"
            with m.State("Walk"):
                m.d.comb += self.busy.eq(1)
                with m.If(rows.i.ready & pixels.i.ready & ~self.halt):
                    m.next = "Idle"
        m.d.comb += self.pc.eq(self.o.payload.pc)
        guard.report(self)
        return m

    def _fields(self, opcode: Opcode) -> data.View:
        return data.View(instruction_layout(opcode), self.o.payload.word)

    def _build_rows(self, m: Module, guard: Guard, rows: RowWalker, pixels: PixelRows) -> None:
        """Bytes of a row (one cycle after the command), the inputs of both walkers, their one output."""
        load, patches = self._fields(Opcode.LOAD), self._fields(Opcode.LOAD_PATCHES)
        row_bytes, next_bytes = guard.register(Signal(24, name="row_bytes", reset_less=not guard.on))
        m.d[guard.domain] += next_bytes.eq(patches.grid_columns * patches.patch)
        with m.If(load.opcode == Opcode.LOAD):
            with m.Switch(load.memory):
                for which in (Memory.X, Memory.W, Memory.R, Memory.P):
                    with m.Case(which):
                        m.d[guard.domain] += next_bytes.eq(load.words * word_bytes(self._config, which))
        for walker in (rows, pixels):
            m.d.comb += walker.i.payload.bytes.eq(row_bytes)
        m.d.comb += [
            rows.i.payload.offset.eq(load.dram_offset),
            rows.i.payload.stride.eq(load.dram_stride),
            rows.i.payload.rows.eq(load.rows),
            pixels.i.payload.offset.eq(patches.dram_offset),
        ]
        for name in ("patch", "grid_rows", "channels", "row_stride", "channel_stride"):
            m.d.comb += pixels.i.payload[name].eq(patches[name])
        m.d.comb += [
            self.row.valid.eq(rows.o.valid | pixels.o.valid),
            self.row.payload.eq(pixels.o.payload),
            rows.o.ready.eq(self.row.ready),
            pixels.o.ready.eq(self.row.ready),
        ]
        with m.If(rows.o.valid):
            m.d.comb += self.row.payload.eq(rows.o.payload)

    def _build_check(self, m: Module) -> tuple[Signal, Signal]:
        """Returns: the fields are legal; offset and strides are multiples of the beat."""
        low = self._config.bus.beat_bytes.bit_length() - 1
        load, patches, fill = (self._fields(op) for op in (Opcode.LOAD, Opcode.LOAD_PATCHES, Opcode.FILL))
        legal, aligned = Signal(name="legal"), Signal(init=1, name="aligned")
        with m.Switch(load.opcode):
            with m.Case(Opcode.LOAD):
                m.d.comb += [
                    legal.eq((load.memory <= Memory.P) & (load.words != 0) & (load.rows != 0)),
                    aligned.eq(~(load.dram_offset | load.dram_stride)[:low].any()),
                ]
            with m.Case(Opcode.LOAD_PATCHES):
                sizes = (patches.patch, patches.grid_columns, patches.grid_rows, patches.channels)
                strides = patches.dram_offset | patches.row_stride | patches.channel_stride
                m.d.comb += [
                    legal.eq(Cat(size != 0 for size in sizes).all()),
                    aligned.eq(~strides[:low].any()),
                ]
            with m.Case(Opcode.FILL):
                m.d.comb += legal.eq((fill.memory <= Memory.R) & (fill.words != 0))
        return legal, aligned
