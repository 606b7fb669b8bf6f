"""Runs testbenches on one component in the Amaranth simulator, with streams that pause at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from amaranth.sim import Simulator


def simulate(dut: Any, bench: Callable[[Any], Any], *background: Callable[[Any], Any]) -> None:
    """Until ``bench`` (an async function of the simulator's context) ends, with ``background`` beside it."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for process in background:
        simulator.add_testbench(process, background=True)
    simulator.add_testbench(bench)
    simulator.run()


def source(i: Any, payloads: list[Any], rng: random.Random, stall: float) -> Callable[[Any], Any]:
    """Sends ``payloads``; pauses with probability ``stall`` before each one."""

    async def send(ctx: Any) -> None:
        for payload in payloads:
            while rng.random() < stall:
                await ctx.tick()
            ctx.set(i.payload, payload)
            ctx.set(i.valid, 1)
            while not (await ctx.tick().sample(i.ready))[2]:
                pass
            ctx.set(i.valid, 0)

    return send


async def sink(ctx: Any, o: Any, count: int, rng: random.Random, stall: float) -> tuple[list[Any], int]:
    """``count`` payloads, which hold while they wait, then silence; and the cycles that they took."""
    got: list[Any] = []
    waiting, cycles, late = None, 0, 20
    while late:
        ctx.set(o.ready, ready := rng.random() >= stall)
        _, _, valid, payload = await ctx.tick().sample(o.valid, o.payload)
        assert waiting is None or (valid and repr(payload) == waiting), "the payload changed while it waited"
        waiting = repr(payload) if valid and not ready else None
        if valid and ready:
            got.append(payload)
        cycles += len(got) < count
        late -= len(got) >= count
        assert cycles < 50 * count + 100, "the stream hangs"
    return got, cycles
