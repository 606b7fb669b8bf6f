"""The back half of the load unit: beats of read data become words, masked words or zeros at their on-chip addresses."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ReadBeat
from vitreous.hw.axi.gearbox import BeatsToWords
from vitreous.hw.load.patches import PatchUnfolder
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, Command, WritePort, instruction_layout
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory, Opcode

DESTINATIONS = (Memory.X, Memory.W, Memory.R, Memory.P)


class LoadBack(wiring.Component):
    """Beats -> writes of the command that asked for them.

    Latency: 1 cycle from the beat that completes a word to its write. Throughput: one beat a cycle where a
    word is a beat or more, else one word a cycle; FILL one word a cycle; patches see ``PatchUnfolder``. One
    cycle between commands. Back-pressure: waits for the memory ports.

    Members
    -------
    i : In(stream.Signature(Command())), legal commands in the order of their data.
    beat : In(stream.Signature(ReadBeat(data_bits))).
    xo (masked), wo, ro, po : Out(WritePort).
    halt : In(1), nothing is taken or written. busy : Out(1).
    done : Out(1), the last write of a command is made.
    bad_read, bad_address : Out(1), the command ``pc`` met this error; its data is not written.
    pc : Out, of the command that is being written.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self._config = config
        super().__init__(
            {
                "i": In(stream.Signature(Command())),
                "beat": In(stream.Signature(ReadBeat(config.bus.data_bits))),
                "xo": Out(WritePort(8 * config.panel_word_bytes, masked=True)),
                "wo": Out(WritePort(8 * config.panel_word_bytes)),
                "ro": Out(WritePort(8 * config.residual_word_bytes)),
                "po": Out(WritePort(8 * isa.PARAMETER_BYTES)),
                "halt": In(1),
                "busy": Out(1),
                "done": Out(1),
                "bad_read": Out(1),
                "bad_address": Out(1),
                "pc": Out(isa.PC_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.gearbox = self._gearbox = BeatsToWords(self._config, memories=DESTINATIONS)
        m.submodules.unfolder = self._unfolder = PatchUnfolder(self._config)
        self._command = Signal(Command(), reset_less=True)
        self._load = data.View(instruction_layout(Opcode.LOAD), self._command.word)
        # Registers: one is high while a command is written, and one for each memory; none in an idle back half.
        self._loading, self._unfolding, self._filling = Signal(), Signal(), Signal()
        self._chosen = {memory: Signal(name=f"to_{memory.name.lower()}") for memory in DESTINATIONS}
        self._last_row = Signal()  # _left == 1
        # The address of the next word, of the first word of its row, and what is left, for LOAD and FILL.
        self._address, self._row = Signal(WORD_ADDRESS_BITS), Signal(WORD_ADDRESS_BITS)
        self._left = Signal(isa.ADDRESS_BITS)  # rows of a LOAD, words of a FILL
        self._accepted = Signal()

        self._build_sources(m)
        self._build_ports(m)
        arriving = data.View(instruction_layout(Opcode.LOAD), self.i.payload.word)
        filling = data.View(instruction_layout(Opcode.FILL), self.i.payload.word)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(~self.halt & self._unfolder.command.ready)
                m.d.sync += [
                    self._command.eq(self.i.payload),
                    self._address.eq(arriving.base),
                    self._row.eq(arriving.base + arriving.stride),
                    self._left.eq(arriving.rows),
                    self._last_row.eq(arriving.rows == 1),
                ]
                with m.If(arriving.opcode == Opcode.FILL):
                    m.d.sync += [
                        self._address.eq(filling.base),
                        self._left.eq(filling.words),
                        self._last_row.eq(filling.words == 1),
                    ]
                with m.If(self.i.valid & self.i.ready):
                    m.d.comb += self._unfolder.command.valid.eq(arriving.opcode == Opcode.LOAD_PATCHES)
                    self._build_kind(m, arriving)
                    m.next = "Write"
            with m.State("Write"):
                m.d.comb += self.busy.eq(1)
                self._build_count(m)
                with m.If(self.done):
                    m.d.sync += [kind.eq(0) for kind in (self._loading, self._unfolding, self._filling)]
                    m.next = "Idle"
        m.d.comb += self.pc.eq(self._command.pc)
        return m

    def _build_kind(self, m: Module, arriving: data.View) -> None:
        """What the command is, and where it writes. LOAD and FILL have their memory in the same place; LOAD_PATCHES
        has none and writes X."""
        assert (
            instruction_layout(Opcode.FILL)["memory"].offset
            == instruction_layout(Opcode.LOAD)["memory"].offset
        )
        patches = arriving.opcode == Opcode.LOAD_PATCHES
        m.d.sync += [
            self._loading.eq(arriving.opcode == Opcode.LOAD),
            self._unfolding.eq(patches),
            self._filling.eq(arriving.opcode == Opcode.FILL),
        ]
        for memory, chosen in self._chosen.items():
            m.d.sync += chosen.eq(Mux(patches, memory == Memory.X, arriving.memory == memory))

    def _build_sources(self, m: Module) -> None:
        """Beats go to the gearbox or to the unfolder; one that came with an error goes nowhere."""
        gearbox, unfolder = self._gearbox, self._unfolder
        good = self.beat.valid & ~self.beat.payload.error & ~self.halt
        # The last word waits for its port; the next beat is another command's, its error too.
        complete = Signal()
        with m.If(self._loading):
            m.d.comb += complete.eq(gearbox.o.valid & gearbox.o.payload.last & self._last_row)
        with m.If(self._unfolding):
            m.d.comb += complete.eq(unfolder.o.valid & unfolder.o.payload.last)
        mine = (self._loading | self._unfolding) & ~complete
        m.d.comb += [
            gearbox.memory.eq(self._load.memory),
            gearbox.words.eq(self._load.words),
            gearbox.i.valid.eq(good & self._loading & ~complete),
            gearbox.i.payload.eq(self.beat.payload.data),
            unfolder.i.valid.eq(good & self._unfolding),
            unfolder.i.payload.eq(self.beat.payload.data),
            unfolder.command.payload.eq(self.i.payload.word),
            self.beat.ready.eq(
                Mux(self._unfolding, unfolder.i.ready, gearbox.i.ready & self._loading) | self.halt
            ),
            self.bad_read.eq(self.beat.valid & self.beat.payload.error & mine & ~self.halt),
        ]

    def _build_count(self, m: Module) -> None:
        """Where the next word goes, and whether the one being written is the last."""
        with m.If(self._accepted):
            m.d.sync += self._address.eq(self._address + 1)
            with m.If(self._filling | (self._loading & self._gearbox.o.payload.last)):
                m.d.sync += [self._left.eq(self._left - 1), self._last_row.eq(self._left == 2)]
                m.d.comb += self.done.eq(self._last_row)
            with m.If(self._loading & self._gearbox.o.payload.last):
                m.d.sync += [self._address.eq(self._row), self._row.eq(self._row + self._load.stride)]
            with m.If(self._unfolding & self._unfolder.o.payload.last):
                m.d.comb += self.done.eq(1)

    def _build_ports(self, m: Module) -> None:
        """One write at a time, to the memory that the command names."""
        word, masked = self._gearbox.o, self._unfolder.o
        ports = {Memory.X: self.xo, Memory.W: self.wo, Memory.R: self.ro, Memory.P: self.po}
        valid, ready, fault = Signal(), Signal(), Signal()
        m.d.comb += [
            ready.eq(Cat(chosen & ports[memory].ready for memory, chosen in self._chosen.items()).any()),
            fault.eq(Cat(chosen & ports[memory].fault for memory, chosen in self._chosen.items()).any()),
            valid.eq(
                ((self._loading & word.valid) | (self._unfolding & masked.valid) | self._filling) & ~self.halt
            ),
            self._accepted.eq(valid & ready & ~fault),
            self.bad_address.eq(valid & ready & fault),
            word.ready.eq(self._loading & self._accepted),
            masked.ready.eq(self._unfolding & self._accepted),
        ]
        for which, port in ports.items():
            m.d.comb += [port.valid.eq(valid & self._chosen[which]), port.addr.eq(self._address)]
            with m.If(self._loading):
                m.d.comb += port.data.eq(word.payload.data)
        m.d.comb += self.xo.mask.eq(Const(-1, self._config.panel_word_bytes))
        with m.If(self._unfolding):
            lanes = self._config.array.lanes
            m.d.comb += [
                self.xo.addr.eq(masked.payload.addr),
                self.xo.data.eq(Cat(masked.payload.data for _ in range(lanes))),
                self.xo.mask.eq(masked.payload.mask),
            ]
