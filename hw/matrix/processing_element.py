"""The processing element of the array: V products, the accumulator of their sums and the accumulator's shadow.

Stages (cycle 1 has the operands, from the array's registers; its flags come later, with what they are about):
    2  products, 16 bits: a multiplier takes as long as all additions, and has a register of its own in a DSP block
    3  their sum, 16 + log2 V bits
    4  accumulator, 32 bits: ``load`` forgets what was there; and shadow, if the word was the last of its tile
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, Value, signed

from vitreous.hw.checks import positive
from vitreous.hw.matrix.mult18x18d import registered_product
from vitreous.spec.numbers import ACCUMULATOR_BITS


class Flags(NamedTuple):
    """What every element is told.

    take, load, copy : the operands of two cycles before count; they are the first, the last ones of their tile.
    """

    take: Value
    load: Value
    copy: Value


class ProcessingElement:
    """``total = sum_v a[v] * b[v] + (0 if load else acc)``; ``acc = total`` where ``take``; ``shadow = total`` where
    ``copy``.

    It is built into the array's module: a module for each element simulates 1.4 times slower at 16 x 16.

    Latency: ``LATENCY`` cycles from the last operands of a tile to its shadow; flags come 2 cycles after their
    operands.
    Throughput: one pair of operands a cycle.
    Back-pressure: none; the shadow stays until the next ``copy``.

    Parameters
    ----------
    depth : V, products in a cycle.

    Raises ValueError when ``depth`` is not positive.
    """

    LATENCY = 3

    def __init__(self, *, depth: int) -> None:
        self._depth = positive("Depth", depth)

    @property
    def depth(self) -> int:
        """Products in a cycle."""
        return self._depth

    def build(
        self, m: Module, a: Sequence[Value], b: Sequence[Value], flags: Flags, *, name: str, platform: object
    ) -> Signal:
        """One element in ``m``, its registers named ``acc_name`` and so on, from V signed bytes each. Returns the
        shadow: the sum of the tile before; the caller proves that no sum needs more than 32 bits."""
        products = [
            registered_product(m, x, y, name=f"product_{name}_{v}", platform=platform)
            for v, (x, y) in enumerate(zip(a, b, strict=True))
        ]
        dot = Signal(signed(15 + self.depth.bit_length()), name=f"dot_{name}", reset_less=True)
        acc = Signal(signed(ACCUMULATOR_BITS), name=f"acc_{name}", reset_less=True)
        shadow = Signal(signed(ACCUMULATOR_BITS), name=f"shadow_{name}", reset_less=True)
        total = Signal(signed(ACCUMULATOR_BITS), name=f"total_{name}")
        m.d.comb += total.eq(dot + Mux(flags.load, 0, acc))
        # Each choice inside its register's expression: one condition around all simulates 2.6 times slower.
        m.d.sync += [
            dot.eq(reduce(add, products)),
            acc.eq(Mux(flags.take, total, acc)),
            shadow.eq(Mux(flags.copy, total, shadow)),
        ]
        return shadow
