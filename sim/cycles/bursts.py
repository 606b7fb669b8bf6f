"""The bursts of a load: what the bus carries, and what the load unit's back half does with it (hw.axi, hw.load)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate

from vitreous.sim.cycles.timing import BEAT_QUEUE, NEXT_ROW, ROW
from vitreous.spec.config import AcceleratorConfig, BusConfig
from vitreous.spec.isa import Instruction, Memory, Opcode
from vitreous.spec.layout import ceil_div, word_bytes
from vitreous.spec.limits import AXI_PAGE_BYTES
from vitreous.spec.patches import pixel_rows, steps_of_beats

STEADY = range(257)
"""How much later than the first each beat of a burst comes, one a cycle."""


@dataclass(eq=False, slots=True)
class Burst:
    """``beats`` that the back half processes in ``steps`` cycles, the last of them in ``tail``; every ``gather`` steps
    make a word. ``rows_left``: after its own, but 2 stands for more. ``row``: cycles from the one in which the
    generator begins with it to the first in which it can begin with what follows. ``work``: steps of each beat.
    ``late``: beats that find the queue full; ``queued``: steps of those that it holds at the end. ``after``: steps that
    are left when each of the last beats is done, the last one first."""

    beats: int
    steps: int
    tail: int
    gather: int
    rows_left: int
    row: int
    last: bool
    work: tuple[int, ...]
    late: int = field(init=False)
    queued: int = field(init=False)
    after: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.late = self.beats - BEAT_QUEUE
        self.after = (0, *accumulate(self.work[: -min(self.beats, BEAT_QUEUE + 1) : -1]))
        self.queued = self.after[-1]


@lru_cache(maxsize=4096)
def _burst(
    beats: int, each: int | tuple[int, ...], tail: int, gather: int, rows_left: int, alone: bool
) -> Burst:
    """Equal bursts are the same object, but for the last one of an instruction. ``each``: steps of every beat before
    the last one, which has ``tail``. ``alone``: in its row; another row follows it as late as one can."""
    work = (*(each if isinstance(each, tuple) else (each,) * (beats - 1)), tail)
    row = ROW + NEXT_ROW if alone else 1
    return Burst(beats, sum(work), tail, gather, min(rows_left, 2), row, False, work)


def split(offset: int, size: int, beat: int, longest: int) -> Iterator[int]:
    """Beats of each burst of ``size`` bytes from ``offset`` (base 0 modulo the page); none crosses 4 KiB."""
    left = ceil_div(size, beat)
    while left:
        count = min(left, longest, (AXI_PAGE_BYTES - offset % AXI_PAGE_BYTES) // beat)
        yield count
        offset += count * beat
        left -= count


Bursts = tuple[tuple[Burst, ...], tuple[int, ...]]
"""The bursts of an instruction in order, and how many from each on are the same."""


def bursts_of(instruction: Instruction, config: AcceleratorConfig) -> Bursts:
    """Of a LOAD or LOAD_PATCHES."""
    i = instruction.fields
    if instruction.opcode is Opcode.LOAD_PATCHES:
        return _bursts_of_patches(i, config)
    word = word_bytes(config, Memory(i["memory"]))
    place, stride = i["dram_offset"] % AXI_PAGE_BYTES, i["dram_stride"] % AXI_PAGE_BYTES
    return _bursts_of_rows(place, stride, i["rows"], i["words"], word, config.bus)


@lru_cache(maxsize=4096)
def _bursts_of_rows(offset: int, stride: int, rows: int, words: int, word: int, bus: BusConfig) -> Bursts:
    """Bursts of a LOAD of ``rows`` x ``words`` words of ``word`` bytes; offsets count modulo a page."""
    per_beat, gather = max(1, bus.beat_bytes // word), max(1, word // bus.beat_bytes)
    bursts: list[Burst] = []
    for row in range(rows):
        left, after = words, rows - 1 - row
        parts = list(split(offset + row * stride, words * word, bus.beat_bytes, bus.burst_beats))
        for beats in parts:
            steps = min(beats * per_beat, left) if per_beat > 1 else beats
            left -= steps
            tail = steps - (beats - 1) * per_beat
            bursts.append(_burst(beats, per_beat, tail, gather, after, len(parts) == 1))
    return _finished(bursts)


def _bursts_of_patches(i: dict[str, int], config: AcceleratorConfig) -> Bursts:
    beat, longest = config.bus.beat_bytes, config.bus.burst_beats
    rows = pixel_rows(i)
    size = i["grid_columns"] * i["patch"]
    bursts: list[Burst] = []
    for number, (offset, phase) in enumerate(rows):
        steps = steps_of_beats(i, phase, config)
        first, after = 0, len(rows) - 1 - number
        parts = list(split(offset, size, beat, longest))
        for beats in parts:
            *each, tail = steps[first : first + beats]
            first += beats
            bursts.append(_burst(beats, tuple(each), tail, 1, after, len(parts) == 1))
    return _finished(bursts)


def _finished(bursts: list[Burst]) -> Bursts:
    bursts[-1] = replace(bursts[-1], last=True)
    alike = [1] * len(bursts)
    for index in range(len(bursts) - 2, -1, -1):
        if bursts[index] is bursts[index + 1]:
            alike[index] = alike[index + 1] + 1
    return tuple(bursts), tuple(alike)
