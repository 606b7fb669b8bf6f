"""In-order retirement of instructions whose last effects come out of pipelines of different length."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Array, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.checks import power_of_two


class Ending(IntEnum):
    """How an instruction ends: with a write, with its row scale, with the maximum of a block of scores."""

    WRITE = 0
    ROW = 1
    BLOCK = 2


class Retire(wiring.Component):
    """One ``done`` pulse for each started instruction, in the order of their starts.

    Latency: 0 from the end of the oldest instruction; later ones wait for earlier ones.
    Throughput: one instruction a cycle.
    Back-pressure: none; at most ``in_flight`` instructions are started and not done.

    Parameters
    ----------
    in_flight : a power of two of at least 2.

    Members
    -------
    start, start_ending : In, an instruction starts; its ``Ending``.
    ends : In, a bit for each ``Ending``: the oldest unfinished instruction of that kind has ended.
    done : Out, the oldest instruction retires.
    """

    def __init__(self, *, in_flight: int) -> None:
        self.in_flight = power_of_two("In flight", in_flight, least=2)
        super().__init__(
            {"start": In(1), "start_ending": In(Ending), "ends": In(len(Ending)), "done": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        endings = Array(Signal(Ending, name=f"ending_{place}") for place in range(self.in_flight))
        head, tail = (
            Signal(exact_log2(self.in_flight), name="head"),
            Signal(exact_log2(self.in_flight), name="tail"),
        )
        with m.If(self.start):
            m.d.sync += [endings[tail].eq(self.start_ending), tail.eq(tail + 1)]
        oldest = Signal(Ending)
        m.d.comb += oldest.eq(endings[head])
        ended = []
        for ending in Ending:
            taken = self.done & (oldest == ending)
            ended.append(self._build_ended(m, self.ends[ending], taken, ending.name.lower()))
        m.d.comb += self.done.eq(Array(ended)[oldest])
        m.d.sync += head.eq(head + self.done)
        return m

    def _build_ended(self, m: Module, end: Value, take: Value, name: str) -> Value:
        """Whether an instruction of this kind has ended and is not yet done."""
        count = Signal(range(self.in_flight + 1), name=name)
        m.d.sync += count.eq(count + end - take)
        return (count != 0) | end
