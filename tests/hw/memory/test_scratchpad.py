"""The scratchpad: priority, latency, byte masks, faults."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from vitreous.hw.memory.scratchpad import Scratchpad

WIDTH, DEPTH = 32, 12
READS, WRITES = ("first", "second", "third"), ("first", "second")


@pytest.mark.slow
def test_random_accesses_against_a_model() -> None:
    dut = Scratchpad(width=WIDTH, depth=DEPTH, reads=READS, writes=WRITES, masked=("second",))
    rng = random.Random(3)
    model = [0] * DEPTH
    readers = [getattr(dut, f"read_{name}") for name in READS]
    writers = [getattr(dut, f"write_{name}") for name in WRITES]
    granted = dict.fromkeys((*READS, "fault"), 0)

    async def bench(ctx: Any) -> None:
        due: tuple[Any, int] | None = None
        for _ in range(3000):
            for port in (*readers, *writers):
                ctx.set(port.valid, rng.random() < 0.5)
                ctx.set(port.addr, rng.choice((rng.randrange(DEPTH), rng.randrange(1 << 18))))
            for port in writers:
                ctx.set(port.data, rng.getrandbits(WIDTH))
            ctx.set(writers[1].mask, rng.getrandbits(WIDTH // 8))
            for ports in (readers, writers):
                blocked = False
                for port in ports:
                    assert ctx.get(port.ready) == (not blocked)
                    assert ctx.get(port.fault) == (ctx.get(port.valid) and ctx.get(port.addr) >= DEPTH)
                    blocked |= bool(ctx.get(port.valid))
            if due:
                assert ctx.get(due[0].data) == due[1], "read data is there in the next cycle"
            due, performed = None, False
            for name, port in zip(READS, readers, strict=True):
                if ctx.get(port.valid) and ctx.get(port.ready):
                    granted["fault" if ctx.get(port.fault) else name] += 1
                    if not ctx.get(port.fault):
                        due, performed = (port, model[ctx.get(port.addr)]), True
            assert ctx.get(dut.read) == performed
            write(ctx)
            await ctx.tick()

    # What is on its way to the words, the oldest first; of a cycle without a write None.
    coming: list[tuple[int, int, int] | None] = [None] * (Scratchpad.WRITE_LATENCY - 1)

    def write(ctx: Any) -> None:
        performed = False
        accepted = None
        for port in writers:
            if ctx.get(port.valid) and ctx.get(port.ready) and not ctx.get(port.fault):
                mask = ctx.get(port.mask) if port is writers[1] else 15
                bits = sum(0xFF << 8 * byte for byte in range(4) if mask >> byte & 1)
                accepted = ctx.get(port.addr), bits, ctx.get(port.data)
                performed = True
        assert ctx.get(dut.write) == performed
        coming.append(accepted)
        if arrived := coming.pop(0):
            address, bits, data = arrived
            model[address] = model[address] & ~bits | data & bits

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert min(granted.values()) > 100
