"""The operand sequencer: turns MATMUL instructions into a gapless sequence of word addresses for the array."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.control.decode_checks import illegal
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, Command, ErrorReport, instruction_layout
from vitreous.hw.softmax.prologue import Plane
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
                "pc": isa.PC_BITS,
            }
        )


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
    config : gives N, V, ``s_depth`` and the softmax.
    readout_latency : cycles from a word that ends a tile to the parameter address of the tile's first column.
    in_flight : instructions that may be started and not retired.

    Members
    -------
    i : In, commands, all of them MATMUL.
    stop : In, nothing starts any more, and no word or parameter is asked for.
    retire : In, an instruction retires.
    start, descriptor, descriptor_pc : Out, an instruction starts: the whole of it, for the readout.
    word_valid, word : Out, a word pair to read now.
    p_valid, p_addr, p_lane, p_pc : Out, a lane parameter to read now.
    busy : Out, an instruction is held, sequenced or not retired.
    error : Out, level: the next instruction is illegal and all previous ones have retired.
    stall_readout, stall_parameters : Out, no word in this cycle because of the readout, of the parameters.
    """

    COMMAND_LATENCY = 2

    def __init__(self, config: AcceleratorConfig, *, readout_latency: int, in_flight: int) -> None:
        self.config, self.lanes = config, config.array.lanes
        self.readout_latency, self.in_flight = readout_latency, in_flight
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
                "p_pc": Out(isa.PC_BITS),
                "busy": Out(1),
                "error": Out(ErrorReport()),
                "stall_readout": Out(1),
                "stall_parameters": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._build_next(m)
        self._build_in_flight(m)
        self._build_current(m)
        self._build_spacing(m)
        self._build_addresses(m)
        self._build_control(m)
        return m

    def _build_next(self, m: Module) -> None:
        """The instruction after the current one, checked when it comes in."""
        self._next = next_ = Signal(Command(), reset_less=True)
        self._held = held = Signal()
        self._wrong = wrong = Signal()
        # k_words where it is shorter than 2 * N, the longest wait: of the next instruction, of the current one.
        self._held_short, self._k_short = (
            Signal(range(2 * self.lanes + 1), name=name, reset_less=True)
            for name in ("held_short", "k_short")
        )
        with m.If(self.start):
            m.d.sync += held.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [next_.eq(self.i.payload), held.eq(1)]
            arriving = data.View(self.layout, self.i.payload.word)
            longest = 2 * self.lanes
            m.d.sync += [
                wrong.eq(illegal(arriving, self.config)),
                self._held_short.eq(Mux(arriving.k_words < longest, arriving.k_words, longest)),
            ]
        self._next_words = self.descriptor.k_words
        m.d.comb += [
            self.i.ready.eq(~held & ~self.stop),
            self.descriptor.as_value().eq(next_.word),
            self.descriptor_pc.eq(next_.pc),
        ]

    def _build_in_flight(self, m: Module) -> None:
        count = Signal(range(self.in_flight + 1))
        m.d.sync += count.eq(count + self.start - self.retire)
        m.d.comb += [
            self.busy.eq(self._held | (count != 0)),
            self.error.valid.eq(self._held & self._wrong & (count == 0)),
            self.error.code.eq(isa.ErrorCode.ILLEGAL_FIELD),
            self.error.pc.eq(self._next.pc),
        ]
        self._room = count != self.in_flight

    def _build_current(self, m: Module) -> None:
        self._current = Signal(self.layout, reset_less=True)
        self._pc = Signal(isa.PC_BITS, reset_less=True)
        self._left = Signal(isa.ADDRESS_BITS, reset_less=True)  # words of the tile that are not out
        self._columns = Signal(isa.ADDRESS_BITS, reset_less=True)  # left in this row of tiles
        self._rows = Signal(12, reset_less=True)  # left, this one included
        self._instruction_first = Signal(reset_less=True)
        self._row_first = Signal(reset_less=True)
        self._instruction_last = Signal()
        # What the next word is: from registers, because a whole instruction may start with it.
        self._first, self._word_last, self._row_last, self._rows_last = (
            Signal(name=f"_{name}", reset_less=True)
            for name in ("first", "word_last", "row_last", "rows_last")
        )
        self._score = Signal(reset_less=True)
        self._low = Signal(reset_less=True)  # the second pass of a tile
        wide = self._current.wide if self.config.softmax.probability_bits == 16 else Const(0, 1)
        self._again = wide & ~self._low
        m.d.comb += [
            self.word.tile.plane.high.eq(self._again),
            self.word.tile.plane.low.eq(wide & self._low),
            self._instruction_last.eq(self._row_last & self._rows_last),
        ]

    def _build_spacing(self, m: Module) -> None:
        """How long after the last word of a tile the next one may end, and parameters may be read."""
        end, last_end = Signal(), Signal()
        single = self._score & self._instruction_last
        m.d.comb += [end.eq(self.word_valid & self._word_last), last_end.eq(end & single)]
        short = (self._held_short, self._k_short)
        tile = self._build_free(m, end, Const(self.lanes - 1), short, "tile")
        # A score row's last column may be its tile's last one, the next row's last one its tile's first.
        cycles, whole = 2 * self.lanes - 2, (self._next_words, self._current.k_words)
        if limits(self.config.softmax).passes == 1:
            row = self._build_free(m, last_end, Const(cycles), short, "score")
        else:
            row = self._build_free(m, last_end, self._current.columns + cycles, whole, "score")
        readout = Signal(range(self.readout_latency + self.lanes), name="readout_spacing")
        m.d.sync += readout.eq(Mux(end, self.readout_latency + self.lanes - 1, readout - (readout != 0)))
        self._may_start = tile & (~single | row)
        self._read_out = readout == 0

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

    def _build_addresses(self, m: Module) -> None:
        """Addresses step by one inside a tile, by the strides between tiles."""
        self._a_row, self._a_addr, self._b_tile, self._b_addr, self._p_row = (
            Signal(WORD_ADDRESS_BITS, name=name, reset_less=True)
            for name in ("a_row", "a_addr", "b_tile", "b_addr", "p_row")
        )
        with m.If(self.word_valid):
            m.d.sync += [
                self._left.eq(self._left - 1),
                self._first.eq(0),
                self._word_last.eq(self._left == 2),
                self._a_addr.eq(self._a_addr + 1),
                self._b_addr.eq(self._b_addr + 1),
            ]
            with m.If(self._word_last):
                m.d.sync += [
                    self._left.eq(self._current.k_words),
                    self._first.eq(1),
                    self._word_last.eq(self._current.k_words == 1),
                    self._low.eq(self._again),
                    self._instruction_first.eq(0),
                    self._row_first.eq(self._row_last & ~self._again),
                ]
                with m.If(self._again):
                    m.d.sync += [self._a_addr.eq(self._a_row), self._b_addr.eq(self._b_tile)]
                with m.Else():
                    self._build_next_tile(m)
        with m.If(self.start):
            self._build_start(m)
        m.d.comb += [
            self.word.first.eq(self._first),
            self.word.last.eq(self._word_last),
            self.word.tile.instruction_first.eq(self._instruction_first),
            self.word.tile.row_first.eq(self._row_first),
            self.word.tile.instruction_last.eq(self._instruction_last),
            self.word.operands.eq(self._current.operands),
            self.word.slot.eq(self._current.slot),
            self.word.a_addr.eq(self._a_addr),
            self.word.b_addr.eq(self._b_addr),
            self.word.pc.eq(self._pc),
            self.p_addr.eq(self._p_row + self.p_lane),
            self.p_pc.eq(self._pc),
        ]

    def _build_next_tile(self, m: Module) -> None:
        """The next tile of B beside the same rows of A; after the last one the next rows of A."""
        current = self._current
        with m.If(self._row_last):
            m.d.sync += [
                self._a_row.eq(self._a_row + current.a_stride),
                self._a_addr.eq(self._a_row + current.a_stride),
                self._b_tile.eq(current.b_base),
                self._b_addr.eq(current.b_base),
                self._p_row.eq(self._p_row + self.lanes),
                self._columns.eq(current.columns),
                self._row_last.eq(current.columns <= self.lanes),
                self._rows.eq(self._rows - 1),
                self._rows_last.eq(self._rows == 2),
            ]
        with m.Else():
            m.d.sync += [
                self._a_addr.eq(self._a_row),
                self._b_tile.eq(self._b_tile + current.b_stride),
                self._b_addr.eq(self._b_tile + current.b_stride),
                self._columns.eq(self._columns - self.lanes),
                self._row_last.eq(self._columns <= 2 * self.lanes),
            ]

    def _build_start(self, m: Module) -> None:
        """The held instruction becomes the current one. The probabilities of a slot start at its word 0."""
        following = self.descriptor
        a_base = Mux(following.operands == isa.Operands.SW, 0, following.a_base)
        m.d.sync += [
            self._a_row.eq(a_base),
            self._a_addr.eq(a_base),
            self._b_tile.eq(following.b_base),
            self._b_addr.eq(following.b_base),
            self._p_row.eq(following.p_base),
            self._left.eq(following.k_words),
            self._first.eq(1),
            self._word_last.eq(following.k_words == 1),
            self._k_short.eq(self._held_short),
            self._score.eq(following.destination == isa.Memory.S),
            self._columns.eq(following.columns),
            self._row_last.eq(following.columns <= self.lanes),
            self._rows.eq(following.row_tiles),
            self._rows_last.eq(following.row_tiles == 1),
            self._current.eq(following),
            self._pc.eq(self._next.pc),
            self._low.eq(0),
            Cat(self._instruction_first, self._row_first).eq(3),
        ]

    def _build_control(self, m: Module) -> None:
        current = self._current
        begin = Signal()  # the first state of the instruction that starts follows in the next cycle
        lane_scale = Signal()
        m.d.comb += begin.eq(self._held & ~self._wrong & self._room & ~self.stop)
        m.d.comb += lane_scale.eq(self.descriptor.scale == isa.Scale.LANE)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.start.eq(begin)
                with m.If(begin):
                    m.next = "FEED"
                    with m.If(lane_scale):
                        m.next = "PARAMETERS"
            with m.State("PARAMETERS"):
                m.d.comb += [
                    self.p_valid.eq(self._read_out & ~self.stop),
                    self.stall_readout.eq(~self._read_out),
                ]
                m.d.comb += self.stall_parameters.eq(self._read_out)
                with m.If(self.p_valid):
                    m.d.sync += self.p_lane.eq(self.p_lane + 1)
                    with m.If(self.p_lane == self.lanes - 1):
                        m.next = "FEED"
            with m.State("FEED"):
                m.d.comb += self.word_valid.eq((~self._first | self._may_start) & ~self.stop)
                m.d.comb += self.stall_readout.eq(~self.word_valid)
                with m.If(self.word_valid & self._word_last & self._row_last & ~self._again):
                    with m.If(current.scale == isa.Scale.LANE):
                        m.next = "PARAMETERS"
                    with m.If(self._instruction_last):
                        m.d.comb += self.start.eq(begin)
                        m.next = "IDLE"
                        with m.If(begin):
                            m.next = "FEED"
                            with m.If(lane_scale):
                                m.next = "PARAMETERS"
