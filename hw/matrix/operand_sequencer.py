"""The operand sequencer: turns MATMUL instructions into a gapless sequence of word addresses for the array."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive
from vitreous.hw.control.decode_checks import illegal
from vitreous.hw.matrix.tile_walk import Addresses, Current, Held, current_instruction, short, walk
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, Command, ErrorReport, instruction_layout, used_bits
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.hw.softmax.rounding import Plane
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.softmax import limits


class TileFlags(data.StructLayout):
    """Where a tile stands: first of its instruction, first of its row of tiles, last of its instruction; and which of
    two byte planes it has. The first two are those of the high byte plane only."""

    def __init__(self) -> None:
        super().__init__({"instruction_first": 1, "row_first": 1, "instruction_last": 1, "plane": Plane()})


class FeedWord(data.StructLayout):
    """One word pair to read: ``first`` and ``last`` of its tile, operands, slot and word addresses."""

    def __init__(self) -> None:
        super().__init__(
            {
                "first": 1,
                "last": 1,
                "tile": TileFlags(),
                "operands": 2,
                "slot": 1,
                "a_addr": WORD_ADDRESS_BITS,
                "b_addr": WORD_ADDRESS_BITS,
            }
        )


class Spacing(NamedTuple):
    """``may_start``: a tile may begin; ``read_out``: parameters may be read."""

    may_start: Value
    read_out: Value


class OperandSequencer(wiring.Component):
    """``for r, c, k: word(A[a_base + r*a_stride + k], B[b_base + c*b_stride + k])``, tiles back to back.

    A two-pass operand goes through each tile twice: first its high byte planes, then its low ones. The last words of
    two tiles are at least N cycles apart, because the N columns of the previous tile are read out of the shadow; the
    last columns of two score rows are too, and with a softmax of two passes further by the columns of the first row.
    With scale LANE each row of tiles first waits for the readout, then reads its N parameters, one a cycle.

    Latency: 2 cycles from the transfer of a command to its first word.
    Throughput: one word a cycle; a tile takes ``max(k_words, N)`` cycles.
    Back-pressure: ``i`` waits while one instruction is sequenced and the next is held; ``start`` and ``word_valid``
    cannot be refused.

    Parameters
    ----------
    config : gives N, V, ``s_depth`` and the softmax; with ``protect.parity`` there is a member ``upset``.
    readout_latency : cycles from a word that ends a tile to the parameter address of the tile's first column.
    in_flight : instructions that may be started and not retired.

    Members
    -------
    i : In, commands, all of them MATMUL.
    stop : In, nothing starts any more, and no word or parameter is asked for.
    retire : In, an instruction retires.
    start, descriptor, descriptor_pc : Out, an instruction starts: the whole of it, for the readout.
    word_valid, word : Out, a word pair to read now.
    p_valid, p_addr, p_lane : Out, a lane parameter to read now.
    busy : Out, an instruction is held, sequenced or not retired.
    error : Out, level: the next instruction is illegal and all previous ones have retired.
    stall_readout, stall_parameters : Out, no word in this cycle because of the readout, of the parameters.
    """

    COMMAND_LATENCY = 2

    def __init__(self, config: AcceleratorConfig, *, readout_latency: int, in_flight: int) -> None:
        self.config, self.lanes = config, config.array.lanes
        self.readout_latency = positive("Readout latency", readout_latency)
        self.in_flight = positive("In flight", in_flight)
        self.layout = instruction_layout(isa.Opcode.MATMUL)
        super().__init__(
            {
                "i": In(stream.Signature(Command())),
                "stop": In(1),
                "retire": In(1),
                "start": Out(1),
                "descriptor": Out(self.layout),
                "descriptor_pc": Out(isa.PC_BITS),
                "word_valid": Out(1),
                "word": Out(FeedWord()),
                "p_valid": Out(1),
                "p_addr": Out(WORD_ADDRESS_BITS),
                "p_lane": Out(range(self.lanes)),
                "busy": Out(1),
                "error": Out(ErrorReport()),
                "stall_readout": Out(1),
                "stall_parameters": Out(1),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = self._build_held(m)
        room = self._build_in_flight(m, held)
        current = current_instruction(self.config)
        self._build_place(m, current)
        spacing = self._build_spacing(m, held, current)
        addresses = walk(m, held, current, word_valid=self.word_valid, start=self.start, lanes=self.lanes)
        self._build_word(m, current, addresses)
        self._build_control(m, held, room, current, spacing)
        return m

    def _build_held(self, m: Module) -> Held:
        """The instruction after the current one, checked when it comes in."""
        guard = Guard(m, on=self.config.protect.parity)
        command, next_command = guard.register(
            Signal(Command(), name="_next", reset_less=not guard.on), covered=used_bits(isa.Queue.MATRIX)
        )
        valid, next_valid = guard.register(Signal(name="_held"))
        guard.report(self)
        held = Held(
            valid=valid,
            wrong=Signal(name="_wrong"),
            fields=self.descriptor,
            pc=command.pc,
            short=short(self.lanes, name="held_short"),
        )
        with m.If(self.start):
            m.d[guard.domain] += next_valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d[guard.domain] += [next_command.eq(self.i.payload), next_valid.eq(1)]
            arriving = data.View(self.layout, self.i.payload.word)
            longest = 2 * self.lanes
            m.d.sync += [
                held.wrong.eq(illegal(arriving, self.config)),
                held.short.eq(Mux(arriving.k_words < longest, arriving.k_words, longest)),
            ]
        m.d.comb += [
            self.i.ready.eq(~held.valid & ~self.stop),
            self.descriptor.as_value().eq(command.word),
            self.descriptor_pc.eq(held.pc),
        ]
        return held

    def _build_in_flight(self, m: Module, held: Held) -> Value:
        """Returns whether one more instruction may be started."""
        count = Signal(range(self.in_flight + 1))
        # `start` comes late: it chooses between results that are there.
        m.d.sync += count.eq(Mux(self.start, count + ~self.retire, count - self.retire))
        m.d.comb += [
            self.busy.eq(held.valid | (count != 0)),
            self.error.valid.eq(held.valid & held.wrong & (count == 0)),
            self.error.code.eq(isa.ErrorCode.ILLEGAL_FIELD),
            self.error.pc.eq(held.pc),
        ]
        return count != self.in_flight

    def _build_place(self, m: Module, current: Current) -> None:
        """Which plane of its tile the next word is of, and whether the tile is the last of its instruction."""
        m.d.comb += [
            self.word.tile.plane.high.eq(current.again),
            self.word.tile.plane.low.eq(current.wide & current.low),
            current.instruction_last.eq(current.row_last & current.rows_last),
        ]

    def _build_spacing(self, m: Module, held: Held, current: Current) -> Spacing:
        """How long after the last word of a tile the next one may end, and parameters may be read."""
        end, last_end = Signal(name="end"), Signal(name="last_end")
        single = current.score & current.instruction_last
        m.d.comb += [end.eq(self.word_valid & current.word_last), last_end.eq(end & single)]
        words = (held.short, current.short)
        tile = self._build_free(m, end, Const(self.lanes - 1), words, "tile")
        # A score row's last column may be its tile's last one, the next row's last one its tile's first.
        cycles, whole = 2 * self.lanes - 2, (held.fields.k_words, current.fields.k_words)
        match limits(self.config.softmax).passes:
            case 1:
                row = self._build_free(m, last_end, Const(cycles), words, "score")
            case 2:
                row = self._build_free(m, last_end, current.fields.columns + cycles, whole, "score")
            case passes:
                raise ValueError(f"The operand sequencer waits for softmax of 1 or 2 passes, not {passes}")
        readout = Signal(range(self.readout_latency + self.lanes), name="readout_spacing")
        m.d.sync += readout.eq(Mux(end, self.readout_latency + self.lanes - 1, readout - (readout != 0)))
        return Spacing(may_start=tile & (~single | row), read_out=readout == 0)

    def _build_free(
        self, m: Module, end: Value, cycles: Value, words: tuple[Value, Value], name: str
    ) -> Signal:
        """A register: a tile of as many words as the next instruction's, the current one's may begin, so that it ends
        more than ``cycles`` after ``end``."""
        left, then = Signal(len(cycles), name=f"{name}_spacing"), Signal(len(cycles), name=f"{name}_then")
        free = Signal(name=f"{name}_free")
        m.d.comb += then.eq(Mux(end, cycles, left - (left != 0)))
        m.d.sync += [left.eq(then), free.eq(Mux(self.start, then < words[0], then < words[1]))]
        return free

    def _build_word(self, m: Module, current: Current, at: Addresses) -> None:
        """The next word pair, and the address of the next lane parameter."""
        m.d.comb += [
            self.word.first.eq(current.first),
            self.word.last.eq(current.word_last),
            self.word.tile.instruction_first.eq(current.instruction_first),
            self.word.tile.row_first.eq(current.row_first),
            self.word.tile.instruction_last.eq(current.instruction_last),
            self.word.operands.eq(current.fields.operands),
            self.word.slot.eq(current.fields.slot),
            self.word.a_addr.eq(at.a),
            self.word.b_addr.eq(at.b),
            self.p_addr.eq(at.p_row + self.p_lane),
        ]

    def _build_control(self, m: Module, held: Held, room: Value, current: Current, spacing: Spacing) -> None:
        """When an instruction starts, when its lane parameters and its words are asked for."""
        begin = Signal()  # the first state of the instruction that starts follows in the next cycle
        lane_scale = Signal()
        m.d.comb += begin.eq(held.valid & ~held.wrong & room & ~self.stop)
        m.d.comb += lane_scale.eq(held.fields.scale == isa.Scale.LANE)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.start.eq(begin)
                with m.If(begin):
                    m.next = "FEED"
                    with m.If(lane_scale):
                        m.next = "PARAMETERS"
            with m.State("PARAMETERS"):
                m.d.comb += [
                    self.p_valid.eq(spacing.read_out & ~self.stop),
                    self.stall_readout.eq(~spacing.read_out),
                ]
                m.d.comb += self.stall_parameters.eq(spacing.read_out)
                with m.If(self.p_valid):
                    m.d.sync += self.p_lane.eq(self.p_lane + 1)
                    with m.If(self.p_lane == self.lanes - 1):
                        m.next = "FEED"
            with m.State("FEED"):
                m.d.comb += self.word_valid.eq((~current.first | spacing.may_start) & ~self.stop)
                m.d.comb += self.stall_readout.eq(~self.word_valid)
                with m.If(self.word_valid & current.word_last & current.row_last & ~current.again):
                    with m.If(current.fields.scale == isa.Scale.LANE):
                        m.next = "PARAMETERS"
                    with m.If(current.instruction_last):
                        m.d.comb += self.start.eq(begin)
                        m.next = "IDLE"
                        with m.If(begin):
                            m.next = "FEED"
                            with m.If(lane_scale):
                                m.next = "PARAMETERS"
