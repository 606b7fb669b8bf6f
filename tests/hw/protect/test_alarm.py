"""An upset halts the machine in the next cycle, and stays known until a reset."""

from __future__ import annotations

from typing import Any

from tests.support.hw.simulation import simulate
from vitreous.hw.protect.alarm import Alarm
from vitreous.spec.isa import ErrorCode


def test_halt_and_error_come_a_cycle_later_and_stay() -> None:
    dut = Alarm(sources=3)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.pc, 12)
        ctx.set(dut.upset, 0b010)
        await ctx.tick()
        assert not ctx.get(dut.halt)  # of a machine that does not run
        ctx.set(dut.upset, 0)
        ctx.set(dut.running, 1)
        await ctx.tick()
        assert not ctx.get(dut.halt)
        ctx.set(dut.upset, 0b100)
        assert not ctx.get(dut.halt)
        await ctx.tick()
        ctx.set(dut.upset, 0)
        for _ in range(3):
            assert ctx.get(dut.halt)
            assert ctx.get(dut.error.valid)
            assert (ctx.get(dut.error.code), ctx.get(dut.error.pc)) == (ErrorCode.PARITY, 12)
            await ctx.tick()

    simulate(dut, bench)
