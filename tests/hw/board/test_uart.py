"""Serial lines: bytes come back, also where the clocks differ; bad frames are dropped."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tests.support.hw.simulation import simulate, sink, source
from vitreous.hw.board.uart import UartReceiver, UartTransmitter


class Loop(wiring.Component):
    """Transmitter to receiver with ``i`` and ``o``."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.transmitter = transmitter = UartTransmitter(divisor=self._send)
        m.submodules.receiver = receiver = UartReceiver(divisor=self._receive)
        wiring.connect(m, wiring.flipped(self.i), transmitter.i)
        wiring.connect(m, receiver.o, wiring.flipped(self.o))
        m.d.comb += receiver.rx.eq(transmitter.tx)
        return m


@pytest.mark.alike(1)
@pytest.mark.parametrize(("send", "receive"), [(4, 4), (7, 7), (50, 50), (48, 50), (52, 50)])
def test_bytes_come_back(send: int, receive: int) -> None:
    """Also where one clock is four percent off, which the ten bits of a frame allow."""
    rng = random.Random(send)
    sent = [0, 255, 0x55, 0xAA, *rng.randbytes(12)]
    dut = Loop(send, receive)

    async def bench(ctx: Any) -> None:
        got = []
        ctx.set(dut.o.ready, 1)
        for _ in range(len(sent) * 12 * max(send, receive) * 2):
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                got.append(payload)
        assert got == sent

    simulate(dut, bench, source(dut.i, sent, rng, 0.02))


def test_a_frame_without_stop_bit_and_a_spike_are_dropped() -> None:
    dut = UartReceiver(divisor=8)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        seen = []
        line = [1] * 20 + [0] * 3 + [1] * 40  # a spike of less than half a bit
        line += [0] * 8 * 10 + [1] * 40  # ten bits low: no stop bit
        line += [0] * 8 + [bit for n in range(8) for bit in [0x3C >> n & 1] * 8] + [1] * 20
        for level in line:
            ctx.set(dut.rx, level)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                seen.append(payload)
        assert seen == [0x3C]

    simulate(dut, bench)


@pytest.mark.parametrize("unit", [UartReceiver, UartTransmitter])
def test_divisor(unit: Any) -> None:
    with pytest.raises(ValueError, match="A bit must take at least 4 clock cycles, not 3"):
        unit(divisor=3)


def test_the_sink_sees_each_byte_once() -> None:
    dut, rng = Loop(4, 4), random.Random(3)
    sent = list(rng.randbytes(8))

    async def bench(ctx: Any) -> None:
        got, _ = await sink(ctx, dut.o, len(sent), rng, 0.3)
        assert got == sent

    simulate(dut, bench, source(dut.i, sent, rng, 0.0))
