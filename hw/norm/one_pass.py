"""Layer norm and RMS norm, variant ``one_pass`` (docs/numerics.md): sum and sum of squares in one pass over a row.

Stages of a column:
    1 - 2    statistics;  or centring
Stages of a lane after a statistics pass:
    1        its sum and its sum of squares
    2        D * squares, sum * sum, both in parts
    3        variance
    4 - 12   row scale (hw.norm.scale)
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.rsqrt import VARIANCE_BITS
from vitreous.hw.checks import positive
from vitreous.hw.norm.interface import CHANNELS_BITS, SUM_BITS, NormUnit
from vitreous.hw.norm.scale import NormScale
from vitreous.spec.limits import NORM_CHANNELS

SQUARES_BITS = 31 + exact_log2(NORM_CHANNELS)
CENTRED_BITS = 30
_VARIANCE_LATENCY = 3
_PART_BITS, _WIDE_BITS = 17, 24
"""Unsigned factors that a multiplier of 18 x 25 signed bits takes: no cycle has a product and a sum of products."""


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
        self.lanes = positive("Lanes", lanes)
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
            # Cycle 2: with the sum as second operand its gate is in the adder's LUT.
            total = Signal(signed(SUM_BITS), name=f"sum_{lane}", reset_less=True)
            squares = Signal(SQUARES_BITS, name=f"squares_{lane}", reset_less=True)
            m.d.sync += [
                total.eq(Mux(valid, x + Mux(first, 0, total), total)),
                squares.eq(Mux(valid, square + Mux(first, 0, squares), squares)),
            ]
            m.d.comb += [self.sum[lane].eq(total), self.squares[lane].eq(squares)]
        return m


class Centre(wiring.Component):
    """``u = D * x - sum`` for each lane; ``D * x`` where not ``centred``.

    Latency: ``LATENCY`` cycles; ``sum`` is taken one cycle after its column. Throughput: one column a cycle.
    Back-pressure: none.

    Members
    -------
    channels : In, D.
    centred, sum : In, the sum of each lane; constant during a tile.
    x : In, N values.
    u : Out, exact.
    """

    LATENCY = 2

    def __init__(self, *, lanes: int) -> None:
        self.lanes = positive("Lanes", lanes)
        super().__init__(
            {
                "channels": In(CHANNELS_BITS),
                "centred": In(1),
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
            subtrahend = Mux(self.centred, self.sum[lane], 0)
            m.d.sync += [product.eq(self.x[lane] * self.channels), u.eq(product - subtrahend)]
            m.d.comb += self.u[lane].eq(u)
        return m


class OnePassNorm(NormUnit):
    """``u = D * x - sum`` and the scale of ``V = D * squares - sum**2 + epsilon``; RMS norm with 0 for the sum.

    Throughput: one column a cycle, twice for each tile.
    """

    MEAN = False
    WIDTH = CENTRED_BITS
    LATENCY = Centre.LATENCY
    SCALE_LATENCY = RowStatistics.LATENCY + NormScale.latency(_VARIANCE_LATENCY)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.statistics = statistics = RowStatistics(lanes=self.lanes)
        m.submodules.centre = centre = Centre(lanes=self.lanes)
        m.submodules.scale = scale = NormScale(lanes=self.lanes, variance_latency=_VARIANCE_LATENCY)
        constants = self.constants
        final = delay_line(m, self.read.statistics & self.last, statistics.LATENCY, name="final")[-1]
        m.d.comb += [
            statistics.valid.eq(self.read.statistics),
            statistics.first.eq(self.first),
            statistics.x.eq(self.x),
            centre.channels.eq(constants.channels),
            centre.centred.eq(constants.centred),
            centre.sum.eq(statistics.sum),
            centre.x.eq(self.x),
            scale.start.eq(final),
            scale.variance.eq(self._build_variance(m, statistics, scale.lane)),
            scale.multiplier.eq(constants.multiplier),
            scale.shift.eq(constants.shift),
            self.done.eq(scale.done),
            self.u.eq(centre.u),
            self.row_multiplier.eq(scale.row_multiplier),
            self.row_shift.eq(scale.row_shift),
        ]
        return m

    def _build_variance(self, m: Module, statistics: RowStatistics, lane: Signal) -> Signal:
        constants = self.constants
        # Cycle 1
        total, squares = (
            Signal(signed(SUM_BITS), reset_less=True, name="total"),
            Signal(SQUARES_BITS, reset_less=True, name="squares"),
        )
        with m.Switch(lane):
            for index in range(self.lanes):
                with m.Case(index):
                    m.d.sync += [
                        total.eq(Mux(constants.centred, statistics.sum[index], 0)),
                        squares.eq(statistics.squares[index]),
                    ]
        # Cycle 2
        scaled = self._product(m, squares, constants.channels, "scaled")
        low, high = total[:_PART_BITS], total[_PART_BITS:].as_signed()
        parts = {"low": low * low, "cross": low * high, "high": high * high}
        squared = {
            name: Signal.like(part, name=f"square_{name}", reset_less=True) for name, part in parts.items()
        }
        m.d.sync += [squared[name].eq(part) for name, part in parts.items()]
        square = (
            squared["low"] + (squared["cross"] << (_PART_BITS + 1)) + (squared["high"] << (2 * _PART_BITS))
        )
        # Cycle 3: never negative, so modulo 2**55 is exact.
        variance = Signal(VARIANCE_BITS, reset_less=True)
        m.d.sync += variance.eq(scaled - square + constants.epsilon)
        return variance

    def _product(self, m: Module, wide: Signal, narrow: Value, name: str) -> Value:
        """``wide * narrow``, unsigned, in parts that fit a multiplier each: their sum is the next cycle's."""
        total: Value = Const(0)
        for start in range(0, len(wide), _WIDE_BITS):
            part = wide[start : start + _WIDE_BITS] * narrow
            register = Signal.like(part, name=f"{name}_{start}", reset_less=True)
            m.d.sync += register.eq(part)
            total = total + (register << start)
        return total
