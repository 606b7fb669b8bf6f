"""The back half of the load unit: beats of read data become words, masked words or zeros at their on-chip addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ReadBeat
from vitreous.hw.axi.gearbox import BeatsToWords
from vitreous.hw.load.patches import PatchUnfolder
from vitreous.hw.load.write_queue import DESTINATIONS, WriteQueue
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, Command, WritePort, instruction_layout, used_bits
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory, Opcode, Queue


class Kind(NamedTuple):
    """Registers, of which one is high while a command is written; an idle back has none."""

    loading: Signal
    unfolding: Signal
    filling: Signal


class Place(NamedTuple):
    """Registers that say where a LOAD or a FILL stands.

    address : of the next word. row : of the first word of the next row.
    left : rows of a LOAD, words of a FILL. last_row : ``left`` is 1.
    """

    address: Signal
    row: Signal
    left: Signal
    last_row: Signal


class LoadBack(wiring.Component):
    """Beats -> writes of the command that asked for them.

    Latency: 1 cycle from the beat that completes a word to the register that it waits in, where the next command may
    follow, and ``WriteQueue.LATENCY`` to its write. Throughput: one beat a cycle where a
    word is a beat or more, else one word a cycle; FILL one word a cycle; patches see ``PatchUnfolder``. One
    cycle between commands. Back-pressure: waits for the memory ports.

    Members
    -------
    i : In(stream.Signature(Command())), legal commands in the order of their data.
    beat : In(stream.Signature(ReadBeat(data_bits))).
    xo (masked), wo, ro, po : Out(WritePort).
    halt : In(1), nothing is taken or written. busy : Out(1). starved : Out(1), the command
        ``pc`` waits for a beat, and every word before it is written.
    done : Out(1), the last write of a command is made.
    bad_read : Out(1), a beat of the command ``pc`` came with an error, and all words before it are written.
    bad_address : Out(1), a word of the command ``write_pc`` has no place; it is not written.
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
                "starved": Out(1),
                "done": Out(1),
                "bad_read": Out(1),
                "bad_address": Out(1),
                "pc": Out(isa.PC_BITS),
                "write_pc": Out(isa.PC_BITS),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.gearbox = gearbox = BeatsToWords(self._config, memories=DESTINATIONS)
        m.submodules.unfolder = unfolder = PatchUnfolder(self._config)
        m.submodules.writes = writes = WriteQueue(self._config)
        guard = Guard(m, on=self._config.protect.parity)
        command, next_command = guard.register(
            Signal(Command(), name="_command", reset_less=not guard.on),
            covered=used_bits(Queue.LOAD),
        )
        load = data.View(instruction_layout(Opcode.LOAD), command.word)
        kind, next_kind = guard.registers(
            Kind(
                loading=Signal(name="loading"),
                unfolding=Signal(name="unfolding"),
                filling=Signal(name="filling"),
            )
        )
        # One register for each memory, as for each kind.
        pairs = {memory: guard.register(Signal(name=f"to_{memory.name.lower()}")) for memory in DESTINATIONS}
        chosen = {memory: register for memory, (register, _) in pairs.items()}
        place, next_place = guard.registers(
            Place(
                address=Signal(WORD_ADDRESS_BITS, name="address"),
                row=Signal(WORD_ADDRESS_BITS, name="row"),
                left=Signal(isa.ADDRESS_BITS, name="_left"),
                last_row=Signal(name="_last_row"),
            )
        )
        guard.parts(unfolder)
        self._build_sources(m, load, kind, place.last_row, gearbox, unfolder, writes)
        ends = self._build_word(m, kind, chosen, place, gearbox, unfolder, writes)
        m.d.comb += writes.i.payload.pc.eq(command.pc)
        self._build_ports(m, writes)
        with m.FSM() as state:
            with m.State("Idle"):
                m.d.comb += self.i.ready.eq(~self.halt & unfolder.command.ready)
                self._build_accept(m, guard, next_command, next_place)
                with m.If(self.i.valid & self.i.ready):
                    next_chosen = {memory: following for memory, (_, following) in pairs.items()}
                    self._build_kind(m, guard, next_kind, next_chosen, unfolder)
                    m.next = "Write"
            with m.State("Write"):
                self._build_count(m, guard, load, kind, (place, next_place), gearbox, writes)
                with m.If(writes.i.valid & writes.i.ready & ends):
                    m.d[guard.domain] += [which.eq(0) for which in next_kind]
                    m.next = "Idle"
        waits = (kind.loading & ~gearbox.o.valid) | (kind.unfolding & ~unfolder.o.valid)
        m.d.comb += [
            self.pc.eq(command.pc),
            self.busy.eq(state.ongoing("Write") | writes.o.valid),
            self.starved.eq(waits & ~writes.o.valid),
        ]
        guard.report(self)
        return m

    def _build_accept(self, m: Module, guard: Guard, command: data.View[Command], place: Place) -> None:
        """An idle back copies whatever stands at its input to these registers."""
        arriving = data.View(instruction_layout(Opcode.LOAD), self.i.payload.word)
        filling = data.View(instruction_layout(Opcode.FILL), self.i.payload.word)
        m.d[guard.domain] += [
            command.eq(self.i.payload),
            place.address.eq(arriving.base),
            place.row.eq(arriving.base + arriving.stride),
            place.left.eq(arriving.rows),
            place.last_row.eq(arriving.rows == 1),
        ]
        with m.If(arriving.opcode == Opcode.FILL):
            m.d[guard.domain] += [
                place.address.eq(filling.base),
                place.left.eq(filling.words),
                place.last_row.eq(filling.words == 1),
            ]

    def _build_kind(
        self,
        m: Module,
        guard: Guard,
        kind: Kind,
        chosen: Mapping[Memory, Signal],
        unfolder: PatchUnfolder,
    ) -> None:
        """What the command is, and where it writes, to these registers. LOAD and FILL have their memory in the same
        place; LOAD_PATCHES has none and writes X."""
        assert (
            instruction_layout(Opcode.FILL)["memory"].offset
            == instruction_layout(Opcode.LOAD)["memory"].offset
        )
        arriving = data.View(instruction_layout(Opcode.LOAD), self.i.payload.word)
        patches = arriving.opcode == Opcode.LOAD_PATCHES
        m.d.comb += unfolder.command.valid.eq(patches)
        m.d[guard.domain] += [
            kind.loading.eq(arriving.opcode == Opcode.LOAD),
            kind.unfolding.eq(patches),
            kind.filling.eq(arriving.opcode == Opcode.FILL),
        ]
        for memory, register in chosen.items():
            m.d[guard.domain] += register.eq(Mux(patches, memory == Memory.X, arriving.memory == memory))

    def _build_sources(
        self,
        m: Module,
        load: data.View[data.StructLayout],
        kind: Kind,
        last_row: Value,
        gearbox: BeatsToWords,
        unfolder: PatchUnfolder,
        writes: WriteQueue,
    ) -> None:
        """Beats go to the gearbox or to the unfolder; one that came with an error goes nowhere."""
        good = self.beat.valid & ~self.beat.payload.error & ~self.halt
        # The last word waits for its register; the next beat is another command's, its error too.
        complete = Signal()
        with m.If(kind.loading):
            m.d.comb += complete.eq(gearbox.o.valid & gearbox.o.payload.last & last_row)
        with m.If(kind.unfolding):
            m.d.comb += complete.eq(unfolder.o.valid & unfolder.o.payload.last)
        mine = (kind.loading | kind.unfolding) & ~complete
        m.d.comb += [
            gearbox.memory.eq(load.memory),
            gearbox.words.eq(load.words),
            gearbox.i.valid.eq(good & kind.loading & ~complete),
            gearbox.i.payload.eq(self.beat.payload.data),
            unfolder.i.valid.eq(good & kind.unfolding),
            unfolder.i.payload.eq(self.beat.payload.data),
            unfolder.command.payload.eq(self.i.payload.word),
            self.beat.ready.eq(
                Mux(kind.unfolding, unfolder.i.ready, gearbox.i.ready & kind.loading) | self.halt
            ),
            # An error of a word before it, maybe another command's, goes first.
            self.bad_read.eq(
                self.beat.valid
                & self.beat.payload.error
                & mine
                & ~(writes.o.valid | gearbox.o.valid | unfolder.o.valid)
                & ~self.halt
            ),
        ]

    def _build_count(
        self,
        m: Module,
        guard: Guard,
        load: data.View[data.StructLayout],
        kind: Kind,
        places: tuple[Place, Place],
        gearbox: BeatsToWords,
        writes: WriteQueue,
    ) -> None:
        """Where the next word goes, and whether its row is the last one; ``places``: the registers, their next
        values."""
        place, following = places
        with m.If(writes.i.valid & writes.i.ready):
            m.d[guard.domain] += following.address.eq(place.address + 1)
            with m.If(kind.filling | (kind.loading & gearbox.o.payload.last)):
                m.d[guard.domain] += [
                    following.left.eq(place.left - 1),
                    following.last_row.eq(place.left == 2),
                ]
            with m.If(kind.loading & gearbox.o.payload.last):
                m.d[guard.domain] += [
                    following.address.eq(place.row),
                    following.row.eq(place.row + load.stride),
                ]

    def _build_word(
        self,
        m: Module,
        kind: Kind,
        chosen: Mapping[Memory, Signal],
        place: Place,
        gearbox: BeatsToWords,
        unfolder: PatchUnfolder,
        writes: WriteQueue,
    ) -> Signal:
        """The next word: of beats, of patches, or zeros. Returns whether it is the last one of its command."""
        word, masked, payload = gearbox.o, unfolder.o, writes.i.payload
        ends = Signal(name="_ends")
        m.d.comb += [
            ends.eq(
                (kind.loading & word.payload.last & place.last_row)
                | (kind.unfolding & masked.payload.last)
                | (kind.filling & place.last_row)
            ),
            writes.i.valid.eq((kind.loading & word.valid) | (kind.unfolding & masked.valid) | kind.filling),
            word.ready.eq(kind.loading & writes.i.ready),
            masked.ready.eq(kind.unfolding & writes.i.ready),
            payload.to.eq(Cat(chosen.values())),
            payload.addr.eq(place.address),
            payload.mask.eq(Const(-1, self._config.panel_word_bytes)),
            payload.last.eq(ends),
        ]
        with m.If(kind.loading):
            m.d.comb += payload.data.eq(word.payload.data)
        with m.If(kind.unfolding):
            lanes = self._config.array.lanes
            m.d.comb += [
                payload.addr.eq(masked.payload.addr),
                payload.data.eq(Cat(masked.payload.data for _ in range(lanes))),
                payload.mask.eq(masked.payload.mask),
            ]
        return ends

    def _build_ports(self, m: Module, writes: WriteQueue) -> None:
        """One write at a time, to the memory that its command names."""
        ports = {Memory.X: self.xo, Memory.W: self.wo, Memory.R: self.ro, Memory.P: self.po}
        word = writes.o.payload
        valid, ready, fault = (Signal(name=f"_{name}") for name in ("valid", "ready", "fault"))
        m.d.comb += [
            ready.eq(Cat(word.to[n] & ports[which].ready for n, which in enumerate(DESTINATIONS)).any()),
            fault.eq(Cat(word.to[n] & ports[which].fault for n, which in enumerate(DESTINATIONS)).any()),
            valid.eq(writes.o.valid & ~self.halt),
            writes.o.ready.eq(valid & ready & ~fault),
            self.done.eq(writes.o.ready & word.last),
            self.bad_address.eq(valid & ready & fault),
            self.write_pc.eq(word.pc),
            self.xo.mask.eq(word.mask),
        ]
        for n, which in enumerate(DESTINATIONS):
            port = ports[which]
            m.d.comb += [port.valid.eq(valid & word.to[n]), port.addr.eq(word.addr), port.data.eq(word.data)]
