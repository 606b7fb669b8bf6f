"""The store unit against the functional machine: every word size and beat size, strides, partial beats, stalls
and errors."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
from amaranth.hdl import Module

from tests.support.hw.ports_model import ReadMemory
from tests.support.hw.transfer_bench import BASE, TransferBench, anywhere, depths, dram_on, small, transfer
from vitreous.golden.machine.dma import start_store
from vitreous.golden.machine.memories import Dram, Memories
from vitreous.hw.store.store import StoreUnit
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Instruction, Memory, Opcode
from vitreous.spec.layout import word_bytes
from vitreous.spec.opcodes.opcode import Region

SIZE = 12001  # no multiple of a beat
SOURCES = (Memory.X, Memory.W, Memory.R)


class Bench(TransferBench):
    """The unit, a DRAM and three memories full of random words."""

    def __init__(self, config: AcceleratorConfig, *, seed: int = 0, stall: float = 0.0) -> None:
        self.config = config
        unit = StoreUnit(config)
        m = Module()
        m.submodules.unit = unit
        axi = dram_on(unit.bus, config, SIZE, seed=seed, stall=stall, writable=(BASE, BASE + SIZE))
        memories = {}
        for which in SOURCES:
            port, bits = getattr(unit, which.name.lower()), 8 * word_bytes(config, which)
            memories[which] = ReadMemory(m, port, bits, depths(config)[which], seed=seed + which, stall=stall)
        super().__init__(m, unit, axi, memories, SIZE)

    def on_done(self) -> None:
        assert self.axi.quiet, "done comes before the last response"


def execute(bench: Bench, program: list[Instruction]) -> bytes:
    """The write window as the functional machine leaves it."""
    memories = Memories(bench.config)
    for which, model in bench.memories.items():
        size = word_bytes(bench.config, which)
        raw = b"".join(word.to_bytes(size, "little") for word in model.data)
        memories.raw(which)[:] = np.frombuffer(raw, np.uint8).reshape(-1, size)
    dram = Dram(np.zeros(0, np.uint8), SIZE, bench.config.bus.beat_bytes)
    for pc, i in enumerate(program):
        start_store(i, memories, dram, pc)()
    return dram.write.tobytes()


def random_program(config: AcceleratorConfig, rng: random.Random, count: int) -> list[Instruction]:
    beat, program = config.bus.beat_bytes, []
    for _ in range(count):
        which = rng.choice(SOURCES)
        size, depth = word_bytes(config, which), depths(config)[which]
        words, rows, stride = rng.randint(1, 10), rng.randint(1, 4), rng.randint(0, depth // 8)
        dram_stride = rng.randint(0, 12) * beat + -(-words * size // beat) * beat
        base = rng.randint(0, depth - (rows - 1) * stride - words)
        region = Region(which, base, words, rows, stride)
        program.append(anywhere(rng, Opcode.STORE, config, SIZE, region, dram_stride))
    return program


@pytest.mark.parametrize("data_bits", [64, 128, 256])
@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (8, 4), pytest.param(16, 8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
def test_stores_of_every_width(lanes: int, depth: int, data_bits: int, stall: float) -> None:
    seed = lanes * 1000 + depth * 10 + data_bits
    config = small(lanes, depth, data_bits, burst_beats=random.Random(seed).choice((4, 8, 16)))
    bench = Bench(config, seed=seed, stall=stall)
    program = random_program(config, random.Random(seed), 8)
    bench.run(program)
    assert bench.error is None
    assert len(bench.done) == len(program)
    assert bytes(bench.axi.data[BASE : BASE + SIZE]) == execute(bench, program)


store = partial(transfer, Opcode.STORE, memory=Memory.X)


def test_full_throughput_of_long_rows() -> None:
    bench = Bench(small(8, 4))
    bench.run([store(words=256)])
    assert bench.done[-1] <= 256 * 32 // 8 + 24


FAULTS = {
    "beyond X": (store(base=510), ErrorCode.ADDRESS),
    "stride beyond X": (store(rows=3, stride=65535, dram_stride=256), ErrorCode.ADDRESS),
    "beyond the window": (store(dram_offset=SIZE - SIZE % 8 - 120), ErrorCode.WINDOW),
    "second row beyond the window": (store(rows=2, dram_stride=1 << 31), ErrorCode.WINDOW),
    "offset not aligned": (store(dram_offset=4), ErrorCode.ALIGNMENT),
    "stride not aligned": (store(dram_stride=12), ErrorCode.ALIGNMENT),
    "memory P": (store(memory=Memory.P), ErrorCode.ILLEGAL_FIELD),
    "no words": (store(words=0), ErrorCode.ILLEGAL_FIELD),
    "no rows": (store(rows=0), ErrorCode.ILLEGAL_FIELD),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_errors_stop_the_unit(name: str, stall: float) -> None:
    instruction, code = FAULTS[name]
    bench = Bench(small(8, 4), seed=5, stall=stall)
    bench.run([store(memory=Memory.R, words=3), instruction, store(dram_offset=4096)])
    assert bench.error == (code, 1)
    assert not any(bench.axi.data[BASE + 4096 : BASE + 4096 + 128]), "nothing follows the error"


STEP = SIZE // 2 // 64 * 64  # two steps and a row are more than the window
ROWS = {  # what is wrong first in the order of rows: W has 256 words of 32 bytes
    "row 1 of the words, row 2 of the window": (
        store(memory=Memory.W, base=240, words=4, rows=5, stride=14, dram_stride=STEP), ErrorCode.ADDRESS,
    ),
    "row 2 of the window, row 3 of the words": (
        store(memory=Memory.W, base=230, words=4, rows=5, stride=10, dram_stride=STEP), ErrorCode.WINDOW,
    ),
    "one row of both": (store(memory=Memory.W, base=255, words=2, dram_offset=2 * STEP + 128), ErrorCode.WINDOW),
    "the words are far ahead": (
        store(memory=Memory.W, base=253, words=1, rows=4, stride=1, dram_stride=STEP // 2), ErrorCode.ADDRESS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("stall", [0.0, pytest.param(0.8, marks=pytest.mark.slow)])
def test_the_first_row_with_an_error_decides(name: str, stall: float) -> None:
    instruction, code = ROWS[name]
    bench = Bench(small(8, 4), seed=11, stall=stall)
    bench.run([store(memory=Memory.R, words=3), instruction])
    assert bench.error == (code, 1)


@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_error_response(stall: float) -> None:
    bench = Bench(small(8, 4), seed=9, stall=stall)
    bench.axi.fail_write.add(BASE + 700)
    bench.run([store(words=8), store(words=40, dram_offset=512), store(dram_offset=4096)])
    assert bench.error == (ErrorCode.BUS_WRITE, 1)
    assert not any(bench.axi.data[BASE + 4096 : BASE + 4096 + 128])


@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
@pytest.mark.parametrize(
    "cycle", [8, 12, pytest.param(17, marks=pytest.mark.slow), 30, pytest.param(44, marks=pytest.mark.slow)]
)
def test_halt_finishes_bursts_without_writing(cycle: int, stall: float) -> None:
    """Of what was begun every beat comes (the model's responses say so), and nothing is written that was not
    already offered."""
    bench = Bench(small(8, 4), seed=cycle, stall=stall)
    bench.halt_at = cycle
    bench.run([store(words=100)])
    assert not bench.done
    assert bench.axi.bytes_written <= 8 * cycle
