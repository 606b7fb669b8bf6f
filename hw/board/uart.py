"""Serial lines: 8 data bits, no parity, one stop bit."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

LEAST_DIVISOR = 4
"""Clock cycles of a bit: with fewer the middle of a bit cannot be told from its edge."""
_FRAME_BITS = 10
"""Start bit, 8 data bits, stop bit."""


def checked_divisor(divisor: int) -> int:
    """``divisor``; raises ValueError when a bit would be too short."""
    if divisor < LEAST_DIVISOR:
        raise ValueError(f"A bit must take at least {LEAST_DIVISOR} clock cycles, not {divisor!r}")
    return divisor


class UartReceiver(wiring.Component):
    """Bytes from a line that is high when idle.

    Latency: a byte comes in the middle of its stop bit. Throughput: that of the line; a new byte may begin at once.
    Back-pressure: none; a byte that is not taken before the next one is lost. A frame without a stop bit is dropped.

    Parameters
    ----------
    divisor : clock cycles of a bit, at least 4.

    Members
    -------
    rx : In(1), asynchronous. o : Out, stream of bytes.

    Raises ValueError when ``divisor`` is below 4.
    """

    def __init__(self, *, divisor: int) -> None:
        self._divisor = checked_divisor(divisor)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.line = FFSynchronizer(self.rx, line, init=1)
        left = Signal(range(self._divisor))
        bits = Signal(range(_FRAME_BITS + 1))  # of the frame, still to come
        frame = Signal(8)
        m.d.sync += left.eq(left - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(bits == 0):
            with m.If(~line):
                # The first sample is the middle of the start bit.
                m.d.sync += [bits.eq(_FRAME_BITS), left.eq(self._divisor // 2 - 1)]
        with m.Elif(left == 0):
            m.d.sync += [left.eq(self._divisor - 1), bits.eq(bits - 1), frame.eq(Cat(frame[1:], line))]
            with m.If((bits == _FRAME_BITS) & line):  # the line was low for less than half a bit
                m.d.sync += bits.eq(0)
            with m.If(bits == 1):
                m.d.sync += frame.eq(frame)
                with m.If(line):
                    m.d.sync += [self.o.payload.eq(frame), self.o.valid.eq(1)]
        return m


class UartTransmitter(wiring.Component):
    """Bytes onto a line that is high when idle.

    Latency: the start bit begins in the cycle after the transfer. Throughput: a byte in 10 bits.
    Back-pressure: ``i`` waits until the stop bit is over.

    Parameters
    ----------
    divisor : clock cycles of a bit, at least 4.

    Members
    -------
    i : In, stream of bytes. tx : Out(1).

    Raises ValueError when ``divisor`` is below 4.
    """

    def __init__(self, *, divisor: int) -> None:
        self._divisor = checked_divisor(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(range(self._divisor))
        bits = Signal(range(_FRAME_BITS + 1))
        frame = Signal(_FRAME_BITS, init=-1)
        m.d.comb += [self.tx.eq(frame[0]), self.i.ready.eq(bits == 0)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                frame.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))),
                bits.eq(_FRAME_BITS),
                left.eq(self._divisor - 1),
            ]
        with m.Elif(bits != 0):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 0):
                m.d.sync += [
                    left.eq(self._divisor - 1),
                    bits.eq(bits - 1),
                    frame.eq(Cat(frame[1:], Const(1, 1))),
                ]
        return m
