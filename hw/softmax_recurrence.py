"""What the variants of softmax have in common at the drain: a running maximum and a sum for each row of scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from amaranth.hdl import Module, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.delay import delay_line
from vitreous.hw.rowscale import SUM_BITS
from vitreous.spec.config import AcceleratorConfig


class SoftmaxRecurrence(ABC, wiring.Component):
    """``S = sum_j 2**t_j`` relative to the largest score so far; lanes are rows. A variant says how S is kept.

    Latency: ``code`` ``CODE_LATENCY`` cycles, ``sum`` and ``maximum`` ``LATENCY`` cycles after a score.
    Throughput: one column a cycle, rows back to back.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``softmax.fraction_bits`` (F).

    Members
    -------
    valid, first, last : In, a column of scores is here; it is the row's first, last one.
    score : In, 15 bits signed.
    code : Out, what is kept of the score.
    o_last : Out, ``sum`` is that of a whole row in this cycle, and ``maximum`` is until the next ``o_last``.
    sum, maximum : Out, for each lane.
    """

    CODE_LATENCY = 1
    LATENCY = 4
    MASKED_CODE: ClassVar[int]
    """The 16-bit code of a key that does not exist: its probability is 0."""
    ROW_SCALE_OFFSET: ClassVar[int]
    """What the row scale adds to its shift for this variant (docs/numerics.md)."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.softmax, self.lanes = config.softmax, config.array.lanes
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "score": In(data.ArrayLayout(signed(16), self.lanes)),
                "code": Out(data.ArrayLayout(16, self.lanes)),
                "o_last": Out(1),
                "sum": Out(data.ArrayLayout(SUM_BITS, self.lanes)),
                "maximum": Out(data.ArrayLayout(signed(16), self.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, self.LATENCY - 1, name="valid")
        first = delay_line(m, self.first, self.LATENCY - 1, name="first", reset_less=True)
        last = delay_line(m, self.valid & self.last, self.LATENCY, name="last")
        m.submodules.table = table = self._table()
        for lane in range(self.lanes):
            self._build_lane(m, lane, table.read_port(), valid, first, last)
        m.d.comb += self.o_last.eq(last[-1])
        return m

    @abstractmethod
    def _table(self) -> Memory:
        """The powers of two of the fraction; each lane has a read port of its own."""

    @abstractmethod
    def _build_lane(
        self,
        m: Module,
        lane: int,
        table: wiring.PureInterface,
        valid: list[Value],
        first: list[Value],
        last: list[Value],
    ) -> None:
        """One row; the flags are lists over the cycles since the score."""
