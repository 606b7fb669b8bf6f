"""The prologue of P·V: coded scores of a word become probabilities on their way into the array."""

from __future__ import annotations

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.softmax_base2 import build_base2_probability
from vitreous.hw.softmax_online import build_online_probability, probability_table
from vitreous.spec.config import AcceleratorConfig


class ProbabilityPrologue(wiring.Component):
    """``p = round(128 * 2**(t - M))`` at most 127, from the code of ``t`` and the final maximum ``M`` of its row.

    docs/numerics.md, ``base2`` and ``online``, has the exact formula of each variant.

    Latency: ``LATENCY`` cycles.
    Throughput: one word a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``array.depth`` (V) and ``softmax``.

    Members
    -------
    code : In, N·V codes, index ``lane*V + v``.
    maximum : In, of each lane's row, with the word.
    o : Out, N·V probabilities, 0..127.
    """

    LATENCY = 2

    def __init__(self, config: AcceleratorConfig) -> None:
        self.softmax = config.softmax
        self.lanes, self.depth = config.array.lanes, config.array.depth
        super().__init__(
            {
                "code": In(data.ArrayLayout(16, self.lanes * self.depth)),
                "maximum": In(data.ArrayLayout(signed(16), self.lanes)),
                "o": Out(data.ArrayLayout(signed(8), self.lanes * self.depth)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        online = self.softmax.variant == "online"
        if online:
            m.submodules.table = table = probability_table(self.softmax)
        for index in range(self.lanes * self.depth):
            code, maximum = self.code[index], self.maximum[index // self.depth]
            if online:
                probability = build_online_probability(m, str(index), code, maximum, table.read_port())
            else:
                probability = build_base2_probability(m, str(index), code, maximum)
            m.d.comb += self.o[index].eq(probability)
        return m
