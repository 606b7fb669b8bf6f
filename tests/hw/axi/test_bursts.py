"""Rows into bursts: coverage, limits, pages, the window."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from tests.support.hw.axi_memory import taken
from vitreous.hw.axi.bursts import BurstGenerator, RowWalker
from vitreous.spec.config import AcceleratorConfig, BusConfig
from vitreous.spec.limits import AXI_PAGE_BYTES

BASE, SIZE = 0xFC0, 40000


def simulate(dut: Any, *processes: Any, background: tuple[Any, ...] = ()) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for process in background:
        simulator.add_testbench(process, background=True)
    for process in processes:
        simulator.add_testbench(process)
    simulator.run()


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize(("data_bits", "burst_beats"), [(64, 4), (64, 64), (128, 16), (256, 64)])
def test_bursts_cover_every_row_once(data_bits: int, burst_beats: int, stall: float) -> None:
    beat = data_bits // 8
    rng = random.Random(data_bits + burst_beats)
    rows = []
    for _ in range(25):
        size = rng.choice((1, beat, beat + 1, rng.randint(1, 3000), 5000))
        last = (SIZE - size) // beat
        rows.append((beat * rng.choice((0, last, rng.randint(0, last))), size))
    dut = BurstGenerator(AcceleratorConfig(bus=BusConfig(data_bits=data_bits)), burst_beats=burst_beats)
    bursts: list[tuple[int, int]] = []
    cycles = 0

    async def feed(ctx: Any) -> None:
        ctx.set(dut.base, BASE)
        ctx.set(dut.size, SIZE)
        for offset, size in rows:
            ctx.set(dut.i.payload.offset, offset)
            ctx.set(dut.i.payload.bytes, size)
            ctx.set(dut.i.valid, 1)
            assert not ctx.get(dut.outside)
            await taken(ctx, dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def collect(ctx: Any) -> None:
        nonlocal cycles
        idle = 0
        while idle < 5:
            ctx.set(dut.o.ready, rng.random() >= stall)
            _, _, valid, ready, address, length, busy, more = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload.address, dut.o.payload.length, dut.busy, dut.i.valid
            )
            cycles += 1
            if valid and ready:
                bursts.append((address, length + 1))
            idle = 0 if busy or more else idle + 1

    simulate(dut, collect, background=(feed,))
    expected = [(BASE + offset, -(-size // beat)) for offset, size in rows]
    for address, beats in expected:
        while beats:
            found, count = bursts.pop(0)
            assert found == address
            limit = min(burst_beats, (AXI_PAGE_BYTES - address % AXI_PAGE_BYTES) // beat)
            assert count == min(beats, limit), "a burst is as long as it may be"
            address, beats = address + count * beat, beats - count
    assert not bursts


def test_one_burst_a_cycle() -> None:
    dut = BurstGenerator(AcceleratorConfig(), burst_beats=4)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.size, SIZE)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.payload.bytes, 32 * 20)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(BurstGenerator.LATENCY)
        for _ in range(60):  # three rows
            assert ctx.get(dut.o.valid)
            await ctx.tick()

    simulate(dut, bench)


def test_a_row_in_two_cycles() -> None:
    dut = BurstGenerator(AcceleratorConfig(), burst_beats=4)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.size, SIZE)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.payload.bytes, 32)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(BurstGenerator.LATENCY)
        for _ in range(20):
            assert ctx.get(dut.o.valid) != ctx.get(dut.i.ready)
            before = ctx.get(dut.o.valid)
            await ctx.tick()
            assert ctx.get(dut.o.valid) != before

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("offset", "size", "outside"),
    [
        (SIZE - 64, 64, False),
        (SIZE - 64, 65, True),
        (SIZE, 1, True),
        ((1 << 32) - 64, 64, True),
        ((1 << 32) + 8, 8, True),
        (0, SIZE, False),
    ],
)
def test_window(offset: int, size: int, outside: bool) -> None:
    dut = BurstGenerator(AcceleratorConfig(), burst_beats=16)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.size, SIZE)
        ctx.set(dut.base, BASE)
        ctx.set(dut.i.payload.offset, offset)
        ctx.set(dut.i.payload.bytes, size)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.pc, 77)
        assert not ctx.get(dut.outside)
        await ctx.tick().repeat(BurstGenerator.ROW_LATENCY)
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.pc, 78)
        assert ctx.get(dut.outside) == outside
        assert ctx.get(dut.outside_pc) == 77
        await ctx.tick()
        assert ctx.get(dut.busy) != outside
        await ctx.tick()
        assert ctx.get(dut.o.valid) != outside

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("base", "size", "good", "strays"),
    [
        (BASE, SIZE, 2, False),
        (BASE - 64, 64 + 512, 2, False),
        (BASE - 64, 64 + 504, 1, True),
        (BASE + 8, SIZE, 0, True),
        (0, 0, 0, True),
    ],
)
def test_a_burst_that_strayed_never_goes_out(base: int, size: int, good: int, strays: bool) -> None:
    """The window moves between the check of a row and its two bursts, as an address does where a bit flips."""
    dut = BurstGenerator(AcceleratorConfig(), burst_beats=64)

    async def step(ctx: Any, halt: int, base: int, size: int) -> None:
        for signal, level in ((dut.halt, halt), (dut.base, base), (dut.size, size)):
            ctx.set(signal, level)
        await ctx.tick()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i.payload.bytes, 512)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        await step(ctx, 0, BASE, SIZE)
        ctx.set(dut.i.valid, 0)
        await step(ctx, 0, BASE, SIZE)  # the row's turn
        await step(ctx, 1, base, size)
        ctx.set(dut.halt, 0)
        sent = 0
        for _ in range(6):
            _, _, valid, strayed, length = await ctx.tick().sample(
                dut.o.valid, dut.strayed, dut.o.payload.length
            )
            assert not (valid and strayed)
            assert not valid or length + 1 == (8, 56)[sent], "the page ends after 64 bytes"
            sent += valid
        assert (sent, bool(strayed)) == (good, strays)

    simulate(dut, bench)


def test_halt_makes_no_new_burst() -> None:
    dut = BurstGenerator(AcceleratorConfig(), burst_beats=4)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.size, SIZE)
        ctx.set(dut.i.payload.bytes, 4096)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(BurstGenerator.LATENCY)
        assert ctx.get(dut.o.valid)
        ctx.set(dut.halt, 1)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        for _ in range(5):
            assert not ctx.get(dut.o.valid)
            assert not ctx.get(dut.i.ready)
            await ctx.tick()

    simulate(dut, bench)


def test_rows_walk_by_their_stride() -> None:
    dut = RowWalker()
    regions = [(640, 64, 3, 40), (0, 0, 2, 8), ((1 << 32) - 8, (1 << 32) - 8, 2, 8)]
    found = []

    async def feed(ctx: Any) -> None:
        for region in regions:
            for name, value in zip(("offset", "stride", "rows", "bytes"), region, strict=True):
                ctx.set(dut.i.payload[name], value)
            ctx.set(dut.i.valid, 1)
            await taken(ctx, dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def collect(ctx: Any) -> None:
        rng = random.Random(1)
        for _ in range(40):
            ctx.set(dut.o.ready, rng.random() < 0.5)
            _, _, moved, row = await ctx.tick().sample(dut.o.valid & dut.o.ready, dut.o.payload)
            if moved:
                found.append((row.offset, row.bytes))

    simulate(dut, collect, background=(feed,))
    assert found == [(o + n * stride, size) for o, stride, rows, size in regions for n in range(rows)]
