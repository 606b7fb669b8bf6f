"""What LOAD and STORE have in common: rows of words between DRAM and an on-chip memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.layout import ceil_div, word_bytes
from vitreous.spec.opcodes.kinds import Field, Memory, Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec, Region, memory_event

TRANSFER = (
    Field("memory", 3),
    Field("base", 16),
    Field("words", 16),
    Field("rows", 16),
    Field("stride", 16),
    Field("dram_offset", 32),
    Field("dram_stride", 32),
)
"""Rows of words between DRAM and an on-chip memory; LOAD and STORE differ in direction only."""
COUNTED = ("memory", "words", "rows")


def region(i: Fields) -> Region:
    """The words on the chip."""
    return Region(Memory(i["memory"]), i["base"], i["words"], i["rows"], i["stride"])


def counts(i: Fields, config: AcceleratorConfig, *, beats: str, access: str) -> Counter[str]:
    """Beats of counter ``beats``, and words. P has no counter of its own: the beats of LOAD say it."""
    memory = Memory(i["memory"])
    found = Counter(
        {beats: i["rows"] * ceil_div(i["words"] * word_bytes(config, memory), config.bus.beat_bytes)}
    )
    if memory is not Memory.P:
        found[memory_event(memory, access)] = i["rows"] * i["words"]
    return found


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """Words and DRAM offset."""
    return f"{moved}; DRAM +0x{i['dram_offset']:x}"


def opcode(
    queue: Queue, accesses: Callable[[Fields, AcceleratorConfig], Accesses], *, beats: str, access: str
) -> OpcodeSpec:
    """LOAD or STORE: ``beats`` counts its beats, ``access`` (reads or writes) its words on the chip."""
    work = partial(counts, beats=beats, access=access)
    return OpcodeSpec(queue, TRANSFER, accesses, work, line, counted=COUNTED)
