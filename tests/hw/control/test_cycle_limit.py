"""The limit of a run: exactly ``limit`` cycles pass, none is no limit, every start counts anew."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.hw.simulation import simulate
from vitreous.hw.control.cycle_limit import CycleLimit
from vitreous.spec.isa import ErrorCode


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 11])
def test_the_report_comes_once_in_the_last_cycle_allowed(limit: int) -> None:
    dut = CycleLimit()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.pc, 77)
        for _ in range(2):
            ctx.set(dut.limit, limit)
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            ctx.set(dut.limit, 5)  # looked at with `clear` alone
            reports, cycle = [], 0
            for step in range(30):
                running = step % 3 != 1
                ctx.set(dut.running, running)
                cycle += running
                _, _, error = await ctx.tick().sample(dut.error)
                if error.valid:
                    reports.append((cycle, error.code, error.pc))
            assert reports == ([(limit, ErrorCode.CYCLE_LIMIT, 77)] if limit else [])

    simulate(dut, bench)
