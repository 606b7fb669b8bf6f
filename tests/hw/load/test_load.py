"""The load unit against the functional machine: every word size and beat size, strides, patches, fills, stalls
and errors."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from tests.support.hw.ports_model import WriteMemory
from tests.support.hw.transfer_bench import BASE, TransferBench, anywhere, depths, dram_on, small, transfer
from vitreous.golden.machine.dma import start_fill, start_load, start_load_patches
from vitreous.golden.machine.memories import Dram, Memories
from vitreous.hw.axi.axi import ReadChannel
from vitreous.hw.load.load import LoadUnit
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Instruction, Memory, Opcode, make
from vitreous.spec.layout import word_bytes
from vitreous.spec.opcodes.opcode import Region

SIZE = 24576


class Bench(TransferBench):
    """The unit, its read channel, a DRAM and four memories."""

    def __init__(
        self, config: AcceleratorConfig, *, seed: int = 0, stall: float = 0.0, latency: int = 3
    ) -> None:
        self.config = config
        unit = LoadUnit(config)
        channel = ReadChannel(data_bits=config.bus.data_bits)
        m = Module()
        m.submodules.unit, m.submodules.channel = unit, channel
        wiring.connect(m, unit.bus, channel.load)
        m.d.comb += channel.fetch.beat.ready.eq(1)
        axi = dram_on(
            channel.bus,
            config,
            SIZE,
            seed=seed,
            stall=stall,
            latency=latency,
            outstanding=config.bus.outstanding_reads,
            readable=(BASE, BASE + SIZE),
        )
        axi.data[:] = np.random.default_rng(seed).bytes(len(axi.data))
        memories = {}
        for which, depth in depths(config).items():
            port, bits = getattr(unit, which.name.lower() + "o"), 8 * word_bytes(config, which)
            memories[which] = WriteMemory(m, port, bits, depth, seed=seed + which, stall=stall)
        super().__init__(m, unit, axi, memories, SIZE)

    def on_error(self) -> None:
        self.writes_at_error = sum(memory.writes for memory in self.memories.values())


def execute(config: AcceleratorConfig, dram: bytes, program: list[Instruction]) -> dict[Memory, list[int]]:
    """What the functional machine makes of it, as words."""
    memories = Memories(config)
    window = Dram(np.frombuffer(dram, np.uint8), 0, config.bus.beat_bytes)
    for pc, i in enumerate(program):
        if i.opcode is Opcode.FILL:
            start_fill(i, memories, pc)()
        else:
            start = start_load if i.opcode is Opcode.LOAD else start_load_patches
            start(i, memories, window, pc)()
    return {
        which: [int.from_bytes(word.tobytes(), "little") for word in memories.raw(which)]
        for which in (Memory.X, Memory.W, Memory.R, Memory.P)
    }


def check(bench: Bench, program: list[Instruction]) -> None:
    bench.run(program)
    assert bench.error is None
    assert len(bench.done) == len(program)
    expected = execute(bench.config, bytes(bench.axi.data[BASE : BASE + SIZE]), program)
    for which, memory in bench.memories.items():
        assert memory.data == expected[which], which.name


def random_program(config: AcceleratorConfig, rng: random.Random, count: int) -> list[Instruction]:
    beat, program = config.bus.beat_bytes, []
    for _ in range(count):
        which = rng.choice(list(depths(config)))
        words, rows = rng.randint(1, min(12, depths(config)[which] // 5)), rng.randint(1, 4)
        stride = rng.randint(0, min(20, depths(config)[which] // 5))
        base = rng.randint(0, depths(config)[which] - (rows - 1) * stride - words)
        if which is not Memory.P and rng.random() < 0.2:
            program.append(make(Opcode.FILL, memory=which, base=base, words=words))
            continue
        region, dram_stride = Region(which, base, words, rows, stride), rng.randint(0, 40) * beat
        program.append(anywhere(rng, Opcode.LOAD, config, SIZE, region, dram_stride))
    return program


@pytest.mark.alike(2)
@pytest.mark.parametrize("data_bits", [64, 128, 256])
@pytest.mark.parametrize(
    ("lanes", "depth"),
    [
        (4, 1),
        pytest.param(4, 4, marks=pytest.mark.slow),
        (8, 4),
        pytest.param(16, 1, marks=pytest.mark.slow),
        pytest.param(32, 8, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
def test_loads_and_fills_of_every_width(lanes: int, depth: int, data_bits: int, stall: float) -> None:
    seed = lanes * 1000 + depth * 10 + data_bits
    config = small(lanes, depth, data_bits, burst_beats=random.Random(seed).choice((4, 8, 16)))
    check(Bench(config, seed=seed, stall=stall), random_program(config, random.Random(seed), 12))


def patches(config: AcceleratorConfig, rng: random.Random) -> Instruction:
    patch, across, down, channels = rng.randint(1, 6), rng.randint(1, 5), rng.randint(1, 3), rng.randint(1, 3)
    lanes, depth, beat = config.array.lanes, config.array.depth, config.bus.beat_bytes
    first = rng.randint(0, 2 * lanes)
    stride = -(-channels * patch * patch // depth) + rng.randint(0, 3)
    row_stride = -(-across * patch // beat) * beat + rng.choice((0, beat))
    return make(
        Opcode.LOAD_PATCHES,
        base=rng.randint(0, 10),
        stride=stride,
        first_token=first,
        patch=patch,
        grid_columns=across,
        grid_rows=down,
        channels=channels,
        dram_offset=rng.randint(0, 20) * beat,
        row_stride=row_stride,
        channel_stride=row_stride * patch * down,
    )


@pytest.mark.alike(1)
@pytest.mark.parametrize("data_bits", [64, 256])
@pytest.mark.parametrize(
    ("lanes", "depth"),
    [(4, 4), *(pytest.param(*shape, marks=pytest.mark.slow) for shape in ((4, 1), (8, 2), (16, 8)))],
)
@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
def test_patches(lanes: int, depth: int, data_bits: int, stall: float) -> None:
    seed = lanes * 1000 + depth * 10 + data_bits
    rng = random.Random(seed)
    config = small(lanes, depth, data_bits)
    check(
        Bench(config, seed=seed, stall=stall),
        [patches(config, rng) for _ in range(4)] + random_program(config, rng, 2),
    )


load = partial(transfer, Opcode.LOAD, memory=Memory.W)


def test_full_throughput_of_long_rows() -> None:
    config = small(8, 4)
    bench = Bench(config, latency=20)
    program = [load(words=128, memory=Memory.W), load(words=128, memory=Memory.X, dram_offset=4096)]
    check(bench, program)
    beats = 2 * 128 * 32 // 8
    assert bench.done[-1] <= beats + 20 + 16, "one beat a cycle after the first latency"


GOOD = load(memory=Memory.R, words=2)
FAULTS = {
    "beyond W": (load(base=250, words=10), ErrorCode.ADDRESS),
    "stride beyond W": (load(rows=3, stride=65535), ErrorCode.ADDRESS),
    "beyond P": (load(memory=Memory.P, base=299, words=2), ErrorCode.ADDRESS),
    "fill beyond X": (make(Opcode.FILL, memory=Memory.X, base=511, words=2), ErrorCode.ADDRESS),
    "beyond the window": (load(dram_offset=SIZE - 64), ErrorCode.WINDOW),
    "second row beyond the window": (load(rows=2, dram_stride=1 << 31), ErrorCode.WINDOW),
    "offset at the end of the address space": (load(dram_offset=(1 << 32) - 64), ErrorCode.WINDOW),
    "offset not aligned": (load(dram_offset=4), ErrorCode.ALIGNMENT),
    "stride not aligned": (load(dram_stride=12), ErrorCode.ALIGNMENT),
    "memory S": (load(memory=Memory.S), ErrorCode.ILLEGAL_FIELD),
    "no words": (load(words=0), ErrorCode.ILLEGAL_FIELD),
    "no rows": (load(rows=0), ErrorCode.ILLEGAL_FIELD),
    "fill P": (make(Opcode.FILL, memory=Memory.P, base=0, words=1), ErrorCode.ILLEGAL_FIELD),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_errors_stop_the_unit(name: str, stall: float) -> None:
    instruction, code = FAULTS[name]
    bench = Bench(small(8, 4), seed=5, stall=stall)
    bench.run([GOOD, instruction, GOOD])
    assert bench.error == (code, 1)
    assert sum(memory.writes for memory in bench.memories.values()) == bench.writes_at_error


# W has 256 words of 32 bytes; the back half is some instructions behind the front half, which meets its errors first.
LATE = load(base=250, words=10)
ORDERED = {
    "words before fields": ([GOOD, LATE, load(words=0)], ErrorCode.ADDRESS, 1),
    "words before alignment": ([LATE, load(dram_offset=4)], ErrorCode.ADDRESS, 0),
    "words before the window": ([LATE, load(dram_offset=SIZE)], ErrorCode.ADDRESS, 0),
    "words of a fill": ([make(Opcode.FILL, memory=Memory.X, base=500, words=13), load(rows=0)], ErrorCode.ADDRESS, 0),
    "window before fields": ([load(rows=3, dram_stride=SIZE // 2), load(memory=Memory.S)], ErrorCode.WINDOW, 0),
    "row 1 of the words, row 2 of the window": (
        [load(base=240, words=4, rows=5, stride=14, dram_stride=SIZE // 2)], ErrorCode.ADDRESS, 0,
    ),
    "row 2 of the window, row 3 of the words": (
        [load(base=230, words=4, rows=5, stride=10, dram_stride=SIZE // 2)], ErrorCode.WINDOW, 0,
    ),
    "one row of both": ([load(base=255, words=2, dram_offset=SIZE)], ErrorCode.WINDOW, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERED)
@pytest.mark.parametrize("stall", [0.0, pytest.param(0.6, marks=pytest.mark.slow)])
def test_the_oldest_error_wins(name: str, stall: float) -> None:
    program, code, pc = ORDERED[name]
    bench = Bench(small(8, 4), seed=8, stall=stall)
    bench.run(program)
    assert bench.error == (code, pc)


PATCHES = {
    "base": 0,
    "stride": 4,
    "first_token": 0,
    "patch": 4,
    "grid_columns": 2,
    "grid_rows": 2,
    "channels": 1,
    "dram_offset": 0,
    "row_stride": 8,
    "channel_stride": 64,
}
PATCH_FAULTS = {
    "no patch": ({"patch": 0}, ErrorCode.ILLEGAL_FIELD),
    "no channels": ({"channels": 0}, ErrorCode.ILLEGAL_FIELD),
    "no rows": ({"grid_rows": 0}, ErrorCode.ILLEGAL_FIELD),
    "no columns": ({"grid_columns": 0}, ErrorCode.ILLEGAL_FIELD),
    "row stride": ({"row_stride": 9}, ErrorCode.ALIGNMENT),
    "channel stride": ({"channel_stride": 65}, ErrorCode.ALIGNMENT),
    "window": ({"channels": 2, "channel_stride": SIZE}, ErrorCode.WINDOW),
    "address": ({"base": 510}, ErrorCode.ADDRESS),
    "far token": ({"first_token": 65535, "stride": 65535}, ErrorCode.ADDRESS),
}


@pytest.mark.parametrize("name", PATCH_FAULTS)
def test_errors_of_patches(name: str) -> None:
    changes, code = PATCH_FAULTS[name]
    bench = Bench(small(8, 4), seed=6, stall=0.2)
    bench.run([make(Opcode.LOAD_PATCHES, **{**PATCHES, **changes})])
    assert bench.error == (code, 0)


@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_bus_error_drops_the_beat_and_finishes_the_bursts(stall: float) -> None:
    bench = Bench(small(8, 4), seed=7, stall=stall)
    bench.axi.fail_read.add(BASE + 40 * 32)
    bench.run([load(words=20), load(words=60, dram_offset=640, base=20), load(words=9)])
    assert bench.error == (ErrorCode.BUS_READ, 1)
    assert bench.memories[Memory.W].writes == 40
