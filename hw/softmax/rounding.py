"""Levels become probabilities of 8 bits, or a byte plane of those of 16; the rounding is carried along the row.

Stages (cycle 0 has the levels of a word):
    1  levels
    -  the row's remainder and their lower bits are added up, from the word's first element on: which elements have one
       more than their upper bits, in front of the array's operand register
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import LEVEL_BITS, REMAINDER_BITS


class Plane(data.StructLayout):
    """Which byte plane of the probabilities; neither: probabilities of 8 bits."""

    def __init__(self) -> None:
        super().__init__({"high": 1, "low": 1})


class CarriedRounding(wiring.Component):
    """``p_j = (C_j >> 9) - (C_{j-1} >> 9)`` with ``C_j = 256 + L_0 + .. + L_j`` (docs/numerics.md, Probabilities).

    ``L_j >> 9``, and one more where the lower 9 bits and what is left of the keys before reach 512. Of a byte plane:
    8 of 9 adjacent bits of L, plus the lowest of the 9; nothing is carried.

    Latency: ``LATENCY`` cycles; what follows the last register is for the array's operand register.
    Throughput: one word a cycle; the words of a row come in adjacent cycles.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``array.depth`` (V) and ``softmax.probability_bits``.

    Members
    -------
    first : In, the word is its row's first.
    level : In, N·V levels, at most ``LEVEL_MAXIMUM``, index ``lane*V + v``.
    plane : In, with the word; 0 where probabilities have 8 bits only.
    o : Out, N·V signed bytes.
    """

    LATENCY = 1

    def __init__(self, config: AcceleratorConfig) -> None:
        self.lanes, self.depth = config.array.lanes, config.array.depth
        self.wide = config.softmax.probability_bits == 16
        super().__init__(
            {
                "first": In(1),
                "level": In(data.ArrayLayout(LEVEL_BITS, self.lanes * self.depth)),
                "plane": In(Plane()),
                "o": Out(data.ArrayLayout(signed(8), self.lanes * self.depth)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first = Signal(reset_less=True)
        plane = Signal(Plane(), reset_less=True)
        m.d.sync += first.eq(self.first)
        if self.wide:
            m.d.sync += plane.eq(self.plane)
        for lane in range(self.lanes):
            places = range(lane * self.depth, (lane + 1) * self.depth)
            levels = [Signal(LEVEL_BITS, name=f"level_{place}", reset_less=True) for place in places]
            for place, level in zip(places, levels, strict=True):
                m.d.sync += level.eq(self.level[place])
            carries = self._build_carries(m, lane, levels, first)
            for place, level, carry in zip(places, levels, carries, strict=True):
                m.d.comb += self.o[place].eq(self._byte(level, carry, plane))
        return m

    def _build_carries(self, m: Module, lane: int, levels: list[Signal], first: Value) -> list[Value]:
        """Whether each element of a lane has one more than its upper bits."""
        remainder = Signal(REMAINDER_BITS, name=f"remainder_{lane}", reset_less=True)
        total: Value = Mux(first, 1 << (REMAINDER_BITS - 1), remainder)
        odd: Value = Const(
            0, 1
        )  # whether an odd number of 512 is full before this element, which fills one at most
        found: list[Value] = []
        for level in levels:
            total = (total + level[:REMAINDER_BITS])[: REMAINDER_BITS + 1]
            found.append(total[-1] ^ odd)
            odd = total[-1]
        m.d.sync += remainder.eq(total)
        return found

    def _byte(self, level: Signal, carry: Value, plane: data.View[Plane]) -> Value:
        """Both results are there before the carry chooses."""
        upper = level[REMAINDER_BITS:]
        narrow = Mux(carry, (upper + 1)[:8], upper)
        if not self.wide:
            return narrow
        window, up = _window(level, plane)
        return Mux(plane.high | plane.low, (window[1:] + (window[0] | up))[:8], narrow)


def _window(level: Value, plane: data.View[Plane]) -> tuple[Value, Value]:
    """The 9 bits of ``L`` that ``plane`` is made of, and what the high one rounds up beside their lowest: where the
    low one would be 128, which is what 8 ones below those 9 bits make of it."""
    return Mux(plane.low, level[:9], Cat(level[8:], Const(0, 1))), plane.high & level[:8].all()
