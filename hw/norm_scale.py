"""The scalar part of layer norm: from the sums of a tile's rows to a multiplier and a shift for each, one row a cycle.

Stages:
    1        D * squares, sum * sum
    2        variance
    3 - 9    reciprocal square root
    10       times the constant m_o
    11       normalized to 15 bits, kept for the lane
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.delay import delay_line
from vitreous.hw.rsqrt import ROOT_BITS, VARIANCE_BITS, ReciprocalRoot
from vitreous.spec.numbers import MULTIPLIER_BITS, SHIFT_BITS

CHANNELS_MAXIMUM = 4096
CHANNELS_BITS = CHANNELS_MAXIMUM.bit_length()
SUM_BITS = 16 + exact_log2(CHANNELS_MAXIMUM)
SQUARES_BITS = 31 + exact_log2(CHANNELS_MAXIMUM)


class NormScale(wiring.Component):
    """``row_multiplier / 2**row_shift ~ m_o / 2**s_o / sqrt(D * squares - sum**2 + epsilon)`` for each lane.

    Latency: ``LATENCY + N`` cycles from ``start`` to ``done``.
    Throughput: N rows in N cycles.
    Back-pressure: none.

    Parameters
    ----------
    lanes : rows, a power of two.

    Members
    -------
    start : In, pulse: the sums are final; they stay until ``done``.
    channels : In, D, 1..4096.
    sum, squares : In, of each lane.
    epsilon, multiplier, shift : In, constants of the tensor.
    row_multiplier, row_shift : Out, of each lane, kept until the next ``start``.
    done : Out, pulse: the last lane is there.

    Raises ValueError when ``lanes`` is not a power of two.
    """

    LATENCY = 2 + ReciprocalRoot.LATENCY + 2

    def __init__(self, *, lanes: int) -> None:
        if lanes < 2 or lanes & (lanes - 1):
            raise ValueError(f"Lanes must be a power of two of at least 2, not {lanes!r}")
        self.lanes = lanes
        super().__init__(
            {
                "start": In(1),
                "channels": In(CHANNELS_BITS),
                "sum": In(data.ArrayLayout(signed(SUM_BITS), lanes)),
                "squares": In(data.ArrayLayout(SQUARES_BITS, lanes)),
                "epsilon": In(32),
                "multiplier": In(MULTIPLIER_BITS),
                "shift": In(SHIFT_BITS),
                "row_multiplier": Out(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "row_shift": Out(data.ArrayLayout(SHIFT_BITS, lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lane, active = Signal(range(self.lanes)), Signal()
        m.d.sync += lane.eq(lane + (self.start | active))
        with m.If(self.start):
            m.d.sync += active.eq(1)
        with m.Elif(lane == self.lanes - 1):
            m.d.sync += active.eq(0)
        m.submodules.root = root = ReciprocalRoot()
        # Cycle 1
        scaled = Signal(VARIANCE_BITS, reset_less=True)
        square = Signal(VARIANCE_BITS, reset_less=True)
        total, squares = Signal(signed(SUM_BITS)), Signal(SQUARES_BITS)
        with m.Switch(lane):
            for index in range(self.lanes):
                with m.Case(index):
                    m.d.comb += [total.eq(self.sum[index]), squares.eq(self.squares[index])]
        m.d.sync += [scaled.eq(self.channels * squares), square.eq(total * total)]
        # Cycle 2: never negative, so modulo 2**55 is exact.
        variance = Signal(VARIANCE_BITS, reset_less=True)
        m.d.sync += variance.eq(scaled - square + self.epsilon)
        # Cycles 3 to 9
        m.d.comb += root.variance.eq(variance)
        # Cycle 10
        quotient = Signal(ROOT_BITS, reset_less=True)
        shift = Signal(SHIFT_BITS, reset_less=True)
        m.d.sync += [
            quotient.eq((root.root * self.multiplier) >> MULTIPLIER_BITS),
            shift.eq(self.shift + root.half_exponent + 1),
        ]
        # Cycle 11
        valid = delay_line(m, self.start | active, self.LATENCY - 1, name="valid")[-1]
        place = delay_line(m, lane, self.LATENCY - 1, name="lane", reset_less=True)[-1]
        self._build_results(m, valid, place, quotient, shift)
        return m

    def _build_results(self, m: Module, valid: Signal, lane: Signal, quotient: Signal, shift: Signal) -> None:
        multipliers = Signal.like(self.row_multiplier, name="multipliers", reset_less=True)
        shifts = Signal.like(self.row_shift, name="shifts", reset_less=True)
        wide = quotient[-1]
        for index in range(self.lanes):
            with m.If(valid & (lane == index)):
                m.d.sync += [
                    multipliers[index].eq(Mux(wide, quotient[1:], quotient)),
                    shifts[index].eq(shift - wide),
                ]
        m.d.sync += self.done.eq(valid & (lane == self.lanes - 1))
        m.d.comb += [self.row_multiplier.eq(multipliers), self.row_shift.eq(shifts)]
