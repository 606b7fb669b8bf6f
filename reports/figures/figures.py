"""From recorded data to the parts of a report: layers, stalls, queues, bytes. Pure functions; nothing is guessed.

How cycles are attributed to layers: matrix instructions retire in order. Instruction ``i`` owns the cycles after the
retirement of the previous one up to its own: its array words, its stalls, and the waiting before it. (Issue is not a
handover: the matrix unit takes an instruction while the array still works on the previous one.) Where its array words
need more cycles than that, because the array began them before the previous one retired, the border lies as many
cycles earlier: no layer owns fewer cycles than its words take. What is left after the last one belongs to no layer
and has a row of its own. So the rows add up to the image's cycles, each counted once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from vitreous.reports.errors import ReportError
from vitreous.reports.figures.events import Events
from vitreous.reports.figures.memory_map import loaded
from vitreous.reports.figures.ports import ACCESSES, DRAM_PORTS
from vitreous.reports.record.record import Record
from vitreous.spec.counters import MATRIX_IDLE, HardwareCounter
from vitreous.spec.isa import COUNTERS, Activation, Instruction, Memory, Opcode, Operands, Queue
from vitreous.spec.layout import word_bytes

TAIL = "after the last product"
"""The row of cycles after the last matrix instruction: the last store and the end."""

MEANING = dict(COUNTERS)

# The matrix queue's counters, in the order in which to show them. docs/machine.md: a cycle of a running machine
# has the array busy, or stalled in one of these ways, or is none of them (issue and pipeline fill).
MATRIX_CAUSES = (HardwareCounter.ARRAY_BUSY, *MATRIX_IDLE)

QUEUE_CYCLES: Mapping[Queue, tuple[HardwareCounter, tuple[HardwareCounter, ...]]] = {
    Queue.LOAD: (HardwareCounter.LOAD_BUSY, (HardwareCounter.LOAD_WAIT_TOKEN,)),
    Queue.MATRIX: (
        HardwareCounter.ARRAY_BUSY,
        (
            HardwareCounter.MATRIX_WAIT_LOAD,
            HardwareCounter.MATRIX_WAIT_MATRIX,
            HardwareCounter.MATRIX_WAIT_VECTOR,
            HardwareCounter.MATRIX_WAIT_STORE,
        ),
    ),
    Queue.VECTOR: (HardwareCounter.VECTOR_BUSY, (HardwareCounter.VECTOR_WAIT_TOKEN,)),
    Queue.STORE: (HardwareCounter.STORE_BUSY, (HardwareCounter.STORE_WAIT_TOKEN,)),
}
"""The counter of a queue's busy cycles, and those of the cycles in which its head waits for tokens."""


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer on the machine. Cycles as this module's docstring divides them.

    array_words : cycles in which its products occupy the array, by its instructions' fields.
    utilization : ``macs / (cycles * macs_per_cycle)``; None for a layer without products.
    load_cycles, row_cycles, store_cycles : its instructions in the other queues, which work beside the array; each
    from its issue, or from the retirement of the previous one in its queue, to its own.
    error : of its output, relative to the float network's; None where nothing was measured.
    """

    label: str
    macs: int
    error: float | None
    cycles: int
    share: float
    array_words: int
    utilization: float | None
    load_cycles: int
    row_cycles: int
    store_cycles: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """Cycles of one image spent in one way, and their share of all. ``meaning`` as the counter's definition."""

    name: str
    meaning: str
    cycles: int
    share: float


