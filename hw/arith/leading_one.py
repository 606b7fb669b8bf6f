"""The leading one of a number and the number shifted so that it is on top: the first step of a division and of a root.

Stages:
    1  the upper half of the binary search
    2  the lower half
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class LeadingOne(wiring.Component):
    """``exponent = bit_length(i) - 1`` and ``o = i << (width - 1 - exponent)``; both 0 for ``i = 0``.

    Latency: ``LATENCY`` cycles.
    Throughput: one number a cycle.
    Back-pressure: none.

    Parameters
    ----------
    width : bits of the number, a power of two.

    Members
    -------
    i : In, the number.
    exponent : Out, place of its leading one.
    o : Out, the number with its leading one in bit ``width - 1``.

    Raises ValueError when ``width`` is not a power of two of at least 4.
    """

    LATENCY = 2

    def __init__(self, *, width: int) -> None:
        if width < 4 or width & (width - 1):
            raise ValueError(f"Width must be a power of two of at least 4, not {width!r}")
        self.width = width
        self.levels = width.bit_length() - 1
        super().__init__({"i": In(width), "exponent": Out(range(width)), "o": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        split = self.levels // 2
        # Cycle 1
        upper, upper_bits = self._search(self.i, range(self.levels - 1, split - 1, -1))
        value = Signal(self.width, reset_less=True)
        found = Signal(self.levels - split, reset_less=True)
        m.d.sync += [value.eq(upper), found.eq(Cat(*reversed(upper_bits)))]
        # Cycle 2
        lower, lower_bits = self._search(value, range(split - 1, -1, -1))
        o = Signal(self.width, reset_less=True)
        exponent = Signal(self.levels, reset_less=True)
        m.d.sync += [o.eq(lower), exponent.eq(Cat(*reversed(lower_bits), found))]
        m.d.comb += [self.o.eq(o), self.exponent.eq(exponent)]
        return m

    def _search(self, value: Value, levels: range) -> tuple[Value, list[Value]]:
        """Shift by ``2**level`` where that many upper bits are zero; a bit of the exponent is 1 where they are not."""
        bits = []
        for level in levels:
            distance = 1 << level
            occupied = value[self.width - distance :].any()
            value = Mux(occupied, value, (value << distance)[: self.width])
            bits.append(occupied)
        return value, bits
