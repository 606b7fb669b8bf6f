"""The sum of the mean over tokens: a tree adds the lanes of a column of the residual stream, column after column.

Stages:
    1              lanes that count
    2 .. log2 N+1  one level of the tree each
    log2 N+2       the running sum
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.checks import power_of_two
from vitreous.spec.limits import POOL_TOKENS

POOL_BITS = 16 + exact_log2(POOL_TOKENS)


class PoolSum(wiring.Component):
    """The sum of all lanes of the columns since ``first``; of a ``first`` column only the lanes in ``begin``, of a
    ``last`` one those in ``mask``.

    Latency: ``latency`` cycles. Throughput: one column a cycle. Back-pressure: none.

    Parameters
    ----------
    lanes : a power of two.

    Members
    -------
    valid, first, last : In, a column is here; it is a channel's first, last one.
    begin, mask : In, one bit for each lane.
    x : In, N values.
    o_last : Out, ``sum`` is that of a whole channel in this cycle.
    sum : Out, exact for 4096 values.
    """

    def __init__(self, *, lanes: int) -> None:
        self.lanes = power_of_two("Lanes", lanes)
        self.levels = exact_log2(lanes)
        self.latency = 2 + self.levels
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "begin": In(lanes),
                "mask": In(lanes),
                "x": In(data.ArrayLayout(signed(16), lanes)),
                "o_last": Out(1),
                "sum": Out(signed(POOL_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, self.latency - 1, name="valid")[-1]
        first = delay_line(m, self.first, self.latency - 1, name="first", reset_less=True)[-1]
        last = delay_line(m, self.valid & self.last, self.latency, name="last")[-1]
        # Cycle 1
        terms = []
        for lane in range(self.lanes):
            terms.append(Signal(signed(16), name=f"x_{lane}", reset_less=True))
            inside = (~self.last | self.mask[lane]) & (~self.first | self.begin[lane])
            m.d.sync += terms[lane].eq(Mux(inside, self.x[lane], 0))
        # Cycles 2 and following: one level of the tree each.
        for level in range(1, self.levels + 1):
            pairs = zip(terms[::2], terms[1::2], strict=True)
            terms = []
            for index, (a, b) in enumerate(pairs):
                terms.append(Signal(signed(16 + level), name=f"tree_{level}_{index}", reset_less=True))
                m.d.sync += terms[index].eq(a + b)
        # Last cycle
        total = Signal(signed(POOL_BITS), name="total", reset_less=True)
        m.d.sync += total.eq(Mux(valid, terms[0] + Mux(first, 0, total), total))
        m.d.comb += [self.sum.eq(total), self.o_last.eq(last)]
        return m
