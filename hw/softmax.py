"""Softmax at the drain: running statistics of score rows, one row for each lane, and their row scales."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.rowscale import SUM_BITS, RowScale
from vitreous.hw.softmax_base2 import Base2Recurrence
from vitreous.hw.softmax_online import OnlineRecurrence
from vitreous.hw.softmax_prologue import ProbabilityPrologue
from vitreous.hw.softmax_recurrence import SoftmaxRecurrence
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import MULTIPLIER_BITS, SHIFT_BITS

__all__ = ["ProbabilityPrologue", "SoftmaxStatistics", "masked_code"]

SLOTS = 2


def recurrence(config: AcceleratorConfig) -> type[SoftmaxRecurrence]:
    """The recurrence of the configured variant."""
    return OnlineRecurrence if config.softmax.variant == "online" else Base2Recurrence


def masked_code(config: AcceleratorConfig) -> int:
    """The 16-bit code of a key that does not exist: its probability is 0."""
    return recurrence(config).MASKED_CODE


class SoftmaxStatistics(wiring.Component):
    """Coded scores, final maximum and row scale of N rows at a time; lanes are rows, columns are keys.

    Latency: ``code`` comes ``LATENCY`` cycles after its column, ``done`` ``SCALE_LATENCY + N`` cycles after ``last``.
    Throughput: one column a cycle; the next row may begin in the cycle after ``last``.
    Back-pressure: none; the caller keeps ``last`` columns at least N cycles apart, the time in which the divider takes
    the N sums of a row.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``softmax``.

    Members
    -------
    valid, first, last : In, a column of scores is here; it is the row's first, last one.
    slot : In, with ``last``: where the row's results go.
    score : In, N scores of 15 bits signed.
    multiplier, shift : In, with ``last``: the constants m_o and s_o.
    o_valid, code : Out, the coded scores.
    maximum, row_multiplier, row_shift : Out, ``[slot][lane]``, kept until the slot's next row is final.
    done : Out, pulse: the slot of the last row has all its results.
    """

    LATENCY = SoftmaxRecurrence.CODE_LATENCY
    SCALE_LATENCY = SoftmaxRecurrence.LATENCY + 1 + RowScale.LATENCY

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config, self.lanes = config, config.array.lanes

        def slots(shape: Any) -> data.ArrayLayout:
            return data.ArrayLayout(data.ArrayLayout(shape, self.lanes), SLOTS)

        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "slot": In(1),
                "score": In(data.ArrayLayout(signed(16), self.lanes)),
                "multiplier": In(MULTIPLIER_BITS),
                "shift": In(SHIFT_BITS),
                "o_valid": Out(1),
                "code": Out(data.ArrayLayout(16, self.lanes)),
                "maximum": Out(slots(signed(16))),
                "row_multiplier": Out(slots(MULTIPLIER_BITS)),
                "row_shift": Out(slots(SHIFT_BITS)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        variant = recurrence(self.config)
        m.submodules.recurrence = rows = variant(self.config)
        m.submodules.row_scale = row_scale = RowScale(offset=variant.ROW_SCALE_OFFSET)
        m.d.comb += [
            rows.valid.eq(self.valid),
            rows.first.eq(self.first),
            rows.last.eq(self.last),
            rows.score.eq(self.score),
            self.code.eq(rows.code),
        ]
        m.d.sync += self.o_valid.eq(self.valid)
        self._build_serializer(m, rows, row_scale)
        self._build_results(m, row_scale)
        return m

    def _build_serializer(self, m: Module, rows: SoftmaxRecurrence, row_scale: RowScale) -> None:
        """The sums of a row move down one lane a cycle, past the divider."""
        constants = data.StructLayout({"slot": 1, "multiplier": MULTIPLIER_BITS, "shift": SHIFT_BITS})
        sampled = Signal(constants, reset_less=True)
        current = Signal(constants, reset_less=True)
        # Of the row in the recurrence: it is over before the next row's `last` can come.
        with m.If(self.valid & self.last):
            m.d.sync += [
                sampled.slot.eq(self.slot),
                sampled.multiplier.eq(self.multiplier),
                sampled.shift.eq(self.shift),
            ]
        load = rows.o_last
        maximum = Signal.like(self.maximum, name="final_maximum", reset_less=True)
        m.d.comb += self.maximum.eq(maximum)
        waiting = Signal(self.lanes)
        m.d.sync += waiting.eq(Mux(load, Const(-1, self.lanes), waiting >> 1))
        with m.If(load):
            m.d.sync += current.eq(sampled)
            for slot in range(SLOTS):
                with m.If(sampled.slot == slot):
                    m.d.sync += maximum[slot].eq(rows.maximum)
        sums = [Signal(SUM_BITS, name=f"sum_{lane}", reset_less=True) for lane in range(self.lanes)]
        for lane, following in enumerate([*sums[1:], Const(0, SUM_BITS)]):
            m.d.sync += sums[lane].eq(Mux(load, rows.sum[lane], following))
        m.d.comb += [
            row_scale.valid.eq(waiting[0]),
            row_scale.tag.eq(current.slot),
            row_scale.sum.eq(sums[0]),
            row_scale.multiplier.eq(current.multiplier),
            row_scale.shift.eq(current.shift),
        ]

    def _build_results(self, m: Module, row_scale: RowScale) -> None:
        """Row scales come in the order of the lanes."""
        multiplier = Signal.like(self.row_multiplier, name="final_multiplier", reset_less=True)
        shift = Signal.like(self.row_shift, name="final_shift", reset_less=True)
        m.d.comb += [self.row_multiplier.eq(multiplier), self.row_shift.eq(shift)]
        lane = Signal(range(self.lanes))
        m.d.sync += self.done.eq(row_scale.o_valid & (lane == self.lanes - 1))
        with m.If(row_scale.o_valid):
            m.d.sync += lane.eq(lane + 1)
        for slot in range(SLOTS):
            for index in range(self.lanes):
                with m.If(row_scale.o_valid & (row_scale.o_tag == slot) & (lane == index)):
                    m.d.sync += [
                        multiplier[slot][index].eq(row_scale.o_multiplier),
                        shift[slot][index].eq(row_scale.o_shift),
                    ]
