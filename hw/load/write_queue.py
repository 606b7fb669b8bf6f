"""The last two registers of the load unit, between the words that it makes and the memories' ports."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.gearbox import widest_word_bits
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory

DESTINATIONS = (Memory.X, Memory.W, Memory.R, Memory.P)


class Write(data.StructLayout):
    """A word on its way to a memory: ``to`` has a bit for each of ``DESTINATIONS``; ``mask``: its bytes, of a word of
    X; ``last``, ``pc``: of its command."""

    def __init__(self, config: AcceleratorConfig) -> None:
        super().__init__(
            {
                "to": len(DESTINATIONS),
                "addr": WORD_ADDRESS_BITS,
                "data": widest_word_bits(config, DESTINATIONS),
                "mask": config.panel_word_bytes,
                "last": 1,
                "pc": isa.PC_BITS,
            }
        )


class WriteQueue(wiring.Component):
    """Two registers between a source of words and the memories' ports, so that neither sees the other's ready in its
    own cycle.

    Latency: ``LATENCY`` cycle. Throughput: one word a cycle. Back-pressure: holds its words.

    Members
    -------
    i, o : In, Out(stream.Signature(Write(config))).
    """

    LATENCY = 1
    WORDS = 2

    def __init__(self, config: AcceleratorConfig) -> None:
        self._layout = Write(config)
        super().__init__({"i": In(stream.Signature(self._layout)), "o": Out(stream.Signature(self._layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Written in turn, read in turn; ``valid`` of each says where the next word goes and which one is next.
        words = [Signal(self._layout, name=f"word_{n}", reset_less=True) for n in range(self.WORDS)]
        valid = [Signal(name=f"valid_{n}") for n in range(self.WORDS)]
        put, get = Signal(name="put"), Signal(name="get")
        m.d.comb += [
            self.i.ready.eq(~(valid[0] & valid[1])),
            self.o.valid.eq(valid[0] | valid[1]),
            self.o.payload.eq(Mux(get, words[1].as_value(), words[0].as_value())),
        ]
        taken, given = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.sync += [put.eq(put ^ taken), get.eq(get ^ given)]
        for n in range(self.WORDS):
            with m.If(given & (get == n)):
                m.d.sync += valid[n].eq(0)
            with m.If(self.i.ready & (put == n)):
                m.d.sync += words[n].eq(self.i.payload)
            with m.If(taken & (put == n)):
                m.d.sync += valid[n].eq(1)
        return m
