"""In-order retirement of instructions whose last effects come out of two pipelines of different length."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.checks import power_of_two


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
    start, start_score : In, an instruction starts; it ends with its row scale, not with a write.
    write_end, score_end : In, the oldest unfinished instruction of that kind has ended.
    done : Out, the oldest instruction retires.
    """

    def __init__(self, *, in_flight: int) -> None:
        self.in_flight = power_of_two("In flight", in_flight, least=2)
        super().__init__(
            {"start": In(1), "start_score": In(1), "write_end": In(1), "score_end": In(1), "done": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kinds = Signal(self.in_flight)  # bit i: instruction i, modulo in_flight, ends with its row scale
        head, tail = (
            Signal(exact_log2(self.in_flight), name="head"),
            Signal(exact_log2(self.in_flight), name="tail"),
        )
        with m.If(self.start):
            m.d.sync += [kinds.bit_select(tail, 1).eq(self.start_score), tail.eq(tail + 1)]
        is_score = Signal()
        m.d.comb += is_score.eq(kinds.bit_select(head, 1))
        writes = self._build_ended(m, self.write_end, self.done & ~is_score, "writes")
        scores = self._build_ended(m, self.score_end, self.done & is_score, "scores")
        m.d.comb += self.done.eq(Mux(is_score, scores, writes))
        m.d.sync += head.eq(head + self.done)
        return m

    def _build_ended(self, m: Module, end: Signal, take: Signal, name: str) -> Signal:
        """Whether an instruction of this kind has ended and is not yet done."""
        count = Signal(range(self.in_flight + 1), name=name)
        m.d.sync += count.eq(count + end - take)
        return (count != 0) | end
