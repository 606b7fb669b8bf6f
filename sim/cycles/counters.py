"""The hardware's counters (``isa.COUNTERS``) of a predicted run: from the instructions alone, and from their times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vitreous.hw.memory import word_bytes
from vitreous.sim.cycles.patches import pixel_rows, steps_of_beats
from vitreous.sim.cycles.timing import has_mean_pass
from vitreous.sim.trace import Span
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, Instruction, Memory, Opcode, Operands, Queue, Scale
from vitreous.spec.layout import ceil_div

Interval = tuple[int, int]
"""First and last cycle."""


def work(instructions: Iterable[Instruction], config: AcceleratorConfig) -> Counter[str]:
    """Every counter of words, columns and beats but ``fetch_beats``."""
    total: Counter[str] = Counter()
    for instruction in instructions:
        total["instructions"] += 1
        i, opcode = instruction.fields, instruction.opcode
        if opcode is Opcode.MATMUL:
            _matmul(total, i, config)
        elif opcode in (Opcode.NORM, Opcode.POOL):
            _row(total, i, opcode, config)
        elif opcode in (Opcode.LOAD, Opcode.STORE):
            _transfer(total, i, opcode, config)
        elif opcode is Opcode.FILL:
            total[f"{Memory(i['memory']).name.lower()}_writes"] += i["words"]
        elif opcode is Opcode.LOAD_PATCHES:
            for _, phase in pixel_rows(i):
                steps = steps_of_beats(i, phase, config)
                total["x_writes"] += sum(steps)
                total["load_beats"] += len(steps)
    return total


def _matmul(total: Counter[str], i: dict[str, int], config: AcceleratorConfig) -> None:
    lanes, rows, columns = config.array.lanes, i["row_tiles"], i["columns"]
    words = rows * ceil_div(columns, lanes) * i["k_words"] * (1 + i["wide"])
    drained = rows * columns
    total["array_busy"] += words
    total["w_reads"] += words
    total["s_reads" if i["operands"] == Operands.SW else "x_reads"] += words
    total["drain_columns"] += drained
    total["gelu_columns"] += drained * (i["activation"] == Activation.GELU)
    if i["scale"] != Scale.SOFTMAX:
        total["p_reads"] += rows * lanes if i["scale"] == Scale.LANE else drained
    destination = Memory(i["destination"])
    if destination is Memory.R:
        total["r_writes"] += drained
        total["r_reads"] += drained * i["residual"]
    else:
        total[f"{destination.name.lower()}_writes"] += rows * ceil_div(columns, config.array.depth)
        total["score_columns"] += drained * (destination is Memory.S)


def _row(total: Counter[str], i: dict[str, int], opcode: Opcode, config: AcceleratorConfig) -> None:
    columns = i["channels"] * i["row_tiles"]
    if opcode is Opcode.POOL:
        total["r_reads"] += columns
        total["r_writes"] += i["channels"]
    else:
        total["r_reads"] += (2 + has_mean_pass(i, config)) * columns
        total["norm_columns"] += columns
        total["x_writes"] += ceil_div(i["channels"], config.array.depth) * i["row_tiles"]


def _transfer(total: Counter[str], i: dict[str, int], opcode: Opcode, config: AcceleratorConfig) -> None:
    memory, load = Memory(i["memory"]), opcode is Opcode.LOAD
    beats = ceil_div(i["words"] * word_bytes(config, memory), config.bus.beat_bytes)
    total["load_beats" if load else "store_beats"] += i["rows"] * beats
    if memory is not Memory.P:  # p_writes: the beats of LOAD say it
        total[f"{memory.name.lower()}_{'writes' if load else 'reads'}"] += i["rows"] * i["words"]


def covered(intervals: Iterable[Interval]) -> int:
    """Cycles in at least one of ``intervals``, which are in order of their first cycles."""
    total, end = 0, -1
    for first, last in intervals:
        total += max(0, last - max(first, end + 1) + 1)
        end = max(end, last)
    return total


def active(spans: Sequence[Span]) -> int:
    """Cycles in which an instruction of a queue is in flight."""
    return covered((span.start + 1, span.end) for span in spans)


class MatrixIdle:
    """Why the array is idle: cycles in which the head of the matrix queue lacks tokens and nothing is fed."""

    def __init__(self, fed: list[Interval]) -> None:
        self._fed = fed
        self.waits = [0] * len(Queue)

    def waited(self, first: int, end: int, missing: int) -> None:
        """The head lacks ``missing`` (a mask over queues) in ``first`` to ``end`` - 1; the lowest queue counts."""
        busy = 0
        for start, last in reversed(self._fed):
            if last < first:
                break
            busy += max(0, min(last, end - 1) - max(start, first) + 1)
        self.waits[(missing & -missing).bit_length() - 1] += end - first - busy
