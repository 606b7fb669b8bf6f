"""Accesses beyond the end of a memory, on their way to the end of the pipeline, where the oldest comes out first."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.checks import positive


class Faults(wiring.Component):
    """A word pair is read some 30 cycles before the results of the instruction before it are written, so a fault is not
    reported where it happens: the tile and its columns carry it to the stage of the last writes, in order.

    Latency: ``word_stages`` cycles from a word to ``tile``; a column's fault goes with its column.
    Throughput: one word and one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    word_stages : cycles from the address of a word pair to the start of its tile's readout.
    residual_stage, result_stage : those of the read and of the write of R, from a column's parameter address on; X and
        W are written one later.

    Members
    -------
    word : In, the word pair whose addresses are out is not there. lane : In, a lane parameter is not, for all tiles
        that follow.
    tile : Out, a word or a lane parameter of the tile whose readout starts, or one before it, was not there.
    column : In, at stage 0: the column is of such a tile, or its parameter is not there.
    residual, result : In, at these stages: the column's word of R is not there.
    before_result, before_write : Out, that of the column one cycle before these stages, as far as it is known.
    write : Out, the column at the last stage has a fault.
    """

    def __init__(self, *, word_stages: int, residual_stage: int, result_stage: int) -> None:
        self._word_stages = positive("Word stages", word_stages)
        self._residual_stage = positive("Residual stage", residual_stage)
        self._result_stage = positive("Result stage", result_stage)
        inputs = ("word", "lane", "column", "residual", "result")
        outputs = ("tile", "before_result", "before_write", "write")
        super().__init__({name: In(1) for name in inputs} | {name: Out(1) for name in outputs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        met, word = Signal(name="met"), Signal(name="word")
        m.d.comb += word.eq(self.word | met)
        with m.If(self.word | self.lane):
            m.d.sync += met.eq(1)
        m.d.comb += self.tile.eq(delay_line(m, word, self._word_stages, name="word")[-1])
        taken = delay_line(m, self.column, self._residual_stage, name="column")[-1] | self.residual
        left = self._result_stage - self._residual_stage
        stages = delay_line(m, taken, left, name="residual")
        m.d.comb += [self.before_result.eq(stages[-2]), self.before_write.eq(stages[-1])]
        m.d.sync += self.write.eq(stages[-1] | self.result)
        return m
