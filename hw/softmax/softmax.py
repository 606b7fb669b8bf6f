"""Softmax at the readout: running statistics of score rows, one row for each lane, and their row scales.

A variant is a recurrence over the scores and a prologue for the codes it keeps of them, in a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.softmax.base2 import Base2Levels, Base2Recurrence
from vitreous.hw.softmax.blocks import BlockSums
from vitreous.hw.softmax.ibert import IbertLevels, IbertRecurrence
from vitreous.hw.softmax.ita import ItaLevels, ItaRecurrence, RowInverse
from vitreous.hw.softmax.online import OnlineLevels, OnlineRecurrence
from vitreous.hw.softmax.prologue import Levels, ProbabilityPrologue
from vitreous.hw.softmax.recurrence import RowConstants, SoftmaxRecurrence, score_members
from vitreous.hw.softmax.rowscale import FACTOR_BITS, RowResult, RowScale
from vitreous.spec.config import AcceleratorConfig, SoftmaxConfig
from vitreous.spec.limits import SCORE_SLOTS
from vitreous.spec.numbers import MULTIPLIER_BITS, SHIFT_BITS
from vitreous.spec.softmax import CODE, limits
from vitreous.spec.variants import SoftmaxVariant

__all__ = ["VARIANTS", "SoftmaxStatistics", "Variant", "prologue", "recurrence"]


class Variant(NamedTuple):
    """What a softmax is made of in hardware."""

    recurrence: type[SoftmaxRecurrence]
    levels: type[Levels]


VARIANTS: Mapping[SoftmaxVariant, Variant] = {
    SoftmaxVariant.BASE2: Variant(Base2Recurrence, Base2Levels),
    SoftmaxVariant.ONLINE: Variant(OnlineRecurrence, OnlineLevels),
    SoftmaxVariant.IBERT: Variant(IbertRecurrence, IbertLevels),
    SoftmaxVariant.ITA: Variant(ItaRecurrence, ItaLevels),
}


def recurrence(softmax: SoftmaxConfig) -> type[SoftmaxRecurrence]:
    """The recurrence of the configured variant."""
    return VARIANTS[softmax.variant].recurrence


def prologue(config: AcceleratorConfig) -> ProbabilityPrologue:
    """The prologue of the configured variant."""
    maximum_bits = recurrence(config.softmax).maximum_bits(config.softmax)
    levels = VARIANTS[config.softmax.variant].levels
    return ProbabilityPrologue(config, levels(config, maximum_bits=maximum_bits))


def _row_result(softmax: SoftmaxConfig) -> RowResult:
    """From the sum of a row to its multiplier, shift and factor."""
    known = limits(softmax)
    return RowInverse() if known.divided else RowScale(offset=known.row_exponent)


class SoftmaxStatistics(wiring.Component):
    """Coded scores, final maximum, factor and row scale of N rows at a time; lanes are rows, columns are keys.

    Where the variant cuts rows in blocks, each is a row of its own but for the sum that the row scale is made of.

    Latency: ``code`` comes ``LATENCY`` cycles after its column, ``done`` ``scale_latency(config) + N`` cycles after
    ``last``, and with two passes the row's columns later; ``block_done`` ``BLOCK_LATENCY`` cycles after it.
    Throughput: one column a cycle; the next row may begin in the cycle after ``last``.
    Back-pressure: none; the caller keeps ``last`` columns at least N cycles apart, the time in which the divider takes
    the N sums of a row, and with two passes the row's columns further.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``softmax`` and, for two passes, ``memory.score_keys``.

    Members
    -------
    valid, first, last : In, a column of scores is here; it is the row's first, last one.
    score : In, N scores of the format ``SCORE``.
    constants : In, with ``last``: where the row's results go, the constants m_o and s_o, the place of the block.
    o_valid, code : Out, the coded scores.
    level_slot : In, selects ``maximum`` and ``factor``, combinational. scale_slot : ``row_multiplier``, ``row_shift``.
    maximum, factor, row_multiplier, row_shift : Out, for each lane, kept until the slot's next row is final; ``factor``
        is 0 where the variant has none. context_slot, context_maximum : In, Out, the same maximum for another reader.
    done : Out, pulse: the slot of the row whose last block it was has all its results.
    block_done : Out, pulse: the slot of another block has its maximum.
    """

    LATENCY = SoftmaxRecurrence.CODE_LATENCY
    BLOCK_LATENCY = 3

    @staticmethod
    def scale_latency(config: AcceleratorConfig) -> int:
        """Cycles from the last column (of the last pass) to the first lane's results."""
        combined = BlockSums.LATENCY if limits(config.softmax).blocks else 0
        return recurrence(config.softmax).LATENCY + 1 + combined + RowScale.LATENCY

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes = lanes = config.array.lanes
        maximum_bits = recurrence(config.softmax).maximum_bits(config.softmax)
        super().__init__(
            score_members(lanes)
            | {
                "o_valid": Out(1),
                "code": Out(data.ArrayLayout(signed(CODE.width), lanes)),
                "level_slot": In(1),
                "maximum": Out(data.ArrayLayout(signed(maximum_bits), lanes)),
                "factor": Out(data.ArrayLayout(FACTOR_BITS, lanes)),
                "scale_slot": In(1),
                "row_multiplier": Out(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "row_shift": Out(data.ArrayLayout(SHIFT_BITS, lanes)),
                "context_slot": In(1),
                "context_maximum": Out(data.ArrayLayout(signed(maximum_bits), lanes)),
                "done": Out(1),
                "block_done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.recurrence = rows = recurrence(self.config.softmax)(self.config)
        m.submodules.row_result = result = _row_result(self.config.softmax)
        m.d.comb += [getattr(rows, name).eq(getattr(self, name)) for name in score_members(self.lanes)]
        m.d.comb += self.code.eq(rows.code)
        m.d.sync += self.o_valid.eq(self.valid)
        self._build_serializer(m, rows, result)
        self._build_results(m, rows, result)
        return m

    def _build_serializer(self, m: Module, rows: SoftmaxRecurrence, result: RowResult) -> None:
        """The sums of a row move down one lane a cycle, past the divider."""
        current = Signal(RowConstants(), reset_less=True)
        load = rows.o_last
        waiting = Signal(self.lanes)
        m.d.sync += waiting.eq(Mux(load, Const(-1, self.lanes), waiting >> 1))
        with m.If(load):
            m.d.sync += current.eq(rows.o_constants)
        first_sum = self._build_shift(m, load, list(rows.sum), "sum")
        if not limits(self.config.softmax).blocks:
            m.d.comb += [result.valid.eq(waiting[0]), result.sum.eq(first_sum)]
            self._build_constants(m, result, current)
            return
        maximum_bits = rows.maximum_bits(self.config.softmax)
        m.submodules.block_sums = blocks = BlockSums(
            lanes=self.lanes, maximum_bits=maximum_bits, tag_bits=len(current.as_value())
        )
        # A row's maxima are there before its sums, and the next row may begin between the two.
        maxima = Signal.like(rows.maximum.as_value(), name="maxima", reset_less=True)
        with m.If(rows.o_maximum):
            m.d.sync += maxima.eq(rows.maximum.as_value())
        held = [maxima.word_select(lane, maximum_bits) for lane in range(self.lanes)]
        tag = data.View(RowConstants(), blocks.o_tag)
        m.d.comb += [
            blocks.valid.eq(waiting[0]),
            blocks.tag.eq(current),
            blocks.first.eq(current.first_block),
            blocks.sum.eq(first_sum),
            blocks.maximum.eq(self._build_shift(m, load, held, "maximum").as_signed()),
            result.valid.eq(blocks.o_valid & tag.last_block),
            result.sum.eq(blocks.o_sum),
        ]
        self._build_constants(m, result, tag)

    def _build_shift(self, m: Module, load: Value, values: list[Value], name: str) -> Value:
        """Registers of all lanes, loaded at once; each cycle the next lane's is the first one, which is returned."""
        size = len(values[0])
        kept = [Signal(size, name=f"{name}_{lane}", reset_less=True) for lane in range(self.lanes)]
        for lane, following in enumerate([*kept[1:], Const(0, size)]):
            m.d.sync += kept[lane].eq(Mux(load, values[lane], following))
        return kept[0]

    def _build_constants(self, m: Module, result: RowResult, row: data.View[RowConstants]) -> None:
        m.d.comb += [
            result.tag.eq(row.slot),
            result.multiplier.eq(row.multiplier),
            result.shift.eq(row.shift),
        ]

    def _build_results(self, m: Module, rows: SoftmaxRecurrence, result: RowResult) -> None:
        """Results come in the order of the lanes."""
        lane = Signal(range(self.lanes))
        m.d.sync += self.done.eq(result.o_valid & (lane == self.lanes - 1))
        with m.If(result.o_valid):
            m.d.sync += lane.eq(lane + 1)
        here = Signal(self.lanes)
        m.d.comb += here.eq(Mux(result.o_valid, 1 << lane, 0))
        slots, maximum = [self.level_slot, self.context_slot], rows.maximum.as_value()
        kept, again = self._build_kept(m, "maximum", slots, rows.o_maximum, rows.o_slot, maximum)
        m.d.comb += [self.maximum.eq(kept), self.context_maximum.eq(again)]
        if limits(self.config.softmax).blocks:
            m.d.sync += self.block_done.eq(rows.o_maximum & ~rows.o_constants.last_block)
        scale = Cat(result.o_multiplier, result.o_shift).replicate(self.lanes)
        (kept,) = self._build_kept(m, "scale", [self.scale_slot], here, result.o_tag, scale)
        for index in range(self.lanes):
            own = kept.word_select(index, MULTIPLIER_BITS + SHIFT_BITS)
            m.d.comb += Cat(self.row_multiplier[index], self.row_shift[index]).eq(own)
        if isinstance(result, RowInverse):
            factor = result.o_factor.replicate(self.lanes)
            (kept,) = self._build_kept(m, "factor", [self.level_slot], here, result.o_tag, factor)
            m.d.comb += self.factor.eq(kept)

    def _build_kept(
        self, m: Module, name: str, slots: list[Value], enable: Value, write_slot: Value, value: Value
    ) -> list[Value]:
        """One word of all lanes for each slot, in distributed memory: read any time, written as a whole or by lanes.
        Returns what each of ``slots`` selects."""
        bits = len(value)
        kept = Memory(shape=bits, depth=SCORE_SLOTS, init=[], attrs={"ram_style": "distributed"})
        m.submodules[f"kept_{name}"] = kept
        write, reads = kept.write_port(granularity=bits // len(enable)), []
        m.d.comb += [write.en.eq(enable), write.addr.eq(write_slot), write.data.eq(value)]
        for slot in slots:
            read = kept.read_port(domain="comb")
            m.d.comb += read.addr.eq(slot)
            reads.append(read.data)
        return reads