@dataclass(frozen=True, kw_only=True)
class QueueRow:
    """Cycles of one image in which a queue's unit is busy, its head waits for tokens, or neither."""

    queue: str
    busy: int
    waiting: int
    idle: int


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Words moved through one port for one image: ``bytes = words * word_bytes``; ``load`` is words per cycle."""

    port: str
    where: str
    counter: str
    words: int
    word_bytes: int
    bytes: int
    load: float


def kind(instruction: Instruction) -> str:
    """What an instruction does for the model, in a word or two: the colour of its bar in the schedule."""
    match instruction.opcode:
        case Opcode.MATMUL:
            return _product(instruction)
        case Opcode.LOAD:
            return loaded(Memory(instruction["memory"])).schedule
        case Opcode.LOAD_PATCHES:
            return "load image"
        case Opcode.FILL:
            return "fill"
        case Opcode.NORM:
            return "layer norm"
        case Opcode.POOL:
            return "pool"
        case Opcode.STORE:
            return "store"
        case Opcode.END:
            raise ReportError(f"{instruction.opcode.name} has no place in the schedule")
        case _:
            assert_never(instruction.opcode)


def _product(instruction: Instruction) -> str:
    match Operands(instruction["operands"]):
        case Operands.SW:
            return "context"
        case Operands.XW | Operands.WX:
            pass
        case unknown:
            assert_never(unknown)
    destination = Memory(instruction["destination"])
    match destination:
        case Memory.S:
            return "scores"
        case Memory.X | Memory.W | Memory.R:
            if instruction["activation"] != Activation.NONE:
                return "linear, activation"
            return "linear, residual" if destination is Memory.R else "linear"
        case Memory.P:
            raise ReportError("No product is written to P")
        case _:
            assert_never(destination)


KINDS = (
    "linear",
    "linear, activation",
    "linear, residual",
    "scores",
    "context",
    "load weights",
    "load parameters",
    "load activations",
    "load image",
    "fill",
    "layer norm",
    "pool",
    "store",
)


def matrix_retirements(record: Record) -> tuple[tuple[int, int], ...]:
    """(program counter, cycle of retirement) of each matrix instruction of the first image, in order."""
    spans = [span for span in record.simulation.spans if span[0] == Queue.MATRIX]
    ends = [end for _, _, _, end in spans]
    if ends != sorted(ends):
        raise ReportError("The matrix spans of the record do not retire in the order of their issue")
    return tuple((pc, end) for _, pc, _, end in spans)


def _handovers(record: Record, events: Events) -> list[tuple[int, int]]:
    """(program counter, cycle of the border to the next one) of each matrix instruction, in order."""
    found = list(matrix_retirements(record))
    for number in range(len(found) - 1, 0, -1):
        pc, end = found[number]
        before, retired = found[number - 1]
        found[number - 1] = before, min(retired, end - events.instructions[pc]["array_busy"])
    if found and found[0][1] < events.instructions[found[0][0]]["array_busy"]:
        raise ReportError("The matrix spans of the record leave the array fewer cycles than its words take")
    return found


def _owned_cycles(record: Record, events: Events) -> dict[str, int]:
    owned: dict[str, int] = defaultdict(int)
    before = 0
    for pc, end in _handovers(record, events):
        owned[record.program[pc].label] += end - before
        before = end
    total = record.simulation.images[0].counters["cycles"]
    # The span's clock starts where the host's write is accepted, a few cycles before the counter's.
    owned[TAIL] = max(total - before, 0)
    return owned


def _queue_cycles(record: Record) -> dict[tuple[int, str], int]:
    """Cycles by queue and label. A queue retires in order: of overlapping spans the first one has the cycles."""
    cycles: dict[tuple[int, str], int] = defaultdict(int)
    complete: dict[int, int] = defaultdict(int)
    for queue, pc, start, end in record.simulation.spans:
        cycles[queue, record.program[pc].label] += max(end - max(start, complete[queue]), 0)
        complete[queue] = max(end, complete[queue])
    return cycles


def _check_array_words(record: Record, asked: int) -> None:
    for image in record.simulation.images:
        counted = image.counters["array_busy"]
        if counted != asked:
            raise ReportError(
                f"Image {image.index}: the array was busy for {counted} cycles, "
                f"but the program's instructions give it {asked} words"
            )


def layers(record: Record, events: Events) -> tuple[LayerRow, ...]:
    """The rows of the layer table, in the order in which the program computes them. ``events`` : of its program.

    Empty when the simulation recorded no spans. Raises ReportError when the counter of array-busy cycles is not
    what the program's instructions ask for.
    """
    _check_array_words(record, events.total["array_busy"])
    if not record.simulation.spans:
        return ()
    config = record.accelerator
    owned = _owned_cycles(record, events)
    in_queue = _queue_cycles(record)
    macs: dict[str, int] = defaultdict(int)
    for layer in record.model.layers:
        macs[layer.label] += layer.macs
    errors = {layer.label: layer.error for layer in record.model.layers}
    # Loads are issued ahead of their layer: the order of the model is that of the products and the vector unit.
    computing = [i.label for i in record.program if i.queue in (Queue.MATRIX, Queue.VECTOR)]
    others = [i.label for i in record.program if i.queue is not None]
    order = dict.fromkeys([*computing, *macs, *others, TAIL])
    total = sum(owned.values())
    rows = []
    for label in order:
        cycles = owned[label]
        rate = cycles * config.array.macs_per_cycle
        rows.append(
            LayerRow(
                label=label,
                macs=macs[label],
                error=errors.get(label),
                cycles=cycles,
                share=cycles / total,
                array_words=events.layers.get(label, Counter())["array_busy"],
                utilization=macs[label] / rate if macs[label] and rate else None,
                load_cycles=in_queue[Queue.LOAD, label],
                row_cycles=in_queue[Queue.VECTOR, label],
                store_cycles=in_queue[Queue.STORE, label],
            )
        )
    return tuple(rows)


def stalls(record: Record) -> tuple[Share, ...]:
    """How the matrix unit spent the first image's cycles, by cause; the last row is what no counter claims."""
    counters = record.simulation.images[0].counters
    total = counters["cycles"]
    rows = [
        Share(name=name, meaning=MEANING[name], cycles=counters[name], share=counters[name] / total)
        for name in MATRIX_CAUSES
    ]
    rest = total - sum(row.cycles for row in rows)
    if rest < 0:
        raise ReportError(
            f"The matrix unit's counters add up to {total - rest} cycles, more than the {total} of the image"
        )
    meaning = "cycles that no counter claims: issue, and filling and emptying the array's pipeline"
    return (*rows, Share(name="other", meaning=meaning, cycles=rest, share=rest / total))


def queues(record: Record) -> tuple[QueueRow, ...]:
    """Busy, waiting and idle cycles of the four queues in the first image."""
    counters = record.simulation.images[0].counters
    total = counters["cycles"]
    rows = []
    for queue in Queue:
        works, waits = QUEUE_CYCLES[queue]
        busy, waiting = counters[works], sum(counters[name] for name in waits)
        idle = max(total - busy - waiting, 0)
        rows.append(QueueRow(queue=queue.name.lower(), busy=busy, waiting=waiting, idle=idle))
    return tuple(rows)


def traffic(record: Record) -> tuple[Traffic, ...]:
    """Bytes moved through each port in the first image: a counter of words or beats times their size."""
    config = record.accelerator
    beat = config.bus.beat_bytes
    ports = (
        *((port, "DRAM", counter, beat) for port, counter in DRAM_PORTS.items()),
        *(
            (f"{memory.name} {access}", "on chip", counter, word_bytes(config, memory))
            for memory, accesses in ACCESSES.items()
            for access, counter in accesses.items()
        ),
    )
    counters = record.simulation.images[0].counters
    return tuple(
        Traffic(
            port=port,
            where=where,
            counter=counter,
            words=counters[counter],
            word_bytes=size,
            bytes=counters[counter] * size,
            load=counters[counter] / counters["cycles"],
        )
        for port, where, counter, size in ports
    )
