"""The on-chip memory: bursts, strobes, errors beyond the end, and the host beside them, against a byte array."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.hw.simulation import simulate
from vitreous.hw.board.memory import AxiRam

BITS, BEATS = 64, 64
BEAT = BITS // 8


async def _until(ctx: Any, signal: Any) -> None:
    while not (await ctx.tick().sample(signal))[2]:
        pass


class Manager:
    """Writes and reads one burst at a time, pausing at random."""

    def __init__(self, ctx: Any, dut: AxiRam, seed: int) -> None:
        self.ctx, self.bus, self.host, self.rng = ctx, dut.bus, dut.host, random.Random(seed)

    async def write(self, address: int, beats: list[tuple[int, int]], number: int = 0) -> int:
        """``beats`` are (data, strobe); returns BRESP."""
        ctx, bus = self.ctx, self.bus
        for name, value in (("awaddr", address), ("awlen", len(beats) - 1), ("awid", number), ("awvalid", 1)):
            ctx.set(getattr(bus, name), value)
        await _until(ctx, bus.awready)
        ctx.set(bus.awvalid, 0)
        for index, (value, strobe) in enumerate(beats):
            await ctx.tick().repeat(self.rng.randrange(1, 3))
            ctx.set(bus.wdata, value)
            ctx.set(bus.wstrb, strobe)
            ctx.set(bus.wlast, index == len(beats) - 1)
            ctx.set(bus.wvalid, 1)
            await _until(ctx, bus.wready)
            ctx.set(bus.wvalid, 0)
        ctx.set(bus.bready, 1)
        response, back = await ctx.tick().sample(bus.bresp, bus.bid).until(bus.bvalid)
        ctx.set(bus.bready, 0)
        assert back == number
        return int(response)

    async def read(self, address: int, count: int, number: int, stall: float) -> list[tuple[int, int]]:
        """(data, RRESP) of each beat."""
        ctx, bus, seen = self.ctx, self.bus, []
        for name, value in (("araddr", address), ("arlen", count - 1), ("arid", number), ("arvalid", 1)):
            ctx.set(getattr(bus, name), value)
        await _until(ctx, bus.arready)
        ctx.set(bus.arvalid, 0)
        for _ in range(60 * count):
            ready = self.rng.random() >= stall
            ctx.set(bus.rready, ready)
            _, _, valid, value, response, last, back = await ctx.tick().sample(
                bus.rvalid, bus.rdata, bus.rresp, bus.rlast, bus.rid
            )
            if valid and ready:
                seen.append((int(value), int(response)))
                assert (back, last) == (number, len(seen) == count)
                if last:
                    ctx.set(bus.rready, 0)
                    return seen
        raise AssertionError("the burst does not end")


async def host_access(ctx: Any, host: Any, address: int, data: int | None = None) -> int:
    ctx.set(host.valid, 1)
    ctx.set(host.write, data is not None)
    ctx.set(host.address, address)
    ctx.set(host.data, data or 0)
    (result,) = await ctx.tick().sample(host.result).until(host.ready)
    ctx.set(host.valid, 0)
    return int(result)


@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_bursts_and_strobes(stall: float) -> None:
    dut = AxiRam(data_bits=BITS, beats=BEATS)
    expected = bytearray(BEATS * BEAT)

    async def bench(ctx: Any) -> None:
        manager = Manager(ctx, dut, seed=7)
        rng = manager.rng
        for _ in range(20):
            count = rng.randrange(1, 9)
            start = rng.randrange(BEATS - count)
            beats = [(rng.getrandbits(BITS), rng.getrandbits(BEAT)) for _ in range(count)]
            assert await manager.write(start * BEAT, beats, number=rng.randrange(2)) == 0
            for index, (value, strobe) in enumerate(beats):
                for byte in range(BEAT):
                    if strobe >> byte & 1:
                        expected[(start + index) * BEAT + byte] = value >> 8 * byte & 0xFF
            seen = await manager.read(start * BEAT, count, rng.randrange(2), stall)
            assert [value for value, _ in seen] == _words(expected, start, count)
            assert not any(response for _, response in seen)

    simulate(dut, bench)


def _words(memory: bytes, start: int, count: int) -> list[int]:
    return [int.from_bytes(memory[i * BEAT : (i + 1) * BEAT], "little") for i in range(start, start + count)]


def test_beyond_the_end() -> None:
    dut = AxiRam(data_bits=BITS, beats=BEATS)

    async def bench(ctx: Any) -> None:
        manager = Manager(ctx, dut, seed=1)
        last = (BEATS - 1) * BEAT
        assert await manager.write(last, [(5, 255), (6, 255)]) == 2
        assert await manager.read(last, 2, 1, 0.0) == [(5, 0), (0, 2)]
        assert await manager.read(0, 1, 0, 0.0) == [(0, 0)], "the beat beyond the end did not wrap"

    simulate(dut, bench)


def test_host_goes_first() -> None:
    """Words of the host land among the beats of bursts, in both directions, and neither loses any."""
    dut = AxiRam(data_bits=BITS, beats=BEATS)
    rng = random.Random(5)
    words = [rng.getrandbits(32) for _ in range(16)]

    async def host(ctx: Any) -> None:
        for index, word in enumerate(words):
            await host_access(ctx, dut.host, 4 * index, word)
            assert await host_access(ctx, dut.host, 4 * index) == word

    async def bench(ctx: Any) -> None:
        manager = Manager(ctx, dut, seed=2)
        for start in range(16, 48, 8):
            beats = [(rng.getrandbits(BITS), 255) for _ in range(8)]
            assert await manager.write(start * BEAT, beats) == 0
            assert await manager.read(start * BEAT, 8, 1, 0.2) == [(value, 0) for value, _ in beats]
        await ctx.tick().repeat(100)
        low, high = words[0::2], words[1::2]
        expected = [(a | b << 32, 0) for a, b in zip(low, high, strict=True)]
        assert await manager.read(0, 8, 0, 0.0) == expected

    simulate(dut, bench, host)


def test_size() -> None:
    with pytest.raises(ValueError, match="The memory must have at least 2 beats, not 1"):
        AxiRam(data_bits=64, beats=1)
