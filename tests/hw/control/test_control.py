"""The life of the machine: start, the first error, stop, interrupt, reset while idle, running and stopping."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.hw.simulation import simulate
from vitreous.hw.control.control import Control
from vitreous.spec.isa import ErrorCode

SOURCES = 3
SILENT = 9


class Driver:
    """Pulses inputs for one cycle and looks at the outputs."""

    def __init__(self, ctx: Any, dut: Control) -> None:
        self.ctx, self.dut = ctx, dut

    def high(self) -> set[str]:
        """Which outputs are high now."""
        names = ("halt", "flush", "begin", "running", "clear", "interrupt")
        return {name for name in names if self.ctx.get(getattr(self.dut, name))}

    def status(self) -> dict[str, int]:
        value = self.ctx.get(self.dut.status)
        return {name: getattr(value, name) for name in ("busy", "done", "error", "code", "pc")}

    async def pulse(self, **levels: int) -> None:
        for name, level in levels.items():
            self.ctx.set(getattr(self.dut, name), level)
        await self.ctx.tick()
        for name in levels:
            self.ctx.set(getattr(self.dut, name), 0)

    async def error(self, number: int, code: ErrorCode, pc: int) -> None:
        report = getattr(self.dut, f"error_{number}")
        self.ctx.set(report, {"valid": 1, "code": code, "pc": pc})
        await self.ctx.tick()
        self.ctx.set(report, {"valid": 0, "code": 0, "pc": 0})

    async def run(self) -> None:
        """Start, and check each cycle on the way to `Run`."""
        await self.pulse(start=1)
        assert self.high() == {"halt", "flush", "clear"}
        await self.ctx.tick()
        assert self.high() == {"begin", "running"}
        await self.ctx.tick()
        assert self.high() == {"running"}
        assert self.status() == QUIET | {"busy": 1}


QUIET = {"busy": 0, "done": 0, "error": 0, "code": 0, "pc": 0}


def check(scenario: Any) -> None:
    dut = Control(sources=SOURCES, silent_cycles=SILENT)

    async def bench(ctx: Any) -> None:
        await scenario(Driver(ctx, dut), ctx)

    simulate(dut, bench)


@pytest.mark.parametrize("waits", [0, 5])
def test_done_and_interrupt_come_when_the_bus_is_quiet(waits: int) -> None:
    async def scenario(control: Driver, ctx: Any) -> None:
        ctx.set(control.dut.interrupt_enable, 1)
        assert control.high() == {"halt"}
        for _ in range(2):  # a second start needs no reset
            await control.run()
            await control.pulse(finished=1)
            for _ in range(waits):
                assert control.high() == {"halt"}
                assert control.status() == QUIET | {"busy": 1}
                await ctx.tick()
            await control.pulse(drained=1)
            assert control.high() == {"halt", "interrupt"}
            assert control.status() == QUIET | {"done": 1}
        await control.pulse(clear_interrupt=1)
        assert control.high() == {"halt"}
        assert control.status() == QUIET | {"done": 1}

    check(scenario)


def test_interrupt_needs_its_enable_and_start_takes_it_away() -> None:
    async def scenario(control: Driver, ctx: Any) -> None:
        await control.run()
        await control.pulse(finished=1, drained=1)
        await control.pulse(drained=1)
        assert "interrupt" not in control.high()
        ctx.set(control.dut.interrupt_enable, 1)
        assert "interrupt" in control.high()
        await control.pulse(start=1)
        assert "interrupt" not in control.high()

    check(scenario)


def test_first_error_stays_until_reset() -> None:
    async def scenario(control: Driver, ctx: Any) -> None:
        ctx.set(control.dut.interrupt_enable, 1)
        await control.run()
        ctx.set(control.dut.error_2, {"valid": 1, "code": ErrorCode.DEADLOCK, "pc": 7})
        await control.error(1, ErrorCode.WINDOW, 9)  # of two in one cycle the lower number wins
        failed = {"error": 1, "code": ErrorCode.WINDOW, "pc": 9}
        assert control.high() == {"halt"}
        assert control.status() == QUIET | failed | {"busy": 1}, "the error shows at once"
        await control.error(0, ErrorCode.ADDRESS, 1)
        assert control.status() == QUIET | failed | {"busy": 1}, "a later one does not count"
        await control.pulse(drained=1)
        assert control.status() == QUIET | failed
        assert "interrupt" in control.high()
        await control.pulse(start=1)
        await ctx.tick().repeat(3)
        assert control.status() == QUIET | failed, "start does nothing after an error"
        assert "running" not in control.high()
        ctx.set(control.dut.error_2, {"valid": 0, "code": 0, "pc": 0})
        await control.pulse(reset=1)
        assert control.high() == {"halt", "flush"}, "reset does not clear the counters"
        await ctx.tick().repeat(2)
        assert control.status() == QUIET
        assert control.high() == {"halt"}
        await control.run()

    check(scenario)


@pytest.mark.parametrize("state", ["running", "stopping", "stopping after an error"])
def test_reset_of_a_busy_machine_waits_for_the_bus(state: str) -> None:
    async def scenario(control: Driver, ctx: Any) -> None:
        ctx.set(control.dut.interrupt_enable, 1)
        await control.run()
        if state == "stopping":
            await control.pulse(finished=1)
        elif state != "running":
            await control.error(0, ErrorCode.BUS_READ, 3)
        await control.pulse(reset=1)
        for _ in range(4):
            assert control.high() == {"halt"}
            assert control.status()["busy"]
            await ctx.tick()
        await control.pulse(drained=1)
        assert control.high() == {"halt", "flush"}
        await ctx.tick().repeat(2)
        assert control.high() == {"halt"}, "and there is no interrupt"
        assert control.status() == QUIET
        await control.run()

    check(scenario)


@pytest.mark.parametrize("delay", range(6))
def test_a_reset_right_after_a_start_is_not_lost(delay: int) -> None:
    """Whatever the state, it is carried out with a flush of its own, which takes the tokens too."""

    async def scenario(control: Driver, ctx: Any) -> None:
        ctx.set(control.dut.interrupt_enable, 1)
        ctx.set(control.dut.drained, 1)
        await control.pulse(start=1)
        for _ in range(delay):
            await ctx.tick()
        await control.pulse(reset=1)
        flushes = 0
        for _ in range(6):
            flushes += "flush" in control.high() and "clear" not in control.high()
            await ctx.tick()
        assert flushes == 1 - (delay == 0), (
            "in the cycle of the start's own flush that one becomes the reset's"
        )
        assert control.status() == QUIET
        assert control.high() == {"halt"}
        ctx.set(control.dut.drained, 0)
        await control.run()

    check(scenario)


@pytest.mark.parametrize("waits", range(4))
def test_a_reset_in_the_cycle_in_which_the_bus_gets_quiet(waits: int) -> None:
    async def scenario(control: Driver, ctx: Any) -> None:
        ctx.set(control.dut.interrupt_enable, 1)
        await control.run()
        await control.pulse(finished=1)
        for _ in range(waits):
            await ctx.tick()
        await control.pulse(drained=1, reset=1)
        await ctx.tick().repeat(3)
        assert control.status() == QUIET
        assert control.high() == {"halt"}

    check(scenario)


@pytest.mark.parametrize("after", ["done", "error", "reset"])
def test_a_silent_bus_is_given_up(after: str) -> None:
    """After ``SILENT`` cycles without a transfer, counted from the last one."""

    async def scenario(control: Driver, ctx: Any) -> None:
        ctx.set(control.dut.interrupt_enable, 1)
        await control.run()
        if after == "done":
            await control.pulse(finished=1)
        elif after == "error":
            await control.error(0, ErrorCode.CYCLE_LIMIT, 5)
        else:
            await control.pulse(reset=1)
        await ctx.tick().repeat(SILENT - 2)
        await control.pulse(moving=1)
        for _ in range(SILENT):
            assert control.status()["busy"]
            await ctx.tick()
        if after == "reset":
            assert control.high() == {"halt", "flush"}
            await ctx.tick().repeat(2)
            assert control.status() == QUIET
            return
        code, pc = (ErrorCode.BUS_SILENT, 0) if after == "done" else (ErrorCode.CYCLE_LIMIT, 5)
        assert control.status() == QUIET | {"error": 1, "code": code, "pc": pc}
        assert control.high() == {"halt", "interrupt"}
        await control.pulse(reset=1)
        await ctx.tick().repeat(2)
        assert control.status() == QUIET

    check(scenario)
