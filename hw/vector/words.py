"""The way out of the vector unit: finished words wait here for a write port that other units may hold."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, WritePort
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig


class NormWords(wiring.Component):
    """A queue of words with the addresses of their writes: to X ascending in each tile, or to R (POOL) ascending.

    A word's place is reserved before its first column is read, because the pipeline between cannot wait; its write
    frees the place.

    Latency: 1 cycle from ``push`` to the write.
    Throughput: one word a cycle.
    Back-pressure: ``room`` is low while all places are reserved.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``array.depth`` (V).

    Members
    -------
    start : In, pulse: the next words go to ``base`` and following.
    base : In, with ``start``, a word address.
    pool : In, words go to R: 16 bits of lane 0, the other lanes 0. Constant until ``empty``, like ``stride``.
    stride : In, from a tile's first word to the next one's.
    reserve : In, a place is taken. room : Out, there is one. empty : Out, every reserved word is written.
    push : In, a reserved word is finished. word : In, the word. last : In, it is its tile's last one.
    stop : In, nothing is written.
    xo, ro : Out, write ports. fault : Out, a word's address is beyond the end.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.width = 8 * config.panel_word_bytes
        # In columns more than the way from a read to this queue and one word, so that it never runs dry by itself.
        self.depth = max(4, 16 // config.array.depth)
        super().__init__(
            {
                "start": In(1),
                "base": In(isa.ADDRESS_BITS),
                "pool": In(1),
                "stride": In(isa.ADDRESS_BITS),
                "reserve": In(1),
                "room": Out(1),
                "empty": Out(1),
                "push": In(1),
                "word": In(self.width),
                "last": In(1),
                "stop": In(1),
                "xo": Out(WritePort(self.width)),
                "ro": Out(WritePort(8 * config.residual_word_bytes)),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = fifo.SyncFIFO(width=1 + self.width, depth=self.depth)
        address, base = (
            Signal(WORD_ADDRESS_BITS, name=name, reset_less=True) for name in ("address", "tile_base")
        )
        reserved = Signal(range(self.depth + 1))
        last, word = words.r_data[0], words.r_data[1:]
        granted = (self.xo.valid & self.xo.ready) | (self.ro.valid & self.ro.ready)
        written = Signal()
        m.d.comb += [
            self.room.eq(reserved != self.depth),
            self.empty.eq(reserved == 0),
            words.w_en.eq(self.push),
            words.w_data.eq(Cat(self.last, self.word)),
            words.r_en.eq(written),
            self.xo.valid.eq(words.r_rdy & ~self.pool & ~self.stop),
            self.ro.valid.eq(words.r_rdy & self.pool & ~self.stop),
            self.xo.addr.eq(address),
            self.ro.addr.eq(address),
            self.xo.data.eq(word),
            self.ro.data.eq(word[:16]),
            self.fault.eq(granted & Mux(self.pool, self.ro.fault, self.xo.fault)),
            written.eq(granted & ~self.fault),
        ]
        m.d.sync += reserved.eq(reserved + self.reserve - written)
        following = Mux(last, base + self.stride, address + 1)[:WORD_ADDRESS_BITS]
        with m.If(self.start):
            m.d.sync += [address.eq(self.base), base.eq(self.base)]
        with m.Elif(written):
            m.d.sync += [address.eq(following), base.eq(Mux(last, following, base))]
        return m
