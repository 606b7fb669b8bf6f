"""The channel shifts of a NORM: words of P, read one ahead of the column that needs them.

p -> ahead -> word -> shift of one column after another
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.memory.ports import ReadPort
from vitreous.spec import isa
from vitreous.spec.layout import SHIFTS_PER_WORD
from vitreous.spec.limits import NORM_CHANNELS
from vitreous.spec.numbers import CHANNEL_SHIFT_BITS

WORD_BITS = 8 * isa.PARAMETER_BYTES
_WORDS = NORM_CHANNELS // SHIFTS_PER_WORD


class ChannelShifts(wiring.Component):
    """The shifts of a tile's channels in ascending order, from words ``base`` and following of P.

    Latency: 3 cycles from the read of a word to its first shift.
    Throughput: one shift a cycle while P is free at least once in the time of a word. The next word is asked for from
    the cycle on in which the first shift of a word is there.
    Back-pressure: ``ready``.

    Members
    -------
    begin : In, pulse: a tile begins; all shifts of the tile before are taken.
    base, channels : In, constant while shifts are read.
    ready : Out, ``shift`` is that of the next channel.
    shift : Out, 0 while not ``ready``.
    take : In, the next channel is the following one; only while ``ready``. last : In, it is the last one of its word.
    stop : In, nothing is read.
    p : Out, read port of P. fault : Out, a word's address is beyond the end.
    """

    LATENCY = 3

    def __init__(self) -> None:
        super().__init__(
            {
                "begin": In(1),
                "base": In(isa.ADDRESS_BITS),
                "channels": In(range(NORM_CHANNELS + 1)),
                "ready": Out(1),
                "shift": Out(CHANNEL_SHIFT_BITS),
                "take": In(1),
                "last": In(1),
                "stop": In(1),
                "p": Out(ReadPort(WORD_BITS)),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held, there = Signal(name="held"), Signal(name="there")
        arrives = self._build_reads(m, ~held)
        ahead, word = (Signal(WORD_BITS, name=name, reset_less=True) for name in ("ahead", "word"))
        used = Signal()
        m.d.comb += [
            used.eq(~there | (self.take & self.last)),
            self.ready.eq(there),
            self.shift.eq(Mux(there, word[:CHANNEL_SHIFT_BITS], 0)),
        ]
        with m.If(arrives):  # never while one is held
            m.d.sync += [ahead.eq(self.p.data), held.eq(1)]
        with m.Elif(used):
            m.d.sync += held.eq(0)
        with m.If(used):
            m.d.sync += [word.eq(ahead), there.eq(held)]
        with m.Elif(self.take):
            m.d.sync += word.eq(word >> CHANNEL_SHIFT_BITS)
        return m

    def _build_reads(self, m: Module, room: Value) -> Signal:
        """The tile's words in ascending order, one at a time and only where there is room. Returns whether the data of
        one is there."""
        reading, arrives = Signal(name="reading"), Signal(name="arrives")
        index = Signal(range(_WORDS), reset_less=True)
        granted = self.p.valid & self.p.ready
        m.d.comb += [
            self.p.valid.eq(reading & room & ~arrives & ~self.stop),
            self.p.addr.eq(self.base + index),
            self.fault.eq(granted & self.p.fault),
        ]
        m.d.sync += arrives.eq(granted & ~self.p.fault)
        with m.If(granted):
            m.d.sync += [index.eq(index + 1), reading.eq(index != (self.channels - 1) // SHIFTS_PER_WORD)]
        with m.If(self.begin):
            m.d.sync += [index.eq(0), reading.eq(1)]
        return arrives
