"""A matrix unit between plain memories in Amaranth's simulator, fed with commands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator

from vitreous.golden.machine import Memories
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig

WAIT = 1 << isa.Queue.MATRIX
"""In an instruction's ``wait``: the bench offers it only when all instructions before it are done."""


@dataclass
class Outcome:
    """What was seen: cycles of commands, words, reads and ``done`` pulses, errors as (cycle, code, pc), writes as
    (cycle, memory, address), event counts and the memories' words at the end."""

    taken: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    errors: list[tuple[int, int, int]] = field(default_factory=list)
    writes: list[tuple[int, str, int]] = field(default_factory=list)
    reads: dict[str, list[int]] = field(default_factory=lambda: {"x": [], "w": [], "r": [], "p": []})
    events: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)


class MatrixBench:
    """One elaborated unit; ``run`` resets it, fills the memories and feeds instructions."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.unit = MatrixUnit(config)
        self.cells: dict[str, Memory] = {}
        self.simulator = Simulator(self._build())
        self.simulator.add_clock(1e-6)
        self._job: tuple[Sequence[isa.Instruction], Memories, int | None, int] | None = None
        self._outcome = Outcome()
        self._used = False
        self.simulator.add_testbench(self._bench)

    def _build(self) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        shapes = {"x": unit.x.data, "w": unit.w.data, "p": unit.p.data, "r": unit.r.data}
        for name, data in shapes.items():
            depth = getattr(self.config, f"{name}_depth")
            self.cells[name] = cells = Memory(shape=len(data), depth=depth, init=[])
            m.submodules[name] = cells
            read, port = cells.read_port(), getattr(unit, name)
            m.d.comb += [port.ready.eq(1), port.fault.eq(port.addr >= depth)]
            m.d.comb += [
                read.en.eq(port.valid & ~port.fault),
                read.addr.eq(port.addr),
                port.data.eq(read.data),
            ]
            if name != "p":
                write, out = cells.write_port(), getattr(unit, f"{name}o")
                m.d.comb += [
                    out.ready.eq(1),
                    out.fault.eq(out.addr >= depth),
                    write.en.eq(out.valid & ~out.fault),
                ]
                m.d.comb += [write.addr.eq(out.addr), write.data.eq(out.data)]
        return m

    def run(
        self,
        instructions: Sequence[isa.Instruction],
        memories: Memories,
        *,
        halt_at: int | None = None,
        idle: int = 40,
    ) -> Outcome:
        """Feeds all, stops ``idle`` cycles after the last ``done`` or error, or ``2 * idle`` after ``halt_at``."""
        self._job, self._outcome = (instructions, memories, halt_at, idle), Outcome()
        if self._used:
            self.simulator.reset()
        self._used = True
        self.simulator.run()
        return self._outcome

    async def _bench(self, ctx: Any) -> None:
        assert self._job is not None
        instructions, memories, halt_at, idle = self._job
        for name, cells in self.cells.items():
            for address, value in enumerate(to_words(getattr(memories, name))):
                ctx.set(cells.data[address], value)
        unit, seen, cycle, quiet = self.unit, self._outcome, 0, 0
        events = {name: 0 for name, _ in unit.events.shape()}
        pending = list(enumerate(instructions))
        while quiet < idle:
            if pending:
                pc, instruction = pending[0]
                ctx.set(unit.i.valid, not (instruction.wait & WAIT) or len(seen.done) == pc)
                ctx.set(unit.i.payload, {"pc": pc, "word": int.from_bytes(instruction.encode(), "little")})
            else:
                ctx.set(unit.i.valid, 0)
            ctx.set(unit.halt, halt_at is not None and cycle >= halt_at)
            self._record(ctx, cycle, events)
            if ctx.get(unit.i.valid) and ctx.get(unit.i.ready):
                seen.taken.append(cycle)
                del pending[0]
            finished = (
                len(seen.done) == len(instructions)
                or seen.errors
                or (halt_at is not None and cycle >= halt_at)
            )
            quiet = quiet + 1 if finished else 0
            cycle += 1
            assert cycle < 20_000, "the unit hangs"
            await ctx.tick()
        seen.events = events
        for name, cells in self.cells.items():
            seen.arrays[name] = [ctx.get(cells.data[address]) for address in range(cells.depth)]

    def _record(self, ctx: Any, cycle: int, events: dict[str, int]) -> None:
        unit, seen = self.unit, self._outcome
        happening = ctx.get(unit.events)
        for name in events:
            events[name] += happening[name]
        if happening["busy"]:
            seen.words.append(cycle)
        if ctx.get(unit.done):
            seen.done.append(cycle)
        if ctx.get(unit.error.valid):
            seen.errors.append((cycle, ctx.get(unit.error.code), ctx.get(unit.error.pc)))
        for name in seen.reads:
            if ctx.get(getattr(unit, name).valid):
                seen.reads[name].append(cycle)
        for name in ("x", "w", "r"):
            port = getattr(unit, f"{name}o")
            if ctx.get(port.valid) and not ctx.get(port.fault):
                seen.writes.append((cycle, name, ctx.get(port.addr)))


def to_words(array: Any) -> list[int]:
    """The words of one of the functional machine's memories as integers, element 0 lowest."""
    rows = np.ascontiguousarray(array).reshape(len(array), -1)
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def compare(outcome: Outcome, expected: Memories) -> None:
    """Every word of the memories that a MATMUL can write or read."""
    for name in ("x", "w", "p", "r"):
        wanted = to_words(getattr(expected, name))
        wrong = [address for address, value in enumerate(wanted) if outcome.arrays[name][address] != value]
        assert not wrong, f"{name.upper()} differs at {wrong}"
