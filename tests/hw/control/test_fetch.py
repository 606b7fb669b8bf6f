"""Instruction fetch: order, back-pressure without blocking the bus, errors, throughput."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from tests.support.hw.axi_memory import AxiMemory
from tests.support.hw.programs import relay_config
from vitreous.hw.axi.axi import ReadChannel
from vitreous.hw.control.fetch import Fetch
from vitreous.spec.isa import ErrorCode

BASE, OFFSET, SIZE = 0xFC0, 0x40, 0x1000


class Bench:
    """Fetch and its read channel; commands are taken at random."""

    def __init__(self, data_bits: int, *, seed: int = 0, stall: float = 0.0, latency: int = 3) -> None:
        config = relay_config(data_bits)
        self.unit = Fetch(config)
        channel = ReadChannel(data_bits=data_bits)
        m = Module()
        m.submodules.unit, m.submodules.channel = self.unit, channel
        wiring.connect(m, self.unit.bus, channel.fetch)
        m.d.comb += channel.load.beat.ready.eq(1)
        self.axi = AxiMemory(
            channel.bus,
            data_bits,
            BASE + SIZE,
            seed=seed,
            stall=stall,
            latency=latency,
            burst_beats=config.bus.burst_beats,
            readable=(BASE, BASE + SIZE),
        )
        self.axi.data[:] = random.Random(seed).randbytes(len(self.axi.data))
        self.simulator = Simulator(m)
        self.simulator.add_clock(1e-6)
        self.axi.attach(self.simulator)
        self._random, self._stall = random.Random(seed + 1), stall
        self.words: list[int] = []
        self.error: tuple[int, int] | None = None
        self.finished = False

    def run(self, length: int, *, cycles: int = 1500, pause: int = 0) -> None:
        """``pause``: cycles at the beginning in which no command is taken."""

        async def bench(ctx: Any) -> None:
            unit = self.unit
            for name, value in (("base", BASE), ("size", SIZE), ("offset", OFFSET), ("length", length)):
                ctx.set(getattr(unit, name), value)
            ctx.set(unit.start, 1)
            await ctx.tick()
            ctx.set(unit.start, 0)
            for cycle in range(cycles):
                ctx.set(unit.o.ready, cycle >= pause and self._random.random() >= self._stall)
                assert ctx.get(unit.bus.beat.ready), "fetch never holds up the read channel"
                _, _, taken, command, error, finished = await ctx.tick().sample(
                    unit.o.valid & unit.o.ready, unit.o.payload, unit.error, unit.finished
                )
                assert not finished or len(self.words) == length
                if taken:
                    assert command.pc == len(self.words)
                    self.words.append(command.word)
                if error.valid and self.error is None:
                    self.error = (error.code, error.pc)
                self.finished = bool(finished)
                if cycle == pause - 1 and pause:
                    assert ctx.get(unit.drained), "what was asked for has come although nothing is taken"
            assert ctx.get(unit.drained)
            assert self.axi.quiet

        self.simulator.add_testbench(bench)
        self.simulator.run()

    def expected(self, length: int) -> list[int]:
        start = BASE + OFFSET
        return [
            int.from_bytes(self.axi.data[start + 32 * n : start + 32 * n + 32], "little")
            for n in range(length)
        ]


@pytest.mark.alike(1)
@pytest.mark.parametrize("data_bits", [64, 128, 256])
@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_program_in_order(data_bits: int, stall: float) -> None:
    bench = Bench(data_bits, seed=data_bits, stall=stall)
    bench.run(37, pause=200)
    assert bench.words == bench.expected(37)
    assert bench.error is None
    assert bench.finished


def test_one_instruction_in_four_beats() -> None:
    bench = Bench(64, latency=2)
    bench.run(40, cycles=40 * 4 + 60)
    assert bench.words == bench.expected(40)


def test_bus_error() -> None:
    bench = Bench(64, seed=2, stall=0.3)
    bench.axi.fail_read.add(BASE + OFFSET + 9 * 32 + 17)
    bench.run(20)
    assert bench.error == (ErrorCode.BUS_READ, 9)
    assert bench.words == bench.expected(9)


def test_window() -> None:
    fits = (SIZE - OFFSET) // 32
    bench = Bench(64)
    bench.run(fits + 1)
    assert bench.error == (ErrorCode.WINDOW, fits)
    assert not bench.words
    assert not bench.axi.read_bursts
