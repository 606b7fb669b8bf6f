"""What the row unit does to a column of the residual stream: sums for layer norm, centring, the sum of a pool."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.delay import delay_line
from vitreous.hw.norm_scale import CHANNELS_BITS, SQUARES_BITS, SUM_BITS

CENTRED_BITS = 30


def _column(lanes: int) -> data.ArrayLayout:
    return data.ArrayLayout(signed(16), lanes)


class RowStatistics(wiring.Component):
    """``sum = sum x``, ``squares = sum x*x`` over the columns since ``first``, exact, for each lane.

    Latency: ``LATENCY`` cycles. Throughput: one column a cycle. Back-pressure: none.

    Members
    -------
    valid, first : In, a column is here; it is a tile's first.
    x : In, N values.
    sum, squares : Out, kept while no column comes.
    """

    LATENCY = 2

    def __init__(self, *, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "x": In(_column(lanes)),
                "sum": Out(data.ArrayLayout(signed(SUM_BITS), lanes)),
                "squares": Out(data.ArrayLayout(SQUARES_BITS, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, 1, name="valid")[-1]
        first = delay_line(m, self.first, 1, name="first", reset_less=True)[-1]
        for lane in range(self.lanes):
            # Cycle 1
            x = Signal(signed(16), name=f"x_{lane}", reset_less=True)
            square = Signal(31, name=f"square_{lane}", reset_less=True)
            m.d.sync += [x.eq(self.x[lane]), square.eq(self.x[lane] * self.x[lane])]
            # Cycle 2
            total = Signal(signed(SUM_BITS), name=f"sum_{lane}", reset_less=True)
            squares = Signal(SQUARES_BITS, name=f"squares_{lane}", reset_less=True)
            m.d.sync += [
                total.eq(Mux(valid, Mux(first, 0, total) + x, total)),
                squares.eq(Mux(valid, Mux(first, 0, squares) + square, squares)),
            ]
            m.d.comb += [self.sum[lane].eq(total), self.squares[lane].eq(squares)]
        return m


class Centre(wiring.Component):
    """``u = D * x - sum`` for each lane.

    Latency: ``LATENCY`` cycles; ``sum`` is taken one cycle after its column. Throughput: one column a cycle.
    Back-pressure: none.

    Members
    -------
    channels : In, D.
    sum : In, of each lane, constant during a tile.
    x : In, N values.
    u : Out, exact.
    """

    LATENCY = 2

    def __init__(self, *, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {
                "channels": In(CHANNELS_BITS),
                "sum": In(data.ArrayLayout(signed(SUM_BITS), lanes)),
                "x": In(_column(lanes)),
                "u": Out(data.ArrayLayout(signed(CENTRED_BITS), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for lane in range(self.lanes):
            product = Signal(signed(16 + CHANNELS_BITS), name=f"product_{lane}", reset_less=True)
            u = Signal(signed(CENTRED_BITS), name=f"u_{lane}", reset_less=True)
            m.d.sync += [product.eq(self.x[lane] * self.channels), u.eq(product - self.sum[lane])]
            m.d.comb += self.u[lane].eq(u)
        return m


class PoolSum(wiring.Component):
    """The sum of all lanes of the columns since ``first``; of a ``last`` column only the lanes in ``mask``.

    Latency: ``latency`` cycles. Throughput: one column a cycle. Back-pressure: none.

    Parameters
    ----------
    lanes : a power of two.

    Members
    -------
    valid, first, last : In, a column is here; it is a channel's first, last one.
    mask : In, one bit for each lane.
    x : In, N values.
    o_last : Out, ``sum`` is that of a whole channel in this cycle.
    sum : Out, exact for 4096 values.
    """

    def __init__(self, *, lanes: int) -> None:
        self.lanes = lanes
        self.levels = exact_log2(lanes)
        self.latency = 2 + self.levels
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "mask": In(lanes),
                "x": In(_column(lanes)),
                "o_last": Out(1),
                "sum": Out(signed(SUM_BITS)),
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
            m.d.sync += terms[lane].eq(Mux(~self.last | self.mask[lane], self.x[lane], 0))
        # Cycles 2 and following: one level of the tree each.
        for level in range(1, self.levels + 1):
            pairs = zip(terms[::2], terms[1::2], strict=True)
            terms = []
            for index, (a, b) in enumerate(pairs):
                terms.append(Signal(signed(16 + level), name=f"tree_{level}_{index}", reset_less=True))
                m.d.sync += terms[index].eq(a + b)
        # Last cycle
        total = Signal(signed(SUM_BITS), name="total", reset_less=True)
        m.d.sync += total.eq(Mux(valid, Mux(first, 0, total) + terms[0], total))
        m.d.comb += [self.sum.eq(total), self.o_last.eq(last)]
        return m
