"""The output-stationary array: N x N accumulators, each after a V-deep dot product, and their shadow.

Stages (cycle 0 has the words at ``a`` and ``b``):
    1  operand registers
    2  dot products, N x N registers of 16 + log2 V bits
    3  accumulators: ``first`` loads, the other words add
    4  the shadow holds the tile, if cycle 0 had its ``last`` word
Beside them ``select`` picks a column of the shadow, registered in ``column`` one cycle later.
"""

from __future__ import annotations

from functools import reduce
from operator import add

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.matrix.array_dsp import SkewedArray
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS


class Array(wiring.Component):
    """``acc[i][j] = sum_k sum_v a[k][i*V + v] * b[k][j*V + v]`` over the words ``k`` of a tile.

    Latency: ``SHADOW_LATENCY`` cycles from the last word of a tile to its first cycle in the shadow,
    ``COLUMN_LATENCY`` from ``select`` to ``column``.
    Throughput: one word pair a cycle, tiles without a gap; a tile stays in the shadow until the next one ends.
    Back-pressure: none; the operand sequencer keeps the ends of tiles N cycles apart.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``array.depth`` (V).

    Members
    -------
    valid, first, last : In, a word pair is here; it is the first, the last one of its tile.
    a, b : In, words of N lanes of V signed bytes.
    select : In, column of the shadow.
    column : Out, the N accumulators of that column, lane 0 first.
    """

    SHADOW_LATENCY = 4
    COLUMN_LATENCY = 1

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes, self.depth = config.array.lanes, config.array.depth
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "a": In(8 * config.panel_word_bytes),
                "b": In(8 * config.panel_word_bytes),
                "select": In(range(self.lanes)),
                "column": Out(data.ArrayLayout(signed(ACCUMULATOR_BITS), self.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.config.array.multiplier != "plain":
            m.submodules.skewed = skewed = SkewedArray(self.config, self.signature)
            wiring.connect(m, wiring.flipped(self), skewed)
            return m
        flags = Cat(self.valid & self.first, self.valid, self.valid & self.last)
        stages = [flags]
        for stage in (1, 2, 3):
            stages.append(Signal(3, name=f"flags_{stage}"))
            m.d.sync += stages[stage].eq(stages[stage - 1])
        load, take = stages[2][0], stages[2][1]
        copy = stages[3][2]
        a = self._build_operands(m, self.a, "a")
        b = self._build_operands(m, self.b, "b")
        shadow = [
            [self._build_element(m, i, j, a[i], b[j], load, take, copy) for j in range(self.lanes)]
            for i in range(self.lanes)
        ]
        self._build_column(m, shadow)
        return m

    def _build_operands(self, m: Module, word: Value, name: str) -> list[list[Signal]]:
        """Cycle 1: one register for each byte of a word."""
        lanes = []
        for lane in range(self.lanes):
            lanes.append(
                [Signal(signed(8), name=f"{name}_{lane}_{v}", reset_less=True) for v in range(self.depth)]
            )
            for v, operand in enumerate(lanes[lane]):
                m.d.sync += operand.eq(word.word_select(lane * self.depth + v, 8).as_signed())
        return lanes

    def _build_element(
        self,
        m: Module,
        i: int,
        j: int,
        a: list[Signal],
        b: list[Signal],
        load: Value,
        take: Value,
        copy: Value,
    ) -> Signal:
        """Cycles 2 to 4 of one processing element; returns its place in the shadow."""
        products = [x * y for x, y in zip(a, b, strict=True)]
        dot = Signal(signed(15 + self.depth.bit_length()), name=f"dot_{i}_{j}", reset_less=True)
        acc = Signal(signed(ACCUMULATOR_BITS), name=f"acc_{i}_{j}", reset_less=True)
        shadow = Signal(signed(ACCUMULATOR_BITS), name=f"shadow_{i}_{j}", reset_less=True)
        m.d.sync += [
            dot.eq(reduce(add, products)),
            acc.eq(Mux(take, dot + Mux(load, 0, acc), acc)),
            shadow.eq(Mux(copy, acc, shadow)),
        ]
        return shadow

    def _build_column(self, m: Module, shadow: list[list[Signal]]) -> None:
        column = Signal.like(self.column, name="column_register", reset_less=True)
        with m.Switch(self.select):
            for j in range(self.lanes):
                with m.Case(j):
                    m.d.sync += column.as_value().eq(Cat(*(row[j] for row in shadow)))
        m.d.comb += self.column.eq(column)
