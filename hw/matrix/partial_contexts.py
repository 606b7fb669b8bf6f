"""Probabilities times values in parts: of the blocks of a row's keys, and of the two byte planes of a wide operand.

Stages (cycle 0: a block's product begins to be read out):
    -2  its maximum is read, ``begin`` is one cycle later
    0  column 0: the lanes' shifts are final; what the parts before left is read and shifted
    1  the column out of the array is shifted; both go to the epilogue, which adds them
    2  the sum is written back
"""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.softmax.blocks import distance
from vitreous.hw.softmax.softmax import recurrence
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS
from vitreous.spec.softmax import WIDE_BITS, limits

PLACE_BITS = 6
_FAR = 48
"""Places by which nothing is left of 36 bits, also with ``_LOW_PLACES`` more."""
_LOW_PLACES = 8
"""A low byte plane counts in ``2**-8`` of a high one."""


class Part(data.StructLayout):
    """What becomes of a column. ``low``: it is of a low byte plane. ``summed``: it is a part of a sum, with
    ``WIDE_BITS`` fraction bits; else it passes as it is. ``older``: parts came before it."""

    def __init__(self) -> None:
        super().__init__({"low": 1, "summed": 1, "older": 1})


def depth(config: AcceleratorConfig) -> int:
    """Columns that are kept: of a head between blocks, else of a tile between its byte planes; 0: none."""
    if limits(config.softmax).blocks:
        return config.memory.context_columns
    return config.array.lanes if config.softmax.probability_bits == 16 else 0


def shift_rounded(value: Value, places: Value, width: int) -> tuple[Value, Value]:
    """``value >> places`` in ``width`` bits, and the bit below it, which rounds half up when it is added. ``value`` is
    signed; shifted by its width or more, the two add up to 0."""
    found = (Cat(Const(0, 1), value).as_signed() >> places)[: width + 1]
    return found[1:].as_signed(), found[0]


class Shifts(NamedTuple):
    """Of a lane: places by which the older parts, and the new one, are shifted."""

    older: Signal
    new: Signal


class PartialContexts(wiring.Component):
    """``C = round_shift(C, x) + round_shift(part * 2**4, y)`` for each column of a head (docs/numerics.md, Blocks).

    ``x`` and ``y`` are how far the largest maximum so far is above those of the older parts and of this one; a low
    byte plane is shifted by 8 more, and leaves ``C`` where it is.

    Latency: as the stages say; the sum of a column is there for its next part 3 cycles after its ``index``.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``memory.context_columns`` and the softmax. Where its rows have one block and
        its probabilities 8 bits, columns pass as they are.

    Members
    -------
    maximum : In, of the slot whose block comes next, for each lane; taken with ``take``.
    begin, first_block : In, one cycle after ``take``: a block's product, its row's first, begins to be read out.
    part, index : In, of the column whose accumulators come in the next cycle, and its place in the head.
    older, carry : Out, one cycle later: what is to be added to ``acc``; ``carry`` is one bit for each lane.
    column : In, with it, the accumulators. acc : Out.
    write, write_index, total : In, one cycle later: the sum, to be kept.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config, self.lanes, self.depth = config, config.array.lanes, depth(config)
        self.maximum_bits = recurrence(config.softmax).maximum_bits(config.softmax)
        accumulators = data.ArrayLayout(signed(ACCUMULATOR_BITS), self.lanes)
        super().__init__(
            {
                "take": In(1),
                "maximum": In(data.ArrayLayout(signed(self.maximum_bits), self.lanes)),
                "begin": In(1),
                "first_block": In(1),
                "part": In(Part()),
                "index": In(range(max(self.depth, self.lanes))),
                "older": Out(accumulators),
                "carry": Out(self.lanes),
                "column": In(accumulators),
                "acc": Out(accumulators),
                "write": In(1),
                "write_index": In(range(max(self.depth, self.lanes))),
                "total": In(accumulators),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if not self.depth:
            m.d.comb += self.acc.eq(self.column)
            return m
        kept = Memory(
            shape=ACCUMULATOR_BITS * self.lanes,
            depth=self.depth,
            init=[],
            attrs={"ram_style": "distributed"},
        )
        m.submodules.kept = kept
        read, write = kept.read_port(domain="comb"), kept.write_port()
        m.d.comb += [
            read.addr.eq(self.index),
            write.en.eq(self.write),
            write.addr.eq(self.write_index),
            write.data.eq(self.total),
        ]
        for lane in range(self.lanes):
            shifts = self._build_shifts(m, lane) if limits(self.config.softmax).blocks else None
            self._build_lane(m, lane, shifts, read.data.word_select(lane, ACCUMULATOR_BITS))
        return m

    def _build_shifts(self, m: Module, lane: int) -> Shifts:
        """Cycles -2 and -1: the block's maximum against the largest one so far."""
        taken, largest = (
            Signal(signed(self.maximum_bits), name=f"{name}_{lane}", reset_less=True)
            for name in ("taken", "largest")
        )
        difference = Signal(signed(self.maximum_bits + 1), name=f"difference_{lane}")
        shifts = Shifts(*(Signal(PLACE_BITS, name=f"{name}_{lane}", reset_less=True) for name in ("x", "y")))
        m.d.comb += difference.eq(Mux(self.first_block, 0, taken - largest))
        up, far = difference > 0, distance(difference, PLACE_BITS)
        places = Mux(far[-1], _FAR, far)
        with m.If(self.take):
            m.d.sync += taken.eq(self.maximum[lane])
        with m.If(self.begin):
            m.d.sync += [shifts.older.eq(Mux(up, places, 0)), shifts.new.eq(Mux(up, 0, places))]
            with m.If(self.first_block | up):
                m.d.sync += largest.eq(taken)
        return shifts

    def _build_lane(self, m: Module, lane: int, shifts: Shifts | None, kept: Value) -> None:
        """Cycle 0: the older parts. Cycle 1: the new one."""
        part = self.part
        older = Signal(signed(ACCUMULATOR_BITS), name=f"older_{lane}", reset_less=True)
        below = Signal(name=f"below_{lane}", reset_less=True)
        places = Signal(PLACE_BITS, name=f"places_{lane}", reset_less=True)
        there, new = part.summed & part.older, 0
        shifted, half = kept.as_signed(), 0
        if shifts is not None:
            # What a low byte plane is added to has been shifted already.
            shifted, half = shift_rounded(kept, Mux(part.low, 0, shifts.older), ACCUMULATOR_BITS)
            new = shifts.new
        m.d.sync += [
            older.eq(Mux(there, shifted, 0)),
            below.eq(there & half),
            places.eq(Mux(part.summed, new + Mux(part.low, _LOW_PLACES, 0), WIDE_BITS)),
        ]
        acc, above = shift_rounded(Cat(Const(0, WIDE_BITS), self.column[lane]), places, ACCUMULATOR_BITS)
        m.d.comb += [
            self.older[lane].eq(older),
            self.carry[lane].eq(below | above),
            self.acc[lane].eq(acc),
        ]
