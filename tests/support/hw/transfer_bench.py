"""What the benches of the load and the store unit share: a small accelerator, a host and a watch over the unit."""

from __future__ import annotations

import random
from typing import Any

from amaranth.hdl import Module
from amaranth.sim import Simulator

from tests.support.hw.axi_memory import AxiMemory, taken
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, BusConfig, MemoryConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, make
from vitreous.spec.layout import word_bytes
from vitreous.spec.opcodes.opcode import Region

BASE = 0x1000 - 0x40
"""Where the window begins: shortly before a page ends."""
IDLE_CYCLES = 60
"""Cycles after the end in which something that comes too late would show."""


def small(lanes: int = 4, depth: int = 2, data_bits: int = 64, **bus: int) -> AcceleratorConfig:
    return AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=depth),
        memory=MemoryConfig(
            activation_kib=16, weight_kib=8, residual_kib=8, parameter_entries=300, score_keys=8
        ),
        bus=BusConfig(data_bits=data_bits, **bus),
    )


def transfer(opcode: Opcode, *, memory: Memory, **fields: int) -> Instruction:
    """A LOAD or STORE of 4 words of ``memory`` from its first one on, changed by ``fields``."""
    values = dict.fromkeys(("base", "stride", "dram_offset", "dram_stride"), 0)
    return make(opcode, **{"memory": memory, "words": 4, "rows": 1, **values, **fields})


def anywhere(
    rng: random.Random,
    opcode: Opcode,
    config: AcceleratorConfig,
    window: int,
    region: Region,
    dram_stride: int,
) -> Instruction:
    """A LOAD or STORE of ``region`` at a random beat, often the last one, of a window of so many bytes."""
    beat, size = config.bus.beat_bytes, word_bytes(config, region.memory)
    last = (window - (region.rows - 1) * dram_stride - region.words * size) // beat
    offset = rng.choice((last, rng.randint(0, last))) * beat
    return make(opcode, **region._asdict(), dram_offset=offset, dram_stride=dram_stride)


def depths(config: AcceleratorConfig) -> dict[Memory, int]:
    """Words of each memory that a LOAD can name; a STORE can name all but P."""
    return {
        Memory.X: config.x_depth,
        Memory.W: config.w_depth,
        Memory.R: config.r_depth,
        Memory.P: config.p_depth,
    }


def dram_on(bus: Any, config: AcceleratorConfig, window: int, **model: Any) -> AxiMemory:
    """A DRAM on ``bus`` that ends shortly behind a window of so many bytes."""
    bits, beats = config.bus.data_bits, config.bus.burst_beats
    return AxiMemory(bus, bits, BASE + window + 64, burst_beats=beats, **model)


class TransferBench:
    """Runs a program on ``unit`` inside ``m`` beside ``axi`` and ``memories``, within a window of ``size`` bytes.

    done : cycles of the completions. error : (code, program counter) of the first report.
    halt_at : the cycle in which ``halt`` goes high, if any.
    """

    def __init__(self, m: Module, unit: Any, axi: AxiMemory, memories: dict[Memory, Any], size: int) -> None:
        self.unit, self.axi, self.memories, self.window = unit, axi, memories, size
        self.simulator = Simulator(m)
        self.simulator.add_clock(1e-6)
        for model in (axi, *memories.values()):
            model.attach(self.simulator)
        self.halt_at: int | None = None
        self.cycles = 0
        self.done: list[int] = []
        self.error: tuple[int, int] | None = None

    def on_done(self) -> None:
        """What must hold in the cycle of a completion."""

    def on_error(self) -> None:
        """Called in the cycle of the first error."""

    def run(self, program: list[Instruction], limit: int = 20000) -> None:
        """Until all are done, or an error or halt and a quiet bus; then idles to catch what comes too late."""
        self.simulator.add_testbench(self._host(program), background=True)
        self.simulator.add_testbench(self._watch(len(program), limit))
        self.simulator.run()

    def _host(self, program: list[Instruction]) -> Any:
        unit = self.unit

        async def feed(ctx: Any) -> None:
            for pc, instruction in enumerate(program):
                ctx.set(unit.i.payload.word, int.from_bytes(instruction.encode(), "little"))
                ctx.set(unit.i.payload.pc, pc)
                ctx.set(unit.i.valid, 1)
                await taken(ctx, unit.i.ready)
            ctx.set(unit.i.valid, 0)

        return feed

    def _watch(self, count: int, limit: int) -> Any:
        unit = self.unit

        async def watch(ctx: Any) -> None:
            ctx.set(unit.base, BASE)
            ctx.set(unit.size, self.window)
            after = 0
            while after < IDLE_CYCLES:
                _, _, done, error, drained = await ctx.tick().sample(unit.done, unit.error, unit.drained)
                self.cycles += 1
                assert self.cycles < limit, "the unit hangs"
                if self.cycles == self.halt_at:
                    ctx.set(unit.halt, 1)
                halted = self.halt_at is not None and self.cycles > self.halt_at
                self._note(done, error)
                after += int(drained and (len(self.done) == count or self.error is not None or halted))
            assert not ctx.get(unit.busy) or self.error or self.halt_at is not None
            assert self.axi.quiet

        return watch

    def _note(self, done: int, error: Any) -> None:
        if done:
            assert self.error is None, "an instruction completes after the error"
            self.on_done()
            self.done.append(self.cycles)
        if error.valid and self.error is None:
            self.error = (error.code, error.pc)
            self.on_error()
