"""The scalar end of a norm: from the variance of a tile's rows to a multiplier and a shift for each, one row a cycle.

Stages:
    1 - V        the variance of a lane, made outside from its sums in V cycles
    V+1 - V+7    reciprocal square root
    V+8          times the constant m_o
    V+9          normalized to 15 bits, kept for the lane
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.rsqrt import ROOT_BITS, VARIANCE_BITS, ReciprocalRoot
from vitreous.hw.checks import positive, power_of_two
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX, MULTIPLIER_BITS, SHIFT_BITS, SHIFT_MAX

assert SHIFT_MAX + 1 == 0b110000
assert SHIFT_MAX + 1 + CHANNEL_SHIFT_MAX < 1 << SHIFT_BITS


def walk(m: Module, start: Signal, lanes: int) -> tuple[Signal, Signal]:
    """``(lane, valid)``: lanes 0 to ``lanes - 1``, a power of two, one a cycle, from the cycle of ``start`` on."""
    lane, active, valid = Signal(range(lanes), name="lane"), Signal(name="active"), Signal(name="walk_valid")
    m.d.comb += valid.eq(start | active)
    m.d.sync += lane.eq(lane + valid)
    with m.If(start):
        m.d.sync += active.eq(1)
    with m.Elif(lane == lanes - 1):
        m.d.sync += active.eq(0)
    return lane, valid


class NormScale(wiring.Component):
    """``row_multiplier / 2**row_shift ~ m_o / 2**s_o / sqrt(variance)`` for each lane, normalized to 15 bits.

    A shift of 48 or more, where every value rounds to 0 already, is kept at 48: a channel's shift has room on top.

    Latency: ``latency(variance_latency) + N`` cycles from ``start`` to ``done``.
    Throughput: N rows in N cycles.
    Back-pressure: none.

    Parameters
    ----------
    lanes : rows, a power of two.
    variance_latency : V, cycles from ``lane`` to ``variance``.

    Members
    -------
    start : In, pulse: lane 0 is asked for in this cycle, the others in the next ones.
    lane : Out, which lane's variance is asked for.
    variance : In, at least 1, that of the lane asked for ``variance_latency`` cycles ago.
    multiplier, shift : In, constants of the tensor.
    row_multiplier, row_shift : Out, of each lane, kept until the next ``start``.
    done : Out, pulse: the last lane is there.

    Raises ValueError when ``lanes`` is not a power of two of at least 2, or ``variance_latency`` not positive.
    """

    @staticmethod
    def latency(variance_latency: int) -> int:
        """Cycles from ``lane`` to its row scale."""
        return variance_latency + ReciprocalRoot.LATENCY + 2

    def __init__(self, *, lanes: int, variance_latency: int) -> None:
        self.lanes = power_of_two("Lanes", lanes, least=2)
        self._latency = self.latency(positive("Variance latency", variance_latency))
        super().__init__(
            {
                "start": In(1),
                "lane": Out(range(lanes)),
                "variance": In(VARIANCE_BITS),
                "multiplier": In(MULTIPLIER_BITS),
                "shift": In(SHIFT_BITS),
                "row_multiplier": Out(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "row_shift": Out(data.ArrayLayout(SHIFT_BITS, lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lane, asked = walk(m, self.start, self.lanes)
        # Cycles V + 1 to V + 7
        m.submodules.root = root = ReciprocalRoot()
        m.d.comb += [self.lane.eq(lane), root.variance.eq(self.variance)]
        # Cycle V + 8
        quotient = Signal(ROOT_BITS, reset_less=True)
        shift = Signal(SHIFT_BITS + 1, reset_less=True)
        m.d.sync += [
            quotient.eq((root.root * self.multiplier) >> MULTIPLIER_BITS),
            shift.eq(self.shift + root.half_exponent + 1),
        ]
        # Cycle V + 9
        valid = delay_line(m, asked, self._latency - 1, name="valid")[-1]
        place = delay_line(m, lane, self._latency - 1, name="place", reset_less=True)[-1]
        self._build_results(m, valid, place, quotient, shift)
        return m

    def _build_results(self, m: Module, valid: Signal, lane: Signal, quotient: Signal, shift: Signal) -> None:
        multipliers = Signal.like(self.row_multiplier, name="multipliers", reset_less=True)
        shifts = Signal.like(self.row_shift, name="shifts", reset_less=True)
        wide = quotient[-1]
        normalized = (shift - wide)[: len(shift)]
        beyond = normalized[-1] | normalized[4:6].all()  # 48 and more
        for index in range(self.lanes):
            with m.If(valid & (lane == index)):
                m.d.sync += [
                    multipliers[index].eq(Mux(wide, quotient[1:], quotient)),
                    shifts[index].eq(Mux(beyond, SHIFT_MAX + 1, normalized)),
                ]
        m.d.sync += self.done.eq(valid & (lane == self.lanes - 1))
        m.d.comb += [self.row_multiplier.eq(multipliers), self.row_shift.eq(shifts)]
