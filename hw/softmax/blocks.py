"""Sums of a row's blocks of keys become the row's sum, one lane after another (docs/numerics.md, Blocks of keys).

Stages (cycle 0 has a lane's sum and maximum, and reads what the blocks before left of its row):
    1  which maximum is larger, and by how much
    2  the other one's sum is shifted
    3  the sum of both, kept for the next block
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.softmax.rowscale import SUM_BITS

_PLACES = SUM_BITS.bit_length()


def distance(difference: Signal, width: int) -> Value:
    """``abs(difference)`` in ``width`` bits; all that is ``2**(width - 1)`` or more has its highest bit set."""
    size = Mux(difference < 0, -difference, difference)[: len(difference)]
    return Cat(size[: width - 1], size[width - 1 :].any())


class BlockSums(wiring.Component):
    """``S = (S >> (M' - M)) + (S_b >> (M' - M_b))``, ``M = M' = max(M, M_b)`` of each lane; ``first``: ``S = S_b``.

    Latency: ``LATENCY`` cycles.
    Throughput: one lane a cycle, lanes in turn.
    Back-pressure: none; a lane comes again at least 4 cycles later.

    Parameters
    ----------
    lanes : N, at least 4. maximum_bits : of a maximum, signed.

    Members
    -------
    valid, o_valid : In, Out, a lane is here.
    tag, o_tag : In, Out, any ``tag_bits`` that travel with it.
    first : In, the block is its row's first.
    sum, maximum : In, of the block. o_sum : Out, of the row so far.
    """

    LATENCY = 3

    def __init__(self, *, lanes: int, maximum_bits: int, tag_bits: int) -> None:
        self.lanes, self.maximum_bits = lanes, maximum_bits
        super().__init__(
            {
                "valid": In(1),
                "tag": In(tag_bits),
                "first": In(1),
                "sum": In(SUM_BITS),
                "maximum": In(signed(maximum_bits)),
                "o_valid": Out(1),
                "o_tag": Out(tag_bits),
                "o_sum": Out(SUM_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, self.LATENCY, name="valid")
        tag = delay_line(m, self.tag, self.LATENCY, name="tag", reset_less=True)
        lane = Signal(range(self.lanes), name="_lane")
        m.d.sync += lane.eq(lane + self.valid)
        lanes = delay_line(m, lane, self.LATENCY - 1, name="lane", reset_less=True)
        kept = Memory(
            shape=self.maximum_bits + SUM_BITS,
            depth=self.lanes,
            init=[],
            attrs={"ram_style": "distributed"},
        )
        m.submodules.kept = kept
        read, write = kept.read_port(domain="comb"), kept.write_port()
        m.d.comb += read.addr.eq(lane)
        former_sum, former = read.data[:SUM_BITS], read.data[SUM_BITS:].as_signed()
        # Cycle 1
        difference = Signal(signed(self.maximum_bits + 1), name="difference")
        m.d.comb += difference.eq(self.maximum - former)
        rises = Signal(name="rises", reset_less=True)
        places = Signal(_PLACES, name="places", reset_less=True)
        block, row = (Signal(SUM_BITS, name=name, reset_less=True) for name in ("block", "row"))
        maximum = Signal(signed(self.maximum_bits), name="maximum_1", reset_less=True)
        up = self.first | (difference > 0)
        # Of a first block nothing is looked at that was there before: after power-up it is unknown.
        m.d.sync += [
            rises.eq(up),
            places.eq(Mux(self.first, 0, distance(difference, _PLACES))),
            block.eq(self.sum),
            row.eq(Mux(self.first, 0, former_sum)),
            maximum.eq(Mux(up, self.maximum, former)),
        ]
        # Cycle 2
        shifted, other = (Signal(SUM_BITS, name=name, reset_less=True) for name in ("shifted", "other"))
        maximum_2 = Signal.like(maximum, name="maximum_2", reset_less=True)
        m.d.sync += [
            shifted.eq(Mux(rises, row, block) >> places),
            other.eq(Mux(rises, block, row)),
            maximum_2.eq(maximum),
        ]
        # Cycle 3
        total = Signal(SUM_BITS, name="total", reset_less=True)
        whole = (shifted + other)[:SUM_BITS]
        m.d.sync += total.eq(whole)
        m.d.comb += [
            write.en.eq(valid[2]),
            write.addr.eq(lanes[2]),
            write.data.eq(Cat(whole, maximum_2)),
            self.o_valid.eq(valid[3]),
            self.o_tag.eq(tag[3]),
            self.o_sum.eq(total),
        ]
        return m
