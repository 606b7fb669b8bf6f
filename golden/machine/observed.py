"""The functional machine in an order that was observed: which instruction was issued and which retired, in turn.

Between its issue and its end an instruction may read and write at any time. So the words that two instructions in
flight together touch, one of them writing, hold what timing decides, and so does what is computed from them: these are
marked as open. All others have one value, and this machine knows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitreous.golden.errors import GoldenError
from vitreous.golden.machine.errors import MachineError
from vitreous.golden.machine.faults import regions
from vitreous.golden.machine.machine import Machine
from vitreous.golden.machine.memories import Dram
from vitreous.golden.machine.queues import IN_FLIGHT
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Queue
from vitreous.spec.layout import memory_words, word_bytes
from vitreous.spec.opcodes.opcode import Region

Mask = NDArray[np.bool_]
DRAM = "dram"
"""The key of the write window's bytes beside the memories'."""
ROW, CONTEXT = "row", "context"
"""The keys of what score rows and contexts keep from block to block: of a row one word, of contexts one for the maximum
and one for each column."""
Masks = dict[Memory | str, Mask]


class Event(NamedTuple):
    """An instruction of ``queue`` is issued, or its oldest one retires."""

    kind: Literal["issue", "retire"]
    queue: Queue
    pc: int


class OrderError(GoldenError):
    """The observed order is not one that tokens and queues allow."""


@dataclass
class Flight:
    """An instruction between issue and end: what it reads beside its pipeline's order, reads in that order, writes;
    ``open``: its results are."""

    pc: int
    instruction: Instruction
    reads: Masks
    late_reads: Masks
    writes: Masks
    finish: Callable[[], None]
    open: bool = False
    contested: list[Masks] = field(default_factory=list)


class ObservedMachine:
    """Runs ``code`` on the memories and tokens of ``machine`` as ``follow`` is told.

    late : pairs (reader, writer) of instructions in flight together, by their program counters: the reader reads what
        the writer wrote. All others read when they are issued.

    Members: ``open``, the words whose values timing decided: by memory bool [words] (of S the words of both slots and
    the state of each), by ROW bool [1], by CONTEXT bool [1 + context_columns], by DRAM bool [bytes of the write
    window]. ``later``: bytes of the write window that a STORE that did not end may have written, and ``either`` their
    new values. ``races``: all pairs that ``late`` might name.
    """

    def __init__(
        self,
        machine: Machine,
        code: Sequence[Instruction | None],
        read: NDArray[np.uint8],
        write: NDArray[np.uint8],
        late: Collection[tuple[int, int]] = (),
    ) -> None:
        """``read``, ``write`` : both windows, uint8; the write window as it is before the run."""
        self.machine, self.code = machine, code
        self.dram = Dram(read, write.size, machine.config.bus.beat_bytes)
        self.dram.write[:] = write
        self.open = _masks(machine.config, write.size)
        self.later, self.either = np.zeros(write.size, bool), write.copy()
        self.races: list[tuple[int, int]] = []
        self._late = late
        self._flights: dict[Queue, deque[Flight]] = {queue: deque() for queue in Queue}
        self._coming = {queue: deque(_program(code, queue)) for queue in Queue}

    def follow(self, events: Iterable[Event]) -> None:
        """Raises OrderError where one of them cannot happen."""
        for event in events:
            if event.kind == "issue":
                self._issue(event)
            else:
                self._retire(event)

    @property
    def in_flight(self) -> int:
        """Instructions that were issued and did not retire."""
        return sum(map(len, self._flights.values()))

    @property
    def left(self) -> int:
        """Instructions before END that were not issued."""
        return sum(map(len, self._coming.values()))

    def stop(self) -> None:
        """The run is over: whatever is in flight has written nothing, a part, or all that it writes."""
        for flight in (flight for flights in self._flights.values() for flight in flights):
            for key, mask in flight.writes.items():
                if key == DRAM and not flight.open and not self.open[DRAM][mask].any():
                    before = self.dram.write.copy()
                    flight.finish()
                    self.either, self.later = self.dram.write.copy(), mask
                    self.dram.write[:] = before
                else:
                    self.open[key] |= mask
        self._flights = {queue: deque() for queue in Queue}

    def _issue(self, event: Event) -> None:
        coming, flights = self._coming[event.queue], self._flights[event.queue]
        if not coming or coming[0][0] != event.pc:
            raise OrderError(f"instruction {event.pc} was issued out of its order in {event.queue.name}")
        if len(flights) >= IN_FLIGHT[event.queue]:
            raise OrderError(f"instruction {event.pc} was issued into a full {event.queue.name} unit")
        pc, i = coming.popleft()
        if not self.machine.tokens.ready(i, event.queue):
            raise OrderError(f"instruction {pc} was issued without its tokens")
        self.machine.tokens.take(i, event.queue)
        flight = self._start(pc, i)
        for queue, others in self._flights.items():
            for other in others:
                self._meet(flight, other, ordered=queue == event.queue)
        flights.append(flight)

    def _start(self, pc: int, i: Instruction) -> Flight:
        config, size = self.machine.config, self.dram.write.size
        try:
            finish = self.machine.start(i, pc, self.dram)
        except MachineError as error:
            kept = error

            def finish() -> None:
                raise OrderError(f"instruction {pc} retired in spite of its error ({kept})") from None

            writes = {} if error.code.name in ("ILLEGAL_FIELD", "ALIGNMENT") else _written(i, config, size)
            return Flight(pc, i, {}, {}, writes, finish, open=True)
        except GoldenError:
            finish = _nothing
            reads, late = _read(i, config)
            return Flight(pc, i, reads, late, _written(i, config, size), finish, open=True)
        reads, late = _read(i, config)
        flight = Flight(pc, i, reads, late, _written(i, config, size), finish)
        flight.open = any(
            (self.open[key] & mask).any() for side in (reads, late) for key, mask in side.items()
        )
        return flight

    def _meet(self, flight: Flight, older: Flight, *, ordered: bool) -> None:
        """Two instructions in flight at the same time. In one unit everything but the reads that run ahead of older
        instructions' writes happens in the order of the queue."""
        if _touch(older.writes, flight.reads) or (not ordered and _touch(older.writes, flight.late_reads)):
            self._race(flight, older)
        if ordered:
            flight.open |= older.open and _touch(older.writes, flight.late_reads)
            return
        if _touch(flight.writes, older.reads) or _touch(flight.writes, older.late_reads):
            self._race(older, flight)
        both = {key: mask & older.writes[key] for key, mask in flight.writes.items() if key in older.writes}
        if any(mask.any() for mask in both.values()):
            flight.contested.append(both)
            older.contested.append(both)

    def _race(self, reader: Flight, writer: Flight) -> None:
        reader.open = True
        self.races.append((reader.pc, writer.pc))

    def _retire(self, event: Event) -> None:
        flights = self._flights[event.queue]
        if not flights:
            raise OrderError(f"an instruction of {event.queue.name} retired and none was in flight")
        flight = flights.popleft()
        try:
            flight.finish()
        except OrderError:
            raise
        except GoldenError:
            flight.open = True
        for other in (other for others in self._flights.values() for other in others):
            if (other.pc, flight.pc) in self._late:
                other.finish = self._start(other.pc, other.instruction).finish
        # What was read late may have become open in the meantime.
        flight.open |= any((self.open[key] & mask).any() for key, mask in flight.late_reads.items())
        for key, mask in flight.writes.items():
            if flight.open:
                self.open[key] |= mask
            elif flight.instruction.opcode is not Opcode.LOAD_PATCHES:  # which writes parts of words
                self.open[key] &= ~mask
        for contested in flight.contested:
            for key, mask in contested.items():
                self.open[key] |= mask
        self.machine.tokens.give(flight.instruction, event.queue, flight.pc)


