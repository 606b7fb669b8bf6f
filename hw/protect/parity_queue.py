"""A queue whose entries have a parity bit and a number."""

from __future__ import annotations

from typing import TypeAlias

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive

_NUMBER_BITS = 2


class ParityQueue(wiring.Component):
    """As ``fifo.SyncFIFO`` (``buffered``: ``fifo.SyncFIFOBuffered``) of the same width and depth, with ``upset``.

    An entry's parity shows a flip of its bits, its number (of the write, modulo 4) one of a pointer, which brings
    another entry to the head or writes over one; two counters of writes and reads show one of the level.

    Latency, throughput and back-pressure are those of the queue inside.

    Parameters
    ----------
    width, depth : of the queue. covered : bits of an entry, from bit 0 on, that are read; the others have no parity.
    buffered : whether the head is in a register.

    Members
    -------
    w_data, w_en, r_en : In. w_rdy, r_data, r_rdy, level : Out.
    upset : Out(1), the entry at the head is not what was written, or the level not what it must be.
    """

    def __init__(self, *, width: int, depth: int, covered: int | None = None, buffered: bool = False) -> None:
        self._width = positive("Width", width)
        self._covered = width if covered is None else min(positive("Covered", covered), width)
        self._kind = fifo.SyncFIFOBuffered if buffered else fifo.SyncFIFO
        self.depth = positive("Depth", depth)
        super().__init__(
            {
                "w_data": In(width),
                "w_en": In(1),
                "w_rdy": Out(1),
                "r_data": Out(width),
                "r_en": In(1),
                "r_rdy": Out(1),
                "level": Out(range(depth + 1)),
                "upset": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = self._kind(width=self._width + _NUMBER_BITS + 1, depth=self.depth)
        written = Signal(max(len(self.level), _NUMBER_BITS), name="written")
        read = Signal.like(written, name="read")
        number = written[:_NUMBER_BITS]
        parity = Cat(self.w_data[: self._covered], number).xor()
        entry = queue.r_data
        head_number = entry[self._width : self._width + _NUMBER_BITS]
        wrong = Cat(entry[: self._covered], entry[self._width :]).xor() | (head_number != read[:_NUMBER_BITS])
        m.d.comb += [
            queue.w_data.eq(Cat(self.w_data, number, parity)),
            queue.w_en.eq(self.w_en),
            queue.r_en.eq(self.r_en),
            self.w_rdy.eq(queue.w_rdy),
            self.r_rdy.eq(queue.r_rdy),
            self.r_data.eq(entry),
            self.level.eq(queue.level),
            self.upset.eq((queue.r_rdy & wrong) | ((written - read)[: len(self.level)] != queue.level)),
        ]
        with m.If(self.w_en & self.w_rdy):
            m.d.sync += written.eq(written + 1)
        with m.If(self.r_en & self.r_rdy):
            m.d.sync += read.eq(read + 1)
        return m


SomeQueue: TypeAlias = fifo.SyncFIFO | fifo.SyncFIFOBuffered | ParityQueue


def queue(
    *, width: int, depth: int, parity: bool, covered: int | None = None, buffered: bool = False
) -> SomeQueue:
    """A queue, with ``parity`` one that has ``upset`` beside the members of the other."""
    if parity:
        return ParityQueue(width=width, depth=depth, covered=covered, buffered=buffered)
    kind = fifo.SyncFIFOBuffered if buffered else fifo.SyncFIFO
    return kind(width=width, depth=depth)
