"""``predict``: a program's cycles, counters and schedule without RTL (docs/cycle-model.md)."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter

from vitreous.sim.cycles import counters
from vitreous.sim.cycles.bus import ReadBus
from vitreous.sim.cycles.dispatch import Front
from vitreous.sim.cycles.events import Clock
from vitreous.sim.cycles.load import LoadModel
from vitreous.sim.cycles.matrix import MatrixModel
from vitreous.sim.cycles.ports import Port
from vitreous.sim.cycles.queues import IssueQueue, Tokens
from vitreous.sim.cycles.store import StoreModel
from vitreous.sim.cycles.vector import VectorModel
from vitreous.sim.dram import MemoryTiming, check_program
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.trace import Span
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory, Opcode, Queue
from vitreous.spec.program import Program
from vitreous.spec.work import work

FOREVER = 1 << 40
"""Cycles in which no other client will ever use a port of one client."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the machine would do with one image: ``cycles`` from start to done, ``counters`` by name of
    ``isa.COUNTERS``, ``spans`` by issue, in cycles since the start."""

    cycles: int
    counters: dict[str, int]
    spans: tuple[Span, ...]


def predict(program: Program, config: AcceleratorConfig, timing: MemoryTiming) -> Prediction:
    """Execute ``program`` on the cycle model of ``config`` with a memory of ``timing``; the data do not matter.

    Raises SimulationError when the program is for another accelerator or does not reach its END.
    """
    check_program(program, config)
    with _collector_at_rest():
        machine = _Machine(program, config, timing)
        try:
            return machine.run()
        finally:
            machine.part()


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Without the search for reference cycles: beside a large library it takes as long as a whole prediction, which
    makes many small objects and keeps them to its end."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Machine:
    """All units around the queues; the priorities of the ports are those of hw.accelerator."""

    def __init__(self, program: Program, config: AcceleratorConfig, timing: MemoryTiming) -> None:
        self._program, self._config = program, config
        self._clock = clock = Clock()
        tokens = Tokens()
        self._queues = queues = {q: IssueQueue(clock, q, config.queue.depth, tokens) for q in Queue}
        bus = ReadBus(clock, timing)
        watched = {Memory(i["memory"]) for i in program.instructions if i.opcode is Opcode.STORE}
        if any(i.opcode is Opcode.NORM and i["shifted"] for i in program.instructions):
            watched.add(Memory.P)
        self._matrix = matrix = MatrixModel(config, queues[Queue.MATRIX].complete, watched)
        row = VectorModel(config, clock, matrix, queues[Queue.VECTOR].complete)
        notice = min(matrix.notice, row.notice)
        writes = {
            Memory.X: Port(matrix.writes[Memory.X], row.writes_x, notice=notice),
            Memory.W: Port(matrix.writes[Memory.W], notice=matrix.notice),
            Memory.R: Port(matrix.writes[Memory.R], row.writes_r, notice=notice),
            Memory.P: Port(notice=FOREVER),
        }
        reads = {
            Memory.X: Port(matrix.reads[Memory.X]),
            Memory.W: Port(matrix.reads[Memory.W]),
            Memory.R: Port(matrix.reads[Memory.R], row.reads),
        }
        self._front = Front(program, config, clock, bus, queues)  # before load: its requests go first
        load = LoadModel(config, clock, bus, writes, queues[Queue.LOAD].complete)
        store = StoreModel(config, clock, timing, reads, queues[Queue.STORE].complete)
        self._parts = (self._front, load, store, row, matrix, bus, clock)
        self._idle = counters.MatrixIdle(matrix.active)
        for queue, unit in (
            (Queue.LOAD, load),
            (Queue.MATRIX, matrix),
            (Queue.VECTOR, row),
            (Queue.STORE, store),
        ):
            line = queues[queue]
            line.unit, line.others = unit, list(queues.values())
            if not isinstance(unit, MatrixModel):
                unit.release = line.look
        queues[Queue.MATRIX].on_waited = self._idle.waited

    def part(self) -> None:
        """Release all parts, which refer to each other, so that no garbage collection is needed."""
        for part in (*self._queues.values(), *self._parts):
            vars(part).clear()

    def run(self) -> Prediction:
        self._clock.run()
        if self._front.end is None or not all(line.idle for line in self._queues.values()):
            raise SimulationError("The program does not reach its END in the cycle model: a token is missing")
        spans = sorted(
            (span for line in self._queues.values() for span in line.spans),
            key=attrgetter("start", "queue"),
        )
        cycles = max(self._front.end, *(span.end + 1 for span in spans), 0) + 1
        return Prediction(cycles=cycles, counters=self._counters(cycles), spans=tuple(spans))

    def _counters(self, cycles: int) -> dict[str, int]:
        total: Counter[str] = work(self._program.instructions, self._config)
        matrix = self._queues[Queue.MATRIX]
        held = ((seen, span.end) for seen, span in zip(matrix.first_seen, matrix.spans, strict=True))
        total |= Counter(
            cycles=cycles,
            fetch_beats=self._front.beats,
            matrix_stall_readout=self._matrix.stall_readout,
            matrix_stall_parameters=self._matrix.stall_parameters,
            matrix_empty=cycles - counters.covered(held),
        )
        for queue in Queue:
            name, line = queue.name.lower(), self._queues[queue]
            total[f"matrix_wait_{name}"] = self._idle.waits[queue]
            if queue is not Queue.MATRIX:
                total[f"{name}_busy"] = counters.active(line.spans)
                total[f"{name}_wait_token"] = line.waited
        return {name: total[name] for name, _ in isa.COUNTERS}
