"""The register file on AXI4-Lite: every register and counter, strobes, stalls, one answer for each access."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.hw.programs import relay_config
from tests.support.hw.simulation import simulate
from vitreous.hw.control.registers import Registers
from vitreous.spec import isa
from vitreous.spec.isa import Register

PLAIN = {
    Register.READ_SIZE: "read_size",
    Register.WRITE_SIZE: "write_size",
    Register.CYCLE_LIMIT: "cycle_limit",
}
ALIGNED = {
    Register.READ_BASE: "read_base",
    Register.WRITE_BASE: "write_base",
    Register.PROGRAM_OFFSET: "program_offset",
}
PULSES = {
    isa.CONTROL_START: "start",
    isa.CONTROL_RESET: "reset",
    isa.CONTROL_CLEAR_INTERRUPT: "clear_interrupt",
}


class Host:
    """An AXI4-Lite manager that pauses at random, and a log of the pulses of CONTROL."""

    def __init__(self, ctx: Any, dut: Registers, *, seed: int = 0, stall: float = 0.0) -> None:
        self.ctx, self.dut, self.bus = ctx, dut, dut.bus
        self._random, self._stall = random.Random(seed), stall
        self.pulses: list[str] = []

    async def tick(self, *values: Any) -> list[int]:
        pulses = [getattr(self.dut, name) for name in PULSES.values()]
        _, _, *seen = await self.ctx.tick().sample(*pulses, *values)
        self.pulses += [name for name, high in zip(PULSES.values(), seen, strict=False) if high]
        return seen[len(pulses) :]

    def pause(self) -> int:
        return self._random.randrange(4) if self._random.random() < self._stall else 0

    async def write(self, address: int, value: int, strobe: int = 15) -> None:
        ctx, bus = self.ctx, self.bus
        for name, level in (("awaddr", address), ("wdata", value), ("wstrb", strobe)):
            ctx.set(getattr(bus, name), level)
        left = {channel: self.pause() for channel in self._random.sample(["aw", "w"], 2)}
        for _ in range(20):
            for channel, wait in left.items():
                ctx.set(getattr(bus, f"{channel}valid"), wait == 0)
            taken = await self.tick(bus.awready, bus.wready)
            for channel, ready in zip(("aw", "w"), taken, strict=True):
                if left.get(channel) == 0 and ready:
                    del left[channel]
                    ctx.set(getattr(bus, f"{channel}valid"), 0)
            left = {channel: max(wait - 1, 0) for channel, wait in left.items()}
            if not left:
                break
        else:
            raise AssertionError("a write is not taken")
        await self.answer("b")

    async def read(self, address: int) -> int:
        ctx, bus = self.ctx, self.bus
        ctx.set(bus.araddr, address)
        ctx.set(bus.arvalid, 1)
        while not (await self.tick(bus.arready))[0]:
            pass
        ctx.set(bus.arvalid, 0)
        ctx.set(bus.araddr, self._random.getrandbits(12))
        return await self.answer("r")

    async def answer(self, channel: str) -> int:
        """The response waits for ``ready``, does not change meanwhile, and comes once."""
        ctx, bus = self.ctx, self.bus
        valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
        payload = bus.rdata if channel == "r" else bus.bresp
        response = bus.rresp if channel == "r" else bus.bresp
        for _ in range(2):
            if ctx.get(valid):
                break
            await self.tick()
        first = ctx.get(payload)
        for _ in range(self.pause()):
            assert await self.tick(valid, payload) == [1, first]
        ctx.set(ready, 1)
        assert await self.tick(valid, payload, response) == [1, first, 0]
        ctx.set(ready, 0)
        assert not ctx.get(valid)
        return int(first)


def check(scenario: Any, *, seed: int = 0, stall: float = 0.0) -> None:
    dut = Registers(relay_config())

    async def bench(ctx: Any) -> None:
        await scenario(Host(ctx, dut, seed=seed, stall=stall))

    simulate(dut, bench)


@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_settings_are_read_back_and_reach_the_machine(stall: float) -> None:
    async def scenario(host: Host) -> None:
        rng, dut = random.Random(5), host.dut
        for register, name in {**PLAIN, **ALIGNED}.items():
            expected = 0
            for strobe in (15, 1, 2, 4, 8, 0, 6):
                value = rng.getrandbits(32)
                mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
                expected = expected & ~mask | value & mask
                await host.write(register, value, strobe)
                stored = expected & ~63 if register in ALIGNED else expected
                assert await host.read(register) == stored == host.ctx.get(getattr(dut, name))
        assert not host.pulses

    check(scenario, seed=3, stall=stall)


def test_program_length_saturates() -> None:
    async def scenario(host: Host) -> None:
        most = 1 << isa.PC_BITS
        for length in (0, 7, most - 1, most, most + 1, 0xFFFF0000):
            await host.write(Register.PROGRAM_LENGTH, length)
            assert await host.read(Register.PROGRAM_LENGTH) == length
            assert host.ctx.get(host.dut.program_length) == min(length, most)

    check(scenario)


@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_control_pulses_once_for_each_write(stall: float) -> None:
    async def scenario(host: Host) -> None:
        for value in range(8):
            host.pulses.clear()
            await host.write(Register.CONTROL, value | 0xFFFFFFF8)
            await host.write(Register.CONTROL, value, strobe=14)
            assert host.pulses == [name for bit, name in PULSES.items() if value & bit]
            assert await host.read(Register.CONTROL) == 0

    check(scenario, seed=4, stall=stall)


def test_constants_status_and_interrupt_enable() -> None:
    async def scenario(host: Host) -> None:
        ctx, dut = host.ctx, host.dut
        for address, value in ((Register.MAGIC, isa.MAGIC_VALUE), (Register.CONFIG, relay_config().digest32)):
            await host.write(address, 0)
            assert await host.read(address) == value
        ctx.set(dut.status, {"busy": 1, "done": 0, "error": 1, "code": 0x15, "pc": 0x56_1234})
        assert await host.read(Register.STATUS) == 0x56_1234_AD
        await host.write(Register.INTERRUPT_ENABLE, 0xFFFFFFFF)
        assert ctx.get(dut.interrupt_enable) == await host.read(Register.INTERRUPT_ENABLE) == 1

    check(scenario)


def test_counters_and_addresses_without_a_register() -> None:
    async def scenario(host: Host) -> None:
        ctx, dut = host.ctx, host.dut
        end = Register.COUNTERS + 8 * len(isa.COUNTERS)
        for address in (0x30, 0x40, Register.COUNTERS - 4, end, end + 4, 0xFFC):
            await host.write(address, 0xFFFFFFFF)
            ctx.set(dut.counter_value, (1 << 48) - 1)
            assert await host.read(address) == 0, hex(address)
        for number in range(len(isa.COUNTERS)):
            for half, expected in ((0, 0x89ABCDEF), (4, 0x4567)):
                ctx.set(dut.counter_value, 0x456789ABCDEF)
                assert await host.read(Register.COUNTERS + 8 * number + half) == expected
                assert ctx.get(dut.counter_index) == number

    check(scenario)


@pytest.mark.parametrize("channel", ["b", "r"])
def test_a_second_access_waits_until_the_first_is_answered(channel: str) -> None:
    """It is taken into the register of its channel, and a third one is not; the first answer does not change."""

    async def scenario(host: Host) -> None:
        ctx, bus = host.ctx, host.bus
        await host.write(Register.READ_SIZE, 1)
        await host.write(Register.WRITE_SIZE, 2)
        requests = [bus.arvalid] if channel == "r" else [bus.awvalid, bus.wvalid]
        valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
        accepts = bus.arready if channel == "r" else bus.awready
        for request in requests:
            ctx.set(request, 1)
        for address, value in ((Register.READ_SIZE, 3), (Register.WRITE_SIZE, 4)):
            for name, level in (("araddr", address), ("awaddr", address), ("wdata", value), ("wstrb", 15)):
                ctx.set(getattr(bus, name), level)
            assert await host.tick(accepts) == [1]
            if address == Register.READ_SIZE:
                assert await host.tick(accepts) == [0], "the register is full for one cycle"
        for _ in range(3):
            assert await host.tick(accepts, valid) == [0, 1], "the first answer is not yet taken"
            assert ctx.get(bus.rdata) == 1 or channel == "b"
        if channel == "b":
            assert (ctx.get(host.dut.read_size), ctx.get(host.dut.write_size)) == (3, 2)
        for request in requests:
            ctx.set(request, 0)
        ctx.set(ready, 1)
        assert await host.tick(accepts, valid) == [0, 1]
        assert await host.tick(accepts, valid) == [1, 1], "the second answer follows at once"
        assert ctx.get(valid) == 0
        if channel == "r":
            assert ctx.get(bus.rdata) == 2
        else:
            assert (ctx.get(host.dut.read_size), ctx.get(host.dut.write_size)) == (3, 4)

    check(scenario)
