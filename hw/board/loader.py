"""The serial loader: a host reads and writes words of the on-chip memory and of the accelerator's registers.

A request is a byte ``W`` or ``R``, the address and the number of words, four bytes each with the lowest first, and for
``W`` the words. The answer is the words for ``R``, and for both one byte: the sum of all bytes of the words modulo 256.
Any other byte where a request could begin is ignored, so that zeros resynchronize a lost host with the loader.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ADDRESS_BITS
from vitreous.hw.board.host_bus import WORD_BYTES, HostBus

WRITE, READ = ord("W"), ord("R")
_COUNT_BITS = 32


class Loader(wiring.Component):
    """Requests of bytes to requests of the ``HostBus``.

    Latency: a word is written in the cycle after its last byte came. Throughput: one byte a cycle, less where
    the bus waits. Back-pressure: ``i`` waits while the bus or ``o`` does.

    Members
    -------
    i : In, o : Out, streams of bytes. host : Out(HostBus()).
    """

    def __init__(self) -> None:
        super().__init__(
            {"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "host": Out(HostBus())}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._address = Signal(ADDRESS_BITS)
        self._count = Signal(_COUNT_BITS)
        self._word = Signal(8 * WORD_BYTES)
        self._sum = Signal(8)
        self._byte = Signal(range(WORD_BYTES))
        m.d.comb += [
            self.host.address.eq(self._address),
            self.host.data.eq(self._word),
        ]
        with m.FSM():
            with m.State("Command"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += self._sum.eq(0)
                with m.If(self.i.valid):
                    m.d.sync += self.host.write.eq(self.i.payload == WRITE)
                    with m.If((self.i.payload == WRITE) | (self.i.payload == READ)):
                        m.next = "Address"
            with m.State("Address"):
                self._build_collect(m, self._address, "Count")
            with m.State("Count"):
                self._build_collect(m, self._count, "Next")
            with m.State("Next"):
                with m.If(self._count == 0):
                    m.next = "Sum"
                with m.Elif(self.host.write):
                    m.next = "Word"
                with m.Else():
                    m.next = "Access"
            with m.State("Word"):
                self._build_collect(m, self._word, "Access")
                with m.If(self.i.valid):
                    m.d.sync += self._sum.eq(self._sum + self.i.payload)
            with m.State("Access"):
                self._build_access(m)
            with m.State("Send"):
                self._build_send(m)
            with m.State("Sum"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(self._sum)]
                with m.If(self.o.ready):
                    m.next = "Command"
        return m

    def _build_collect(self, m: Module, target: Signal, then: str) -> None:
        """Four bytes into ``target``, the lowest first."""
        m.d.comb += self.i.ready.eq(1)
        with m.If(self.i.valid):
            m.d.sync += [target.eq(Cat(target[8:], self.i.payload)), self._byte.eq(self._byte + 1)]
            with m.If(self._byte == WORD_BYTES - 1):
                m.next = then

    def _build_access(self, m: Module) -> None:
        m.d.comb += self.host.valid.eq(1)
        with m.If(self.host.ready):
            m.d.sync += [self._address.eq(self._address + WORD_BYTES), self._count.eq(self._count - 1)]
            m.next = "Next"
            with m.If(~self.host.write):
                m.d.sync += self._word.eq(self.host.result)
                m.next = "Send"

    def _build_send(self, m: Module) -> None:
        """The four bytes of a word that was read."""
        m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(self._word[:8])]
        with m.If(self.o.ready):
            m.d.sync += [
                self._word.eq(self._word >> 8),
                self._sum.eq(self._sum + self._word[:8]),
                self._byte.eq(self._byte + 1),
            ]
            with m.If(self._byte == WORD_BYTES - 1):
                m.next = "Next"
