"""The output-stationary array: N x N processing elements, and a column of their shadow.

Stages (cycle 0 has the words at ``a`` and ``b``):
    1  operand registers
    2  products
    3  their sums
    4  accumulators: ``first`` loads, the other words add; the shadow holds the tile, if cycle 0 had its ``last`` word
Beside them ``select`` picks a column of the shadow, registered in ``column`` one cycle later.
"""

from __future__ import annotations

from typing import assert_never

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.matrix.array_dsp import SkewedArray
from vitreous.hw.matrix.processing_element import Flags, ProcessingElement
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS
from vitreous.spec.variants import Multiplier


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

    SHADOW_LATENCY = 1 + ProcessingElement.LATENCY
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
        match self.config.array.multiplier:
            case Multiplier.PLAIN:
                self._build_plain(m, platform)
            case Multiplier.ACCUMULATE | Multiplier.PACKED:
                m.submodules.skewed = skewed = SkewedArray(self.config, self.signature)
                wiring.connect(m, wiring.flipped(self), skewed)
            case _:
                assert_never(self.config.array.multiplier)
        return m

    def _build_plain(self, m: Module, platform: object) -> None:
        """Each element sums in logic."""
        flags = self._build_flags(m)
        a = self._build_operands(m, self.a, "a")
        b = self._build_operands(m, self.b, "b")
        element = ProcessingElement(depth=self.depth)
        shadow = [
            [
                element.build(m, a[i], b[j], flags, name=f"{i}_{j}", platform=platform)
                for j in range(self.lanes)
            ]
            for i in range(self.lanes)
        ]
        self._build_column(m, shadow)

    def _build_flags(self, m: Module) -> Flags:
        """Cycles 1 to 3: the flags of a word come to the elements with what they are about."""
        flags = Cat(self.valid & self.first, self.valid, self.valid & self.last)
        stages = delay_line(m, flags, ProcessingElement.LATENCY, name="flags")
        return Flags(load=stages[3][0], take=stages[3][1], copy=stages[3][2])

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

    def _build_column(self, m: Module, shadow: list[list[Signal]]) -> None:
        column = Signal.like(self.column, name="column_register", reset_less=True)
        with m.Switch(self.select):
            for j in range(self.lanes):
                with m.Case(j):
                    m.d.sync += column.as_value().eq(Cat(*(row[j] for row in shadow)))
        m.d.comb += self.column.eq(column)
