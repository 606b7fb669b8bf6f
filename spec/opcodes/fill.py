"""FILL: zeros into words of X, W or R."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes.kinds import Field, Memory, Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec, Region, memory_event

FIELDS = (Field("memory", 3), Field("base", 16), Field("words", 16))


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The words that become zero."""
    return Accesses(writes=(Region(Memory(i["memory"]), i["base"], i["words"]),))


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Words."""
    return Counter({memory_event(Memory(i["memory"]), "writes"): i["words"]})


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """Words."""
    return f"0 -> {moved.writes[0]}"


FILL = OpcodeSpec(Queue.LOAD, FIELDS, accesses, counts, line, counted=("memory", "words"))
