"""The processing element of the array: a V-deep dot product, its accumulator and the accumulator's shadow.

Stages (cycle 1 has the operands, from the array's registers; its flags come later, with what they are about):
    2  dot product, 16 + log2 V bits
    3  accumulator, 32 bits: ``load`` forgets what was there
    4  shadow, if the word was the last of its tile
"""

from __future__ import annotations

from functools import reduce
from operator import add

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive
from vitreous.spec.numbers import ACCUMULATOR_BITS


class ProcessingElement(wiring.Component):
    """``acc = sum_v a[v] * b[v] + (0 if load else acc)`` where ``take``; ``shadow = acc`` where ``copy``.

    Latency: ``LATENCY`` cycles from the last operands of a tile to ``shadow``; ``take`` and ``load`` come 1 cycle after
    their operands, ``copy`` 2 cycles after the last ones.
    Throughput: one pair of operands a cycle.
    Back-pressure: none; ``shadow`` stays until the next ``copy``.

    Parameters
    ----------
    depth : V, products in a cycle.

    Members
    -------
    a, b : In, V signed bytes each.
    take, load : In, the operands of the cycle before count; they are the first of their tile.
    copy : In, the sum is complete.
    shadow : Out, the sum of the tile before. The caller proves that no sum needs more than 32 bits.

    Raises ValueError when ``depth`` is not positive.
    """

    LATENCY = 3

    def __init__(self, *, depth: int) -> None:
        self._depth = positive("Depth", depth)
        operands = data.ArrayLayout(signed(8), depth)
        super().__init__(
            {
                "a": In(operands),
                "b": In(operands),
                "take": In(1),
                "load": In(1),
                "copy": In(1),
                "shadow": Out(signed(ACCUMULATOR_BITS)),
            }
        )

    @property
    def depth(self) -> int:
        """Products in a cycle."""
        return self._depth

    def elaborate(self, platform: object) -> Module:
        m = Module()
        products = [self.a[v] * self.b[v] for v in range(self.depth)]
        dot = Signal(signed(15 + self.depth.bit_length()), reset_less=True)
        acc = Signal(signed(ACCUMULATOR_BITS), reset_less=True)
        held = Signal(signed(ACCUMULATOR_BITS), reset_less=True)
        # Each choice inside its register's expression: one condition around all simulates 2.6 times slower.
        m.d.sync += [
            dot.eq(reduce(add, products)),
            acc.eq(Mux(self.take, dot + Mux(self.load, 0, acc), acc)),
            held.eq(Mux(self.copy, acc, held)),
        ]
        m.d.comb += self.shadow.eq(held)
        return m