def _nothing() -> None:
    """The results are open."""


def _program(code: Sequence[Instruction | None], queue: Queue) -> Iterable[tuple[int, Instruction]]:
    """The queue's instructions that dispatch comes to."""
    for pc, i in enumerate(code):
        if i is None or i.opcode is Opcode.END:
            return
        if i.queue is queue:
            yield pc, i


def _masks(config: AcceleratorConfig, window: int) -> Masks:
    """Nothing is open."""
    sizes: dict[Memory | str, int] = {memory: memory_words(config, memory) for memory in Memory}
    sizes[Memory.S] = 2 * (config.s_depth + 1)
    kept: dict[Memory | str, int] = {ROW: 1, CONTEXT: 1 + config.memory.context_columns}
    return {key: np.zeros(size, bool) for key, size in (sizes | kept | {DRAM: window}).items()}


def _touch(a: Masks, b: Masks) -> bool:
    return any((mask & b[key]).any() for key, mask in a.items() if key in b)


def _cover(masks: Masks, region: Region, config: AcceleratorConfig) -> None:
    """Mark the words of a region, those beyond the end of the memory left out."""
    mask = masks.setdefault(region.memory, np.zeros(memory_words(config, region.memory), bool))
    for row in range(region.rows if region.stride else 1):
        start = region.base + row * region.stride
        if start >= mask.size:
            break
        mask[start : start + region.words] = True


