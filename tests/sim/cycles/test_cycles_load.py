"""The load unit of the cycle model against the hardware's, cycle by cycle: requests, beats, writes, completions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from tests.support.hw.transfer_bench import small, transfer
from vitreous.hw.axi.axi import ReadChannel
from vitreous.hw.load.load import LoadUnit
from vitreous.sim.cycles.bus import Lane, ReadBus, Reader, Stream
from vitreous.sim.cycles.events import Clock
from vitreous.sim.cycles.load import LoadModel
from vitreous.sim.cycles.ports import Client, Port
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, make

PORTS = {Memory.X: "xo", Memory.W: "wo", Memory.R: "ro", Memory.P: "po"}
Request = tuple[int, int]
"""Cycle and beats of a burst."""


@dataclass
class Course:
    """When each instruction was taken, when each was done, when load asked for bursts, when the beats of fetch came."""

    taken: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    fetched: list[int] = field(default_factory=list)


@dataclass
class Case:
    """``program`` with a DRAM of ``latency`` beside ``fetch``, its bursts; ``busy``: when others use each port."""

    program: list[Instruction]
    latency: int = 1
    fetch: tuple[Request, ...] = ()
    busy: dict[Memory, range] = field(default_factory=dict)


def in_hardware(config: AcceleratorConfig, case: Case) -> Course:
    """The unit, the read channel, a client in the place of fetch, and a DRAM that gives a beat a cycle."""
    unit, channel, course = LoadUnit(config), ReadChannel(data_bits=config.bus.data_bits), Course()
    m = Module()
    m.submodules.unit, m.submodules.channel = unit, channel
    wiring.connect(m, unit.bus, channel.load)
    m.d.comb += channel.fetch.beat.ready.eq(1)
    bus, fetch, burst = channel.bus, channel.fetch, unit.bus.burst

    async def bench(ctx: Any) -> None:
        ctx.set(unit.size, 1 << 20)
        ctx.set(bus.arready, 1)
        fetched = sum(beats for _, beats in case.fetch)
        waiting, asking, program = deque[list[int]](), list(case.fetch), list(case.program)
        for cycle in range(2000):
            if len(course.done) == len(case.program) and len(course.fetched) == fetched:
                return
            ctx.set(unit.i.valid, bool(program))
            if program:
                ctx.set(unit.i.payload.word, int.from_bytes(program[0].encode(), "little"))
            fetches = bool(asking) and asking[0][0] == cycle
            ctx.set(fetch.burst.valid, fetches)
            if fetches:
                ctx.set(fetch.burst.payload.length, asking.pop(0)[1] - 1)
            for memory, name in PORTS.items():
                ctx.set(getattr(unit, name).ready, cycle not in case.busy.get(memory, ()))
            there = bool(waiting) and waiting[0][0] <= cycle
            ctx.set(bus.rvalid, there)
            if there:
                ctx.set(bus.rid, waiting[0][2])
                ctx.set(bus.rlast, waiting[0][1] == 1)
            _, _, *seen = await ctx.tick().sample(
                unit.i.ready, unit.done, burst.valid & burst.ready, burst.payload.length, bus.arvalid, bus.arlen,
                bus.arid, bus.rready,
            )  # fmt: skip
            ready, done, asks, length, arvalid, arlen, arid, rready = seen
            if program and ready:
                course.taken.append(cycle)
                program.pop(0)
            if done:
                course.done.append(cycle)
            if asks:
                course.asked.append((cycle, length + 1))
            if there and rready:
                if waiting[0][2] == 0:
                    course.fetched.append(cycle)
                waiting[0][1] -= 1
                if not waiting[0][1]:
                    waiting.popleft()
            if arvalid:
                waiting.append([cycle + case.latency + 1, arlen + 1, arid])
        raise AssertionError("the unit hangs")

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return course


class RecordedBus(ReadBus):
    """Lets load go through its bursts one by one, and keeps what it asks for in ``course``."""

    def __init__(self, clock: Clock, timing: MemoryTiming, course: Course) -> None:
        super().__init__(clock, timing)
        self._course = course

    def lane(self, reader: Reader, stream: Stream | None = None) -> Lane:
        return super().lane(reader)

    def request(self, cycle: int, beats: int, lane: Lane) -> None:
        if isinstance(lane.reader, LoadModel):
            self._course.asked.append((cycle, beats))
        super().request(cycle, beats, lane)


class FetchClient:
    """In the place of fetch: takes every beat at once."""

    left = 0

    def __init__(self, course: Course) -> None:
        self._course, self._coming = course, list[int]()

    def look(self, now: int, first: int, later: list[int]) -> int:
        self._coming = [first + delay for delay in later]
        return now

    def room(self) -> int:
        return 0

    def arrive(self) -> int:
        self._course.fetched += self._coming
        return self._coming[-1]


def in_model(config: AcceleratorConfig, case: Case, *, singly: bool) -> Course:
    """The same of the model; unless ``singly``, many bursts at a time, and nothing is known of the requests."""
    course, clock, program = Course(), Clock(), deque(case.program)
    timing = MemoryTiming(latency=case.latency)
    bus = RecordedBus(clock, timing, course) if singly else ReadBus(clock, timing)
    fetch = bus.lane(FetchClient(course))
    others = {memory: Client() for memory in PORTS}
    for memory, cycles in case.busy.items():
        others[memory].use(cycles[0], 1, len(cycles), len(cycles))
    ports = {memory: Port(client, notice=1 << 20) for memory, client in others.items()}
    load = LoadModel(config, clock, bus, ports, course.done.append)

    def look(cycle: int) -> None:
        if program and load.ready is not None:
            if load.ready > cycle:
                clock.at(load.ready, look)
                return
            course.taken.append(cycle)
            load.start(cycle, len(course.taken) - 1, program.popleft())

    load.release = look
    for cycle, beats in case.fetch:
        bus.request(cycle, beats, fetch)
    clock.at(0, look)
    clock.run()
    return course


def patches(**fields: int) -> Instruction:
    """Patches of 5 x 5 of an image of 10 x 10, changed by ``fields``."""
    values = {
        "base": 0, "stride": 7, "first_token": 0, "patch": 5, "grid_columns": 2, "grid_rows": 2, "channels": 1,
        "dram_offset": 0, "row_stride": 32, "channel_stride": 320,
    }  # fmt: skip
    return make(Opcode.LOAD_PATCHES, **(values | fields))


W, X = Memory.W, Memory.X
CASES = {
    "rows of one burst": Case([transfer(Opcode.LOAD, memory=W, words=1, rows=6, dram_stride=64)] * 2),
    "rows of one burst and of two": Case(
        [transfer(Opcode.LOAD, memory=W, words=w, rows=3, dram_stride=256) for w in (1, 20, 1, 20)]
    ),
    "patches": Case([patches(), patches(dram_offset=0x440)], latency=40),
    "fetch beside patches": Case([patches()], fetch=((35, 16), (70, 4))),
    "a port that others use": Case(
        [transfer(Opcode.LOAD, memory=W, words=24, rows=2, dram_stride=512), patches()],
        latency=40,
        busy={W: range(65, 95), X: range(150, 170)},
    ),
    "the last word waits for its port": Case(
        [transfer(Opcode.LOAD, memory=W, words=9), transfer(Opcode.LOAD, memory=X, words=9)],
        busy={W: range(18, 40)},
    ),
}


@pytest.mark.parametrize("data_bits", [64, pytest.param(128, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_the_load_unit_in_every_cycle(name: str, data_bits: int) -> None:
    config = small(4, 4, data_bits)
    hardware = in_hardware(config, CASES[name])
    assert in_model(config, CASES[name], singly=True) == hardware
    assert in_model(config, CASES[name], singly=False) == replace(hardware, asked=[])
