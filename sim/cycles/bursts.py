"""The bursts of a load: what the bus carries, and what the load unit's back half does with it (hw.axi, hw.load)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from vitreous.sim.cycles.timing import BEAT_QUEUE
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
    make a word. ``rows_left``: after its own, but 2 stands for more. ``late``: beats that find the queue full;
    ``queued``: steps of those that it holds at the end."""

    beats: int
    steps: int
    tail: int
    gather: int
    rows_left: int
    last: bool
    late: int = field(init=False)
    queued: int = field(init=False)

    def __post_init__(self) -> None:
        self.late = self.beats - BEAT_QUEUE
        self.queued = self.steps * BEAT_QUEUE // self.beats


@lru_cache(maxsize=4096)
def _burst(beats: int, steps: int, tail: int, gather: int, rows_left: int) -> Burst:
    """Equal bursts are the same object, but for the last one of an instruction."""
    return Burst(beats, steps, tail, gather, min(rows_left, 2), False)


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
        for beats in split(offset + row * stride, words * word, bus.beat_bytes, bus.burst_beats):
            steps = min(beats * per_beat, left) if per_beat > 1 else beats
            left -= steps
            bursts.append(_burst(beats, steps, steps - (beats - 1) * per_beat, gather, after))
    return _finished(bursts)


def _bursts_of_patches(i: dict[str, int], config: AcceleratorConfig) -> Bursts:
    beat, longest = config.bus.beat_bytes, config.bus.burst_beats
    rows = pixel_rows(i)
    size = i["grid_columns"] * i["patch"]
    bursts: list[Burst] = []
    for number, (offset, phase) in enumerate(rows):
        steps = steps_of_beats(i, phase, config)
        first, after = 0, len(rows) - 1 - number
        for beats in split(offset, size, beat, longest):
            part = steps[first : first + beats]
            first += beats
            bursts.append(_burst(beats, sum(part), part[-1], 1, after))
    return _finished(bursts)


def _finished(bursts: list[Burst]) -> Bursts:
    bursts[-1] = replace(bursts[-1], last=True)
    alike = [1] * len(bursts)
    for index in range(len(bursts) - 2, -1, -1):
        if bursts[index] is bursts[index + 1]:
            alike[index] = alike[index + 1] + 1
    return tuple(bursts), tuple(alike)