def _slot(i: Instruction, words: int, config: AcceleratorConfig) -> Mask:
    """``words`` words of the slot of a MATMUL, and its state."""
    mask = np.zeros((2, config.s_depth + 1), bool)
    mask[i["slot"], :words] = True
    mask[i["slot"], -1] = True
    return mask.reshape(-1)


def _kept(i: Instruction, config: AcceleratorConfig, *, read: bool) -> Masks:
    """What a MATMUL reads of what the blocks before left, or leaves for the next one."""
    if read and i["first_block"]:
        return {}
    if i["operands"] == Operands.SW:
        mask = np.zeros(1 + config.memory.context_columns, bool)
        mask[0] = True
        if not (i["first_block"] and i["last_block"]) or i["extra_planes"]:
            mask[1 : 1 + i["columns"]] = True
        return {CONTEXT: mask}
    return {ROW: np.ones(1, bool)} if i["destination"] == Memory.S else {}


def _read(i: Instruction, config: AcceleratorConfig) -> tuple[Masks, Masks]:
    """What an instruction reads ahead of older ones' writes, and what it reads after them, in the order of its unit."""
    early: Masks = {}
    late: Masks = {}
    for region in regions(i, config)[0]:
        if region.memory is Memory.S:
            early[Memory.S] = _slot(i, i["k_words"], config)
        elif i.opcode is Opcode.MATMUL and region.memory in (Memory.R, Memory.P):
            _cover(late, region, config)
        else:
            _cover(early, region, config)
    if i.opcode is Opcode.MATMUL:
        if i["operands"] == Operands.SW:
            late[Memory.S] = early[Memory.S] & _slot(i, 0, config)
        late |= _kept(i, config, read=True)
    return early, late


def _written(i: Instruction, config: AcceleratorConfig, window: int) -> Masks:
    """What it writes, as far as that lies in memories and window."""
    masks: Masks = _kept(i, config, read=False) if i.opcode is Opcode.MATMUL else {}
    for region in regions(i, config)[1]:
        if region.memory is Memory.S:
            masks[Memory.S] = _slot(i, -(-i["columns"] // config.array.depth), config)
        else:
            _cover(masks, region, config)
    if i.opcode is Opcode.STORE:
        mask = np.zeros(window, bool)
        size = i["words"] * word_bytes(config, Memory(i["memory"]))
        for row in range(i["rows"] if i["dram_stride"] else 1):
            start = i["dram_offset"] + row * i["dram_stride"]
            if start + size > window:
                break
            mask[start : start + size] = True
        masks[DRAM] = mask
    return masks
