"""Counters alone against a model; what each of them counts is in the tests of the machine and the matrix unit."""

from __future__ import annotations

import random
from typing import Any

from tests.support.hw.simulation import simulate
from vitreous.hw.control.counters import Counters
from vitreous.spec.isa import COUNTER_BITS, COUNTERS

COUNT = len(COUNTERS)


async def read(ctx: Any, dut: Counters) -> list[int]:
    values = []
    for number in range(COUNT):
        ctx.set(dut.index, number)
        values.append(ctx.get(dut.value))
    return values


def test_random_events_against_a_model() -> None:
    dut, rng = Counters(), random.Random(1)
    assert len(dut.value) == COUNTER_BITS == 48

    async def bench(ctx: Any) -> None:
        counts = [0] * COUNT
        for cycle in range(300):
            events, enable, clear = rng.getrandbits(COUNT), rng.random() < 0.8, cycle % 97 == 96
            ctx.set(dut.events, events)
            ctx.set(dut.enable, enable)
            ctx.set(dut.clear, clear)
            await ctx.tick()
            for number in range(COUNT):
                counts[number] = 0 if clear else counts[number] + (events >> number & 1 & enable)
        ctx.set(dut.events, 0)
        ctx.set(dut.clear, 0)
        await ctx.tick()
        assert await read(ctx, dut) == counts

    simulate(dut, bench)


def test_an_event_shows_after_two_cycles_and_nothing_counts_while_disabled() -> None:
    dut = Counters()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.events, (1 << COUNT) - 1)
        await ctx.tick().repeat(3)
        assert await read(ctx, dut) == [0] * COUNT
        ctx.set(dut.enable, 1)
        await ctx.tick()
        assert await read(ctx, dut) == [0] * COUNT
        ctx.set(dut.enable, 0)
        await ctx.tick()
        assert await read(ctx, dut) == [1] * COUNT
        await ctx.tick().repeat(3)
        assert await read(ctx, dut) == [1] * COUNT

    simulate(dut, bench)
