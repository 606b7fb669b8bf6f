"""What a program's instructions do to the hardware's counters, by ``spec.work``: counted once for all of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import INSTRUCTION_BYTES, Instruction
from vitreous.spec.layout import ceil_div
from vitreous.spec.work import work


@dataclass(frozen=True)
class Events:
    """Counts by counter name; what needs a clock is not among them.

    instructions : of each by program counter. layers : of all with one label, in the order of the program; they and
    ``total`` have ``fetch_beats`` too.
    """

    instructions: Sequence[Counter[str]]
    layers: Mapping[str, Counter[str]]
    total: Counter[str]


def events(program: Sequence[Instruction], config: AcceleratorConfig) -> Events:
    """Of ``program`` on the accelerator of ``config``."""
    each = [work([instruction], config) for instruction in program]
    layers: dict[str, Counter[str]] = {}
    for instruction, counts in zip(program, each, strict=True):
        layers.setdefault(instruction.label, Counter()).update(counts)
    for counts in layers.values():
        counts["fetch_beats"] = fetch_beats(counts["instructions"], config)
    return Events(each, layers, sum(layers.values(), Counter()))


def fetch_beats(instructions: int, config: AcceleratorConfig) -> int:
    """Beats that bring this many instructions: a beat holds a part of one, or one."""
    return instructions * ceil_div(INSTRUCTION_BYTES, config.bus.beat_bytes)


def dram_bytes(counts: Mapping[str, int], config: AcceleratorConfig) -> int:
    """Bytes on the AXI data channels that loads and stores ask for, in whole beats."""
    return (counts["load_beats"] + counts["store_beats"]) * config.bus.beat_bytes
