"""Layer norm and RMS norm, variant ``two_pass`` (docs/numerics.md): first the mean, then the squares about it.

Stages of a column:
    1        u = 16 * x - mean (mean 0 in the pass that makes it, and for RMS norm)
    2        u * u;  or u * 1 in the pass that makes the mean
    3        running sum
Stages of a lane after a mean pass:
    1        times the reciprocal of D
    2        shifted
    3        rounded, kept for the lane
Stages of a lane after a statistics pass:
    1        its sum of squares
    2        variance
    3 - 11   row scale (hw.norm.scale)
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.reciprocal import QUOTIENT_BITS, Reciprocal
from vitreous.hw.arith.rsqrt import VARIANCE_BITS
from vitreous.hw.checks import positive
from vitreous.hw.norm.interface import CHANNELS_BITS, SUM_BITS, NormUnit
from vitreous.hw.norm.scale import NormScale, walk
from vitreous.spec.limits import NORM_CHANNELS

FRACTION_BITS = 4
"""Of the mean."""
MEAN_BITS = 16 + FRACTION_BITS
CENTRED_BITS = MEAN_BITS + 1
TERM_BITS = 2 * (CENTRED_BITS - 1) + 1
"""Of a square below ``2**40``, with a sign for what is not squared."""
TOTAL_BITS = TERM_BITS + exact_log2(NORM_CHANNELS)
_VARIANCE_LATENCY = 2
_DROPPED = 15 - FRACTION_BITS
"""``mean = round_shift(sum * q, _DROPPED + d)`` for ``1 / D ~ q / 2**(15 + d)``."""


class CentredSums(wiring.Component):
    """``u = 16 * x - mean`` and the sum of ``u`` or of ``u * u`` over the columns since ``first``, for each lane.

    Latency: ``LATENCY`` cycles to ``u``, ``SUM_LATENCY`` to ``total``. Throughput: one column a cycle.
    Back-pressure: none.

    Members
    -------
    valid, first : In, a column is here; it is a tile's first.
    centred : In, ``mean`` is subtracted, or else 0.
    plain : In, ``total`` is the sum of ``u``, or else of ``u * u``.
    mean : In, of each lane, 4 fraction bits.
    x : In, N values.
    u : Out, exact.
    total : Out, exact; kept while no column comes.
    """

    LATENCY = 1
    SUM_LATENCY = 3

    def __init__(self, *, lanes: int) -> None:
        self.lanes = positive("Lanes", lanes)
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "centred": In(1),
                "plain": In(1),
                "mean": In(data.ArrayLayout(signed(MEAN_BITS), lanes)),
                "x": In(data.ArrayLayout(signed(16), lanes)),
                "u": Out(data.ArrayLayout(signed(CENTRED_BITS), lanes)),
                "total": Out(data.ArrayLayout(signed(TOTAL_BITS), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, 2, name="valid")[-1]
        first = delay_line(m, self.first, 2, name="first", reset_less=True)[-1]
        plain = delay_line(m, self.plain, 1, name="plain", reset_less=True)[-1]
        for lane in range(self.lanes):
            # Cycle 1
            u = Signal(signed(CENTRED_BITS), name=f"u_{lane}", reset_less=True)
            m.d.sync += u.eq((self.x[lane] << FRACTION_BITS) - Mux(self.centred, self.mean[lane], 0))
            # Cycle 2: a multiplexer before the multiplier has fewer bits than one after it.
            term = Signal(signed(TERM_BITS), name=f"term_{lane}", reset_less=True)
            m.d.sync += term.eq(u * Mux(plain, 1, u))
            # Cycle 3: with the sum as second operand its gate is in the adder's LUT.
            total = Signal(signed(TOTAL_BITS), name=f"total_{lane}", reset_less=True)
            m.d.sync += total.eq(Mux(valid, term + Mux(first, 0, total), total))
            m.d.comb += [self.u[lane].eq(u), self.total[lane].eq(total)]
        return m


class RowMean(wiring.Component):
    """``mean = round_shift(sum * q, 11 + d)``, ``(q, d) = reciprocal(2**14, D)``, one lane a cycle.

    The division runs beside the first pass of an instruction; a ``start`` before its end waits for it.

    Latency: ``LATENCY + N`` cycles from ``start`` to ``done``, which is at least ``Reciprocal.LATENCY + LATENCY + N``
    after ``begin``.
    Throughput: N rows in N cycles.
    Back-pressure: none.

    Parameters
    ----------
    lanes : rows, a power of two.

    Members
    -------
    begin : In, pulse: ``channels`` is new.
    channels : In, D, 1..4096.
    start : In, pulse: the sums are final; they stay until ``done``.
    sum : In, of each lane; at most ``2**15 * D``.
    mean : Out, of each lane, kept until the next ``start``.
    done : Out, pulse: the last lane is there.
    """

    LATENCY = 3

    def __init__(self, *, lanes: int) -> None:
        self.lanes = positive("Lanes", lanes)
        super().__init__(
            {
                "begin": In(1),
                "channels": In(CHANNELS_BITS),
                "start": In(1),
                "sum": In(data.ArrayLayout(signed(SUM_BITS), lanes)),
                "mean": Out(data.ArrayLayout(signed(MEAN_BITS), lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reciprocal = self._reciprocal = reciprocal = Reciprocal()
        m.d.comb += [reciprocal.numerator.eq(1 << 14), reciprocal.number.eq(self.channels)]
        lane, valid = walk(m, self._build_start(m), self.lanes)
        # Cycle 1
        total = Signal(signed(SUM_BITS))
        with m.Switch(lane):
            for index in range(self.lanes):
                with m.Case(index):
                    m.d.comb += total.eq(self.sum[index])
        product = Signal(signed(SUM_BITS + QUOTIENT_BITS), reset_less=True)
        m.d.sync += product.eq(total * reciprocal.quotient)
        # Cycle 2: one bit more than the mean; the exponent is at most 12.
        shifted = Signal(signed(MEAN_BITS + 1), reset_less=True)
        exponent = reciprocal.exponent[: (CHANNELS_BITS - 1).bit_length()]
        m.d.sync += shifted.eq((product >> (_DROPPED - 1)) >> exponent)
        # Cycle 3
        means = Signal.like(self.mean, name="means", reset_less=True)
        there = delay_line(m, valid, self.LATENCY - 1, name="valid")[-1]
        place = delay_line(m, lane, self.LATENCY - 1, name="place", reset_less=True)[-1]
        for index in range(self.lanes):
            with m.If(there & (place == index)):
                m.d.sync += means[index].eq((shifted + 1) >> 1)
        m.d.sync += self.done.eq(there & (place == self.lanes - 1))
        m.d.comb += self.mean.eq(means)
        return m

    def _build_start(self, m: Module) -> Signal:
        """``start``, or the end of the division where that is later."""
        remaining = Signal(range(Reciprocal.LATENCY))
        waits, starts = Signal(name="waits"), Signal(name="starts")
        with m.If(self.begin):
            m.d.sync += remaining.eq(Reciprocal.LATENCY - 1)
        with m.Elif(remaining != 0):
            m.d.sync += remaining.eq(remaining - 1)
        m.d.comb += starts.eq((self.start | waits) & (remaining == 0))
        m.d.sync += waits.eq((self.start | waits) & ~starts)
        return starts


class TwoPassNorm(NormUnit):
    """``u = 16 * x - mean`` and the scale of ``V = sum u*u + epsilon``; RMS norm with mean 0 and no mean pass.

    Throughput: one column a cycle, three times for each tile (RMS norm twice).
    """

    MEAN = True
    WIDTH = CENTRED_BITS
    LATENCY = CentredSums.LATENCY
    SCALE_LATENCY = CentredSums.SUM_LATENCY + NormScale.latency(_VARIANCE_LATENCY)
    MEAN_LATENCY = CentredSums.SUM_LATENCY + RowMean.LATENCY
    MEAN_AFTER_BEGIN = Reciprocal.LATENCY + RowMean.LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sums = sums = CentredSums(lanes=self.lanes)
        m.submodules.mean = mean = RowMean(lanes=self.lanes)
        m.submodules.scale = scale = NormScale(lanes=self.lanes, variance_latency=_VARIANCE_LATENCY)
        constants, read = self.constants, self.read
        ends = [
            delay_line(m, flag & self.last, sums.SUM_LATENCY, name=f"final_{name}")[-1]
            for name, flag in (("mean", read.mean), ("statistics", read.statistics))
        ]
        m.d.comb += [
            sums.valid.eq(read.mean | read.statistics),
            sums.first.eq(self.first),
            sums.centred.eq(constants.centred & ~read.mean),
            sums.plain.eq(read.mean),
            sums.mean.eq(mean.mean),
            sums.x.eq(self.x),
            mean.begin.eq(self.begin),
            mean.channels.eq(constants.channels),
            mean.start.eq(ends[0]),
            *(mean.sum[lane].eq(sums.total[lane] >> FRACTION_BITS) for lane in range(self.lanes)),
            scale.start.eq(ends[1]),
            scale.variance.eq(self._build_variance(m, sums, scale.lane)),
            scale.multiplier.eq(constants.multiplier),
            scale.shift.eq(constants.shift),
            self.done.eq(mean.done | scale.done),
            self.u.eq(sums.u),
            self.row_multiplier.eq(scale.row_multiplier),
            self.row_shift.eq(scale.row_shift),
        ]
        return m

    def _build_variance(self, m: Module, sums: CentredSums, lane: Signal) -> Signal:
        # Cycle 1
        squares = Signal(TOTAL_BITS - 1, reset_less=True)
        with m.Switch(lane):
            for index in range(self.lanes):
                with m.Case(index):
                    m.d.sync += squares.eq(sums.total[index])
        # Cycle 2
        variance = Signal(VARIANCE_BITS, reset_less=True)
        m.d.sync += variance.eq(squares + self.constants.epsilon)
        return variance
