"""The score buffer S: coded scores on their way in, probabilities on their way out, and the statistics of their rows.

Stages in (cycle 0 has the score column): softmax statistics, memory write. A column writes its own elements of a word;
the first one of a word also the others, with masked codes.
Stages out (cycle 0 has the address): memory read, prologue.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.gating import gated
from vitreous.hw.memory.ram import Ram
from vitreous.hw.softmax.prologue import ProbabilityPrologue
from vitreous.hw.softmax.recurrence import RowConstants
from vitreous.hw.softmax.rounding import Plane
from vitreous.hw.softmax.softmax import VARIANTS, SoftmaxStatistics, prologue, recurrence
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.layout import memory_words, word_bits
from vitreous.spec.numbers import MULTIPLIER_BITS, SCORE, SHIFT_BITS
from vitreous.spec.softmax import CODE, MASKED_CODE, limits


class ScoreTag(data.StructLayout):
    """``first`` and ``last`` of a score row, ``emit``: completes a word, ``index`` in the word, ``word`` of the
    slot; ``row``: what belongs to the row as a whole."""

    def __init__(self, config: AcceleratorConfig) -> None:
        super().__init__(
            {
                "first": 1,
                "last": 1,
                "emit": 1,
                "index": range(config.array.depth),
                "word": range(config.s_depth),
                "row": RowConstants(),
            }
        )


class Scores(wiring.Component):
    """Keeps two query tiles of scores (slots) of ``s_depth`` words each; a word is ``[lane][v]`` codes.

    Latency: ``WRITE_LATENCY`` cycles from a column to its write; ``read_latency`` from an
    address to its probabilities; a row's ``done`` comes when its statistics are final, ``block_done`` of a block that
    is not its row's last ``BLOCK_LATENCY`` cycles after its last column.
    Throughput: one column in and one word out a cycle.
    Back-pressure: none; the last columns of two rows are at least N cycles apart.

    Parameters
    ----------
    config : gives N, V, ``s_depth`` and the softmax.

    Members
    -------
    coming : In, a score column comes in the next cycle.
    valid, tag, score : In, it is here.
    read_valid, read_first, read_slot, read_word, plane : In, a word to read, whether it is a row's first, which byte
        plane of its probabilities.
    o : Out, these.
    scale_slot : In, selects ``row_multiplier`` and ``row_shift``, combinational. context_slot : ``context_maximum``.
    written : Out, a word is written.
    done : Out, a row is complete: all words written, maximum, multipliers and shifts final. block_done : Out, another
        block of a row is.
    """

    WRITE_LATENCY = SoftmaxStatistics.LATENCY
    BLOCK_LATENCY = SoftmaxStatistics.BLOCK_LATENCY

    @staticmethod
    def read_latency(config: AcceleratorConfig) -> int:
        """Cycles from a word's address to its probabilities."""
        return 1 + ProbabilityPrologue.latency(VARIANTS[config.softmax.variant].levels)

    @staticmethod
    def done_latency(config: AcceleratorConfig, columns: int) -> int:
        """Cycles from the last score of a row of ``columns`` keys to its ``done``."""
        again = (limits(config.softmax).passes - 1) * columns
        return SoftmaxStatistics.scale_latency(config) + config.array.lanes + again

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes, self.depth = config.array.lanes, config.array.depth
        maximum_bits = recurrence(config.softmax).maximum_bits(config.softmax)
        super().__init__(
            {
                "coming": In(1),
                "valid": In(1),
                "tag": In(ScoreTag(config)),
                "score": In(data.ArrayLayout(signed(SCORE.width), self.lanes)),
                "read_valid": In(1),
                "read_first": In(1),
                "read_slot": In(1),
                "read_word": In(isa.ADDRESS_BITS),
                "plane": In(Plane()),
                "o": Out(8 * config.panel_word_bytes),
                "scale_slot": In(1),
                "row_multiplier": Out(data.ArrayLayout(MULTIPLIER_BITS, self.lanes)),
                "row_shift": Out(data.ArrayLayout(SHIFT_BITS, self.lanes)),
                "context_slot": In(1),
                "context_maximum": Out(data.ArrayLayout(signed(maximum_bits), self.lanes)),
                "written": Out(1),
                "done": Out(1),
                "block_done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        statistics = SoftmaxStatistics(self.config)
        span = self.done_latency(self.config, self.config.memory.score_keys)
        gated(m, statistics, coming=self.coming, cycles=span, name="statistics")
        memory = Ram(
            words=memory_words(self.config, isa.Memory.S),
            bits=word_bits(self.config, isa.Memory.S),
            mask_bits=CODE.width,
        )
        m.submodules[memory.module_name] = memory
        m.d.comb += [
            statistics.scale_slot.eq(self.scale_slot),
            self.row_multiplier.eq(statistics.row_multiplier),
            self.row_shift.eq(statistics.row_shift),
            statistics.context_slot.eq(self.context_slot),
            self.context_maximum.eq(statistics.context_maximum),
        ]
        self._build_write(m, statistics, memory)
        self._build_read(m, statistics, memory)
        return m

    def _build_write(self, m: Module, statistics: SoftmaxStatistics, memory: Ram) -> None:
        tag = delay_line(m, self.tag, self.WRITE_LATENCY, name="tag", reset_less=True)[-1]
        emit = delay_line(m, self.valid & self.tag.emit, self.WRITE_LATENCY, name="emit")[-1]
        first = tag.index == 0
        elements = Signal(self.depth)
        m.d.comb += elements.eq(Mux(first, -1, 1 << tag.index))
        with m.If(statistics.o_valid):
            m.d.comb += memory.write_en.eq(elements.replicate(self.lanes))
        for lane in range(self.lanes):
            code = statistics.code[lane]
            for v in range(self.depth):
                data = Mux(first, MASKED_CODE, code) if v else code
                m.d.comb += memory.write_data.word_select(lane * self.depth + v, CODE.width).eq(data)
        m.d.comb += [
            statistics.valid.eq(self.valid),
            statistics.score.eq(self.score),
            memory.write_addr.eq(self._address(tag.row.slot, tag.word)),
            self.written.eq(emit),
            self.done.eq(statistics.done),
            self.block_done.eq(statistics.block_done),
        ]
        m.d.comb += [
            statistics.first.eq(self.tag.first),
            statistics.last.eq(self.tag.last),
            statistics.constants.eq(self.tag.row),
        ]

    def _build_read(self, m: Module, statistics: SoftmaxStatistics, memory: Ram) -> None:
        found = prologue(self.config)
        gated(m, found, coming=self.read_valid, cycles=self.read_latency(self.config) - 1, name="prologue")
        first = Signal(reset_less=True)
        slot = Signal(reset_less=True)
        plane = Signal(Plane(), reset_less=True)
        m.d.sync += [first.eq(self.read_first), slot.eq(self.read_slot), plane.eq(self.plane)]
        m.d.comb += [
            memory.read_en.eq(self.read_valid),
            memory.read_addr.eq(self._address(self.read_slot, self.read_word)),
            found.first.eq(first),
            found.code.eq(memory.read_data),
            statistics.level_slot.eq(slot),
            found.maximum.eq(statistics.maximum),
            found.factor.eq(statistics.factor),
            found.plane.eq(plane),
            self.o.eq(found.o),
        ]

    def _address(self, slot: Value, word: Value) -> Value:
        return Mux(slot, word + self.config.s_depth, word)
